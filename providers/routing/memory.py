"""The memory of cooldowns: open them, end them, take over what others say.

Of what is told about a subject the latest holds, whoever told it; what ended is
remembered a while, so that old news does not bring it back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from poolsite.clock import NANOSECONDS_PER_SECOND, Clock
from providers.routing.cooldowns import CooldownSettings, Rule
from providers.routing.remembered import (
    COOLDOWN_FACT,
    RECOVERY_FACT,
    State,
    fact_of,
    state_of,
)
from providers.routing.states import States
from providers.routing.subjects import (
    ACCOUNT,
    CREDENTIAL,
    EGRESS,
    EVERYTHING,
    LIMIT,
    Names,
)
from usage.journal.records import Fact

_MOST_STATES: Final = 50_000
_MOST_ENDED: Final = 5_000
_MOST_LOOKED_AT: Final = 500
_LIMITED: Final = frozenset({"rate_limit", "quota"})
_FRESH_S: Final = 1.0
"""An answer that comes this soon was asked for before the limit was met."""


class Memory:
    """What one process remembers, by subject."""

    __slots__ = ("_clock", "_ended", "cleared", "settings", "states")

    def __init__(self, clock: Clock, settings: CooldownSettings) -> None:
        self._clock = clock
        self.settings = settings
        self.states = States()
        self._ended: dict[str, int] = {}
        self.cleared: dict[str, Fact] = {}

    def punish(
        self, subject: str, rule: Rule, kind: str, hint_s: float | None, error: str
    ) -> Sequence[Fact]:
        """Count a failure of one subject, and leave it alone when it is due."""
        now = self._clock.monotonic()
        state = self.states.get(subject)
        if state is None:
            if len(self.states) >= _MOST_STATES:
                self._forget_quiet(now)
            state = self.states[subject] = State(kind)
        elif now - max(state.last, state.until) > rule.reset_after_s:
            state.count = state.transient_count = state.since_ns = 0
        state.last = now
        state.at_ns = self._clock.time_ns()
        state.probe_until = state.lease_until = 0.0
        state.error = error
        state.counts[kind] = state.counts.get(kind, 0) + 1
        is_open, is_told = state.until > now, hint_s is not None and rule.hint_max_s > 0
        if is_open and not is_told:
            return ()
        if not is_open:
            # While it is open, calls that began before fail too: one failure, not many.
            state.count += 1
            state.transient_count += rule.is_transient
        count = state.transient_count if rule.is_transient else state.count
        return self._open(subject, kind, rule.wait_s(count, hint_s))

    def _open(self, subject: str, kind: str, wait_s: float) -> Sequence[Fact]:
        """Leave a subject alone for a while, unless it already is for longer."""
        state = self.states[subject]
        until = self._clock.monotonic() + wait_s
        if wait_s <= 0 or until <= state.until:
            return ()
        state.reason = kind
        state.until = until
        state.since_ns = state.since_ns or state.at_ns
        return (self._fact(subject, state, wait_s),)

    def end(self, subject: str) -> Fact:
        """End the cooldown of a known subject and word that."""
        state = self.states.pop(subject)
        fact = self._fact(subject, state, None)
        self._note_end(subject, fact.at_ns)
        return fact

    def shorten(self, subject: str, wait_s: float) -> Fact:
        """Let a cooldown end sooner."""
        state = self.states[subject]
        state.until = self._clock.monotonic() + wait_s
        return self._fact(subject, state, wait_s)

    def hear(
        self, names: Names, *, left: float | None, reset_s: float | None, is_whole: bool
    ) -> list[Fact]:
        """End or shorten the limits an answer knows better about, and word that.

        Shapes:  ``is_whole`` = what it says holds for every model of the secret.
        """
        now = self._clock.monotonic()
        subjects = {names[CREDENTIAL], names[LIMIT], names[ACCOUNT]}
        if is_whole and len(self.states) <= _MOST_LOOKED_AT:
            start = names[LIMIT].rpartition(":")[0] + ":"
            subjects.update(name for name in self.states if name.startswith(start))
        facts = []
        for subject in subjects:
            state = self.states.get(subject)
            if state is None or state.until <= now or state.reason not in _LIMITED:
                continue
            if now - state.last < _FRESH_S:
                continue
            if left is not None and left > 0:
                facts.append(self.end(subject))
            elif reset_s is not None and 0 <= reset_s < state.until - now:
                facts.append(self.shorten(subject, reset_s))
        return facts

    def revive(self, names: Sequence[str], at_s: float) -> None:
        """Forget what a credential did before a person said that it works."""
        at_ns = int(at_s * NANOSECONDS_PER_SECOND)
        for subject in names[CREDENTIAL:EGRESS]:
            state = self.states.get(subject)
            if state is not None and state.at_ns < at_ns:
                del self.states[subject]

    def load(self, facts: Iterable[tuple[str, Mapping[str, Any]]]) -> int:
        """Take over cooldowns remembered from before; return how many still hold.

        Shapes:  pairs of fact key and payload, as ``report`` made them. What cannot
                 be read is skipped.
        """
        now_ns = self._clock.time_ns()
        return sum(
            self._take(subject, payload, _at_ns(payload, now_ns))
            for subject, payload in facts
        )

    def merge(self, facts: Iterable[Fact]) -> int:
        """Take over what others learnt, or a person said; return how many still hold.

        Of what is told about a subject the latest holds, whoever told it.
        """
        taken = 0
        for fact in facts:
            if fact.kind == RECOVERY_FACT:
                if self._forget(fact.key, fact.at_ns):
                    self.cleared[fact.key] = fact
            elif fact.kind == COOLDOWN_FACT and fact.payload.get("until_s") is None:
                self._forget(fact.key, fact.at_ns)
            elif fact.kind == COOLDOWN_FACT:
                taken += self._take(fact.key, fact.payload, fact.at_ns)
        return taken

    def _take(self, subject: str, payload: Mapping[str, Any], at_ns: int) -> bool:
        known = self.states.get(subject)
        ended_ns = max(self._ended.get(subject, 0), self._ended.get(EVERYTHING, 0))
        if ended_ns >= at_ns or (known is not None and known.at_ns >= at_ns):
            return False
        state = state_of(
            payload,
            at_ns=at_ns,
            now_ns=self._clock.time_ns(),
            now=self._clock.monotonic(),
            most_s=self.settings.hint_max_s,
        )
        if state is None:
            return False
        self.states[subject] = state
        return True

    def _forget(self, subject: str, at_ns: int) -> bool:
        """Let what was before count no more; tell whether that is news."""
        if self._ended.get(subject, 0) >= at_ns:
            return False
        self._note_end(subject, at_ns)
        names = list(self.states) if subject == EVERYTHING else [subject]
        for name in names:
            state = self.states.get(name)
            if state is not None and state.at_ns < at_ns:
                del self.states[name]
        return True

    def _note_end(self, subject: str, at_ns: int) -> None:
        if len(self._ended) >= _MOST_ENDED:
            self._ended.clear()
            self.cleared.clear()
        self._ended[subject] = at_ns

    def told(self) -> list[Fact]:
        """Word what is cooling now and what a person cleared, each as of its time."""
        now = self._clock.monotonic()
        now_ns = self._clock.time_ns()
        found = list(self.cleared.values())
        for subject, state in self.states.items():
            if state.until > now:
                passed_s = (now_ns - state.at_ns) / NANOSECONDS_PER_SECOND
                wait_s = state.until - now + passed_s
                found.append(fact_of(subject, state, at_ns=state.at_ns, wait_s=wait_s))
        return found

    def _forget_quiet(self, now: float) -> None:
        """Make room: drop what neither cools nor failed lately."""
        limit = now - self.settings.reset_after_s
        quiet = [s for s, v in self.states.items() if max(v.until, v.last) < limit]
        for subject in quiet or list(self.states)[: _MOST_STATES // 10]:
            del self.states[subject]

    def _fact(self, subject: str, state: State, wait_s: float | None) -> Fact:
        at_ns = state.at_ns = self._clock.time_ns()
        return fact_of(subject, state, at_ns=at_ns, wait_s=wait_s)


def _at_ns(payload: Mapping[str, Any], default: int) -> int:
    """Return when a fact was learnt; rows of releases before do not say."""
    told = payload.get("at_ns")
    return told if isinstance(told, int) and told > 0 else default
