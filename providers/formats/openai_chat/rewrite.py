"""Change a chunk of a stream by span: the model's name and a null usage member."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from providers.formats.base import UNREADABLE
from providers.formats.framings import replace_payload
from providers.formats.jsonspans import REMOVE, patch, read_members

# The last brace closes the top-level object, so the member before it (and before a
# padding member) is top-level too: no parse is needed to take it out.
_USAGE_NULL: Final = re.compile(rb',"usage":null((?:,"obfuscation":"[^"\\]*")?\})\Z')


class ChunkRewriter:
    """Rewrite the chunks of one stream.

    Shapes:  chunks of one stream begin alike: once the place of the model is found, a
             chunk with the same beginning has it at the same place.
    """

    __slots__ = ("_new_prefix", "_prefix", "_prefix_model", "_requested")

    def __init__(self, requested: str) -> None:
        self._requested = requested
        self._prefix = b""
        self._new_prefix = b""
        self._prefix_model: str | None = None

    def rewrite(
        self, raw: bytes, payload: bytes, model: str | None, strip: bool
    ) -> bytes:
        """Return the frame with the requested model and without a null usage.

        Shapes:  ``model`` is the name the chunk carries; ``strip`` tells that it
                 carries ``usage: null`` only because the proxy asked for usage.
        """
        new = payload
        usage_left = strip
        if strip:
            at = payload.rfind(b',"usage":null')
            if at >= 0 and (match := _USAGE_NULL.match(payload, at)):
                new = payload[:at] + match[1]
                usage_left = False
        model_left = bool(model) and model != self._requested
        known = model_left and model == self._prefix_model
        if known and new.startswith(self._prefix):
            new = self._new_prefix + new[len(self._prefix) :]
            model_left = False
        if usage_left or model_left:
            new = self._slowly(new, model if model_left else None, usage_left)
        if len(raw) == len(payload) + 8 and raw[:6] == b"data: ":
            return b"data: " + new + b"\n\n"
        return replace_payload(raw, payload, new)

    def _slowly(self, payload: bytes, model: str | None, strip: bool) -> bytes:
        """Find the members for real; remember where the model stands."""
        try:
            members = read_members(payload)
        except UNREADABLE:
            return payload
        changes: dict[str, bytes] = {"usage": REMOVE} if strip else {}
        if model is not None:
            name = msgspec.json.encode(self._requested)
            changes["model"] = name
            _, start, end = members.spans["model"]
            self._prefix = payload[:end]
            self._new_prefix = payload[:start] + name
            self._prefix_model = model
        return patch(members, changes)
