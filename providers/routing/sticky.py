"""Remember by whom a session was served last, so that it finds its prompt cache again.

Tool rounds and long conversations are cheaper and faster where their beginning is still
cached, and some vendors only understand what they said themselves.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from providers.routing.types import Mark

_MOST_SESSIONS: Final = 50_000

Session = tuple[int, str]
"""The client key's id and the session's name: a key cannot take another's session."""


class Sessions:
    """The last route of each session of one process.

    Cost:  a dictionary read; the sessions served longest ago are forgotten first.
    """

    __slots__ = ("_served",)

    def __init__(self) -> None:
        self._served: OrderedDict[Session, tuple[Mark, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._served)

    def note(self, session: Session, mark: Mark, now: float) -> None:
        """Note who has just served a session."""
        served = self._served
        served[session] = (mark, now)
        served.move_to_end(session)
        if len(served) > _MOST_SESSIONS:
            served.popitem(last=False)

    def last(self, session: Session, now: float, sticky_s: float) -> Mark | None:
        """Return who served a session within the last ``sticky_s`` seconds."""
        known = self._served.get(session)
        if known is None or now - known[1] >= sticky_s:
            return None
        return known[0]
