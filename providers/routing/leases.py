"""The right to make the one probe after a cooldown, where several processes share it.

The path never waits: whoever wants to probe is passed over once and asks; the answer
comes in the background and holds for the next request. When nobody answers, because
what is shared is away, each process probes by itself.
"""

from __future__ import annotations

from typing import Final

from providers.routing.remembered import State

PATIENCE_S: Final = 1.0
_MOST_ASKED: Final = 1_000


class Leases:
    """Which subjects this process asked for and may probe.

    Shapes:  ``is_on`` False = nothing is shared, everything may be probed at once.
    """

    __slots__ = ("_asked", "is_on")

    def __init__(self) -> None:
        self.is_on = False
        self._asked: dict[str, float] = {}

    def may_probe(self, subject: str, state: State, now: float) -> bool:
        """Tell whether to probe now; ask for the right where it is not ours."""
        if not self.is_on or state.lease_until > now:
            return True
        if subject not in self._asked and len(self._asked) < _MOST_ASKED:
            self._asked[subject] = now
            state.asked_at = now
            return False
        return now - state.asked_at > PATIENCE_S

    def asked(self) -> list[str]:
        """Return the subjects whose right nobody was asked for yet."""
        return list(self._asked)

    def answered(self, subject: str) -> None:
        """Note that an answer came, whatever it was."""
        self._asked.pop(subject, None)
