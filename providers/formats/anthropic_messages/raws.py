"""Tell raw members that were sent from those that were not.

A decoder cannot leave a raw member None, so an absent one is empty and a null one is
the text ``null``; to this dialect both mean that nothing was said.
"""

from __future__ import annotations

from typing import Final

import msgspec

ABSENT: Final = msgspec.Raw(b"")
_NOTHING: Final = frozenset({b"", b"null"})


def given(raw: msgspec.Raw | None) -> msgspec.Raw | None:
    """Return a raw member, None for an absent and for a null one."""
    return None if raw is None or bytes(raw) in _NOTHING else raw
