"""Tell raw JSON that was sent from what was not."""

from __future__ import annotations

from typing import Final

import msgspec

ABSENT: Final = msgspec.Raw(b"")
"""The default of a raw member: no JSON is empty."""

_NOTHING: Final = (b"", b"null")


def given(raw: msgspec.Raw) -> msgspec.Raw | None:
    """Return a member that was sent; None for one that was not, or was null."""
    return None if bytes(raw) in _NOTHING else raw


def text_of(raw: msgspec.Raw) -> str:
    """Return some JSON as it was written."""
    return bytes(raw).decode(errors="replace")
