"""Put what is to be embedded into a list, for a vendor that takes nothing else.

Source: reference wire 1.7.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from providers.formats.base import ChatRequest, Target, UpstreamRequest
from providers.formats.envelopes.wrapping import PlainEdge
from providers.formats.jsonspans import patch, read_members


class ListedInput(PlainEdge):
    """Send embeddings to one path, with standing headers, their input as a list."""

    def __init__(self, path: str, headers: Mapping[str, str]) -> None:
        self._path = path
        self._headers = headers

    def relayed(
        self, request: ChatRequest, sent: UpstreamRequest, target: Target
    ) -> UpstreamRequest:
        """Change path, headers, and one text to a list of one."""
        return replace(
            sent,
            body=_listed(sent.body),
            path=self._path,
            headers={**sent.headers, **self._headers},
        )


def _listed(body: bytes) -> bytes:
    members = read_members(body)
    raw = bytes(members.values.get("input", b"[]"))
    return patch(members, {"input": b"[%b]" % raw}) if raw[:1] == b'"' else body
