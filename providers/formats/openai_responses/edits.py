"""Edit the items of an input by span, where an upstream takes only other ones.

Source: reference wire R7, 1.12; T69, P18, P60.
"""

from __future__ import annotations

from typing import Final

import msgspec

from providers.formats.base import UNREADABLE
from providers.formats.jsonspans import REMOVE, patch, read_members
from providers.formats.neutral import smuggle
from providers.formats.neutral.types import Opaque
from providers.formats.openai_responses.build import ENCRYPTED
from providers.formats.openai_responses.items import FAMILY, refuse_state

_CALLED: Final = frozenset({"function_call", "custom_tool_call", "message"})


class _Item(msgspec.Struct):
    type: str = ""
    role: str = ""
    encrypted_content: str | None = None


_ITEM: Final = msgspec.json.Decoder(_Item)
_RAWS: Final = msgspec.json.Decoder(list[msgspec.Raw])


def without_foreign_proof(raw: msgspec.Raw, scope: str) -> bytes:
    """Take out reasoning whose proof another vendor, or another account, made.

    Shapes:  what the pool packed for this very account is unpacked; the calls after
             reasoning that was dropped lose their ids, for they would not be found.
    """
    try:
        items = _RAWS.decode(raw)
        kept: list[msgspec.Raw] = []
        is_dropped = False
        for each in items:
            item = _ITEM.decode(each)
            if item.type == "reasoning" and smuggle.is_packed(
                item.encrypted_content or ""
            ):
                proof = _own(smuggle.unpack(item.encrypted_content or ""), scope)
                is_dropped = proof is None
                if proof is not None:
                    kept.append(_patched(each, encrypted_content=proof))
            elif is_dropped and item.type in _CALLED:
                kept.append(_patched(each, id=None))
            else:
                is_dropped = is_dropped and item.type != "reasoning"
                kept.append(each)
    except UNREADABLE:
        return bytes(raw)
    return msgspec.json.encode(kept)


def _own(opaque: Opaque | None, scope: str) -> str | None:
    if opaque is None or opaque.family != FAMILY or opaque.slot != "encrypted":
        return None
    return opaque.data if opaque.scope in ("", scope) else None


def _patched(raw: msgspec.Raw, **changes: str | None) -> msgspec.Raw:
    members = read_members(bytes(raw))
    worded = {
        key: REMOVE if value is None else msgspec.json.encode(value)
        for key, value in changes.items()
        if key in members.values
    }
    return msgspec.Raw(patch(members, worded))


def listed_input(raw: msgspec.Raw | None) -> tuple[bytes, bool]:
    """Return an input as a stateless upstream takes it, and whether it instructs.

    Shapes:  a list; system messages are a developer's; reasoning that is only a
             reference to what a vendor keeps is left out.
    Errors:  FormatError for a reference to a kept item.
    """
    raw = msgspec.Raw(b"[]") if raw is None else raw
    kept: list[msgspec.Raw] = []
    instructs = is_edited = False
    try:
        if memoryview(raw)[0] == 0x22:
            said = {"type": "message", "role": "user", "content": raw}
            return msgspec.json.encode([said]), False
        for each in _RAWS.decode(raw):
            item = _ITEM.decode(each)
            if item.type == "item_reference":
                refuse_state(item.type, item.type)
            instructs = instructs or item.role in ("system", "developer")
            is_bare = item.type == "reasoning" and not item.encrypted_content
            is_edited = is_edited or is_bare or item.role == "system"
            if item.role == "system":
                kept.append(_patched(each, role="developer"))
            elif not is_bare:
                kept.append(each)
    except UNREADABLE:
        return bytes(raw), instructs
    return (msgspec.json.encode(kept) if is_edited else bytes(raw)), instructs


def with_proof(raw: msgspec.Raw | None) -> bytes:
    """Ask for proof of reasoning: without storage it is all that can be given back."""
    try:
        asked = msgspec.json.decode(raw or b"[]", type=list[str] | None) or []
    except UNREADABLE:
        asked = []
    return msgspec.json.encode(list(dict.fromkeys([*asked, ENCRYPTED])))
