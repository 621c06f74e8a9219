"""Live health of credentials, models and providers: who is left alone, how long.

Each failure opens a cooldown on what it condemns:

=================================  ================  ===================================
failure                            condemns          how long
=================================  ================  ===================================
auth, unreadable                   the credential    until it works again: a person is
                                                     needed; tried once an hour
quota                              the credential    the hint, else 5 h doubling to 24 h
rate_limit                         credential+model  the hint (to 24 h), else 30 s
                                                     doubling to 5 min
unavailable                        credential+model  after 5: 5 s doubling to 30 s
server_error, timeout              credential+model  after 3: 30 s doubling to 5 min
connect                            the provider      as server_error
model                              the model         1 min, 5 min, 25 min, 1 h
many secrets alike, at once        what they share   5 s doubling to 1 min; the secrets
                                                     themselves are not punished
=================================  ================  ===================================

An answer of one credential says nothing about its neighbours: one bad one among three
must not be forgiven because the others work, nor condemn them. What several of them
share is found by ``diagnosis``. When the time is over one request may try (``begin``);
its success closes the cooldown, its failure opens the next longer one. Counts are
forgotten after five quiet minutes. The last usable route is never withheld: see
``least_bad``; a pool of one provider with one secret withholds nothing at all.

Everything is in memory. Changes leave as facts for the journal, and come back by
``merge`` after a restart and from other processes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

from poolsite.clock import Clock
from providers.routing.cooldowns import CooldownSettings, rules_of, settings_of
from providers.routing.diagnosis import Place
from providers.routing.events import Events
from providers.routing.leases import Leases
from providers.routing.memory import Memory
from providers.routing.remembered import (
    COOLDOWN_FACT,
    Cooling,
    Failures,
    State,
    failures_fact,
)
from providers.routing.subjects import (
    ACCOUNT,
    CREDENTIAL,
    EGRESS,
    EVERYTHING,
    Namer,
    Names,
)
from providers.routing.types import RouteLike
from usage.journal.records import Fact

__all__ = ["COOLDOWN_FACT", "OK", "PROBING", "Cooling", "Health"]

OK: Final = "ok"
PROBING: Final = "probing"
"""Why a route is left alone whose rate limit is over and whose first call runs yet."""

_SEVERITY: Final = {"quota": 2, "auth": 3, "unreadable": 4}
_NEEDS_PERSON: Final = frozenset({"auth", "unreadable"})
_SIGN_IN: Final = "account"
_MOST_STATES: Final = 50_000
_MOST_FAILURES: Final = 5_000
_MOST_ENDED: Final = 5_000
_LEASE_WAIT_S: Final = 0.2
_LONGEST_ERROR: Final = 200
R = TypeVar("R", bound=RouteLike)


class Health:
    """Cooldowns of one process.

    Cost:  ``cooling`` of a pool where nothing failed some 50 ns, else 1 us; ``report``
           of an ``ok`` the same.
    """

    def __init__(self, clock: Clock, settings: CooldownSettings | None = None) -> None:
        self._clock = clock
        settings = settings or CooldownSettings()
        self._memory = Memory(clock, settings)
        self._events = Events(self._memory)
        # The very same dictionary: a request looks at it for each candidate.
        self._states = self._memory.states
        self._rules = rules_of(settings)
        self._namer = Namer()
        self._failures: dict[tuple[int, int], Failures] = {}
        self._news: list[Fact] = []
        self._untold: list[Fact] = []
        self._is_alone = False
        self.leases = Leases()

    def configure(
        self, numbers: Mapping[str, float], *, providers: int | None = None
    ) -> None:
        """Follow the settings in force.

        Shapes:  ``numbers`` are ``RoutingRecord.cooldown``; with one of ``providers``
                 it is never withheld, nor is the only secret of it.
        """
        settings = settings_of(numbers)
        self._memory.settings = settings
        self._rules = rules_of(settings)
        self._events.configure(settings)
        self._namer.forget_names()
        self._is_alone = providers is not None and providers <= 1

    @property
    def is_calm(self) -> bool:
        """Tell whether nothing is held against anybody, so that no news matter."""
        return not self._states

    def cooling(self, route: RouteLike) -> Cooling | None:
        """Return what keeps a route from being tried now, None when nothing does.

        Of several reasons the one that lasts longest counts.
        """
        states = self._states
        if not states or not states.may_concern(route):
            return None
        now = self._clock.monotonic()
        credential = route.credential
        names: Sequence[str] = self._namer.names(route)
        if credential is not None and credential.revived_at_s is not None:
            self._memory.revive(names, credential.revived_at_s)
        if self._is_alone:
            if len(route.provider.credentials) <= 1:
                return None
            names = names[CREDENTIAL:EGRESS]
        worst: Cooling | None = None
        for subject in names:
            state = states.get(subject)
            if state is None or not state.until:
                continue
            found = self._cooled(subject, state, now)
            if found is None:
                continue
            if found.left_s is None:
                return found
            if worst is None or found.left_s > (worst.left_s or 0.0):
                worst = found
        return worst

    def _cooled(self, subject: str, state: State, now: float) -> Cooling | None:
        left = max(state.until, state.probe_until) - now
        if left <= 0:
            if self.leases.may_probe(subject, state, now):
                return None
            left = _LEASE_WAIT_S
        reason = state.reason
        if reason in _NEEDS_PERSON and not state.is_event:
            return Cooling(reason, None, subject)
        if reason == "rate_limit" and state.until <= now:
            # Others go first, but nobody is sent away for the sake of a probe.
            reason = PROBING
        return Cooling(reason, left, subject)

    def begin(self, route: RouteLike) -> None:
        """Say that a route is about to be tried.

        After a cooldown the first one who tries keeps others away until its result is
        known, or for ``probe_s``: a broken upstream meets one request, not a burst.
        """
        if not self._states:
            return
        now = self._clock.monotonic()
        for subject in self._namer.names(route):
            state = self._states.get(subject)
            if state is not None and state.until > 0:
                state.probe_until = now + self._memory.settings.probe_s

    def release(self, route: RouteLike) -> None:
        """Say that a route is not tried after all: another one may."""
        for subject in self._namer.names(route) if self._states else ():
            state = self._states.get(subject)
            if state is not None:
                state.probe_until = 0.0

    def belongs(self, route: RouteLike, account: str) -> None:
        """Learn from an answer which account of the vendor a secret belongs to."""
        if account:
            self._namer.belongs(route, account)

    def report(
        self,
        route: RouteLike,
        kind: str,
        *,
        retry_after_s: float | None = None,
        reason: str = "",
    ) -> Sequence[Fact]:
        """Learn how an attempt ended; return the facts that changed, to be journalled.

        Shapes:  ``kind`` is a word of ``providers.proxy.ports.Health``; one this
                 release does not know changes nothing. ``reason`` are the upstream's
                 words, without secrets.
        """
        if kind == OK:
            if not self._states and not self._events.evidence.awake_until:
                return ()
            facts = self._recover(route)
        elif kind in self._rules:
            facts = self._fail(route, kind, retry_after_s, reason)
        else:
            return ()
        if facts and self.leases.is_on:
            self._news.extend(facts)
        return facts

    def hear(
        self, route: RouteLike, *, left: float | None, reset_s: float | None = None
    ) -> None:
        """Learn what an answer said of the quota; what changes waits to be journalled.

        An answer given since the cooldown began knows better than the hint did: room
        that is there again ends it, an earlier reset shortens it.

        Shapes:  ``left`` is the fraction that remains, None = not told. A sign-in has
                 one allowance for all its models.
        """
        if not self._states:
            return
        credential = route.credential
        facts = self._memory.hear(
            self._namer.names(route),
            left=left,
            reset_s=reset_s,
            is_whole=credential is not None and credential.kind == _SIGN_IN,
        )
        self._untold.extend(facts)
        if self.leases.is_on:
            self._news.extend(facts)

    def least_bad(self, routes: Iterable[R]) -> R | None:
        """Choose whom to try although all of them are cooling.

        Failures that may have passed come before empty accounts, those before refused
        secrets; among equals the one nearest to recovery, then the first.
        """
        best: tuple[tuple[int, float], R] | None = None
        for route in routes:
            cooling = self.cooling(route)
            if cooling is None:
                return route
            rank = (_SEVERITY.get(cooling.reason, 1), cooling.left_s or 0.0)
            if best is None or rank < best[0]:
                best = (rank, route)
        return None if best is None else best[1]

    # What comes from elsewhere, and what goes there

    def clear(self, subject: str) -> bool:
        """Forget one subject, as an operator asks; tell whether it was known."""
        return self._states.pop(subject, None) is not None

    def load(self, facts: Iterable[tuple[str, Mapping[str, Any]]]) -> int:
        """Take over cooldowns remembered from before; return how many still hold.

        Shapes:  pairs of fact key and payload, as ``report`` made them. What cannot
                 be read is skipped.
        """
        return self._memory.load(facts)

    def merge(self, facts: Iterable[Fact], *, passes_on: bool = False) -> int:
        """Take over what others learnt, or a person said; return how many still hold.

        Of what is told about a subject the latest holds, whoever told it.

        Shapes:  ``passes_on`` = tell other processes what a person cleared.
        """
        cleared = self._memory.cleared
        before = dict(cleared)
        taken = self._memory.merge(facts)
        new = [fact for key, fact in cleared.items() if before.get(key) is not fact]
        if any(fact.key == EVERYTHING for fact in new):
            self._events.forget()
        if passes_on and self.leases.is_on:
            self._news += new
        return taken

    def told(self) -> list[Fact]:
        """Return everything that is cooling now as facts, for who knows nothing yet."""
        return self._memory.told()

    def take_news(self) -> list[Fact]:
        """Return what changed here since the last call, for other processes."""
        news, self._news = self._news, []
        return news

    def take_untold(self) -> list[Fact]:
        """Return what changed by ``hear`` since the last call, to be journalled."""
        untold, self._untold = self._untold, []
        return untold

    def take_failures(self) -> list[Fact]:
        """Return the failures of each model since the last call, as facts."""
        found, self._failures = self._failures, {}
        return [failures_fact(*key, value) for key, value in found.items()]

    def lease(self, subject: str, *, taken_for_s: float | None = None) -> None:
        """Answer who asked for the right to probe.

        Units:   ``taken_for_s`` seconds somebody else holds it, None = it is ours.
        """
        self.leases.answered(subject)
        state = self._states.get(subject)
        if state is None:
            return
        now = self._clock.monotonic()
        if taken_for_s is None:
            state.lease_until = now + self._memory.settings.probe_s
        else:
            state.probe_until = now + taken_for_s

    def states(self) -> dict[str, Cooling]:
        """Return everything that is cooling now, by subject, for screens and metrics."""
        now = self._clock.monotonic()
        return {
            subject: Cooling(state.reason, state.until - now, subject)
            for subject, state in self._states.items()
            if state.until > now
        }

    def events(self) -> dict[str, str]:
        """Return the reason of each event that is not over, by what is blamed."""
        return {
            subject: state.reason
            for subject, state in self._states.items()
            if state.is_event
        }

    # Failures

    def _fail(
        self, route: RouteLike, kind: str, hint_s: float | None, error: str
    ) -> Sequence[Fact]:
        names = self._namer.names(route)
        now = self._clock.monotonic()
        error = error[:_LONGEST_ERROR]
        self._note(route, kind, error)
        facts = self._events.failed(
            _place(route, names), names, kind, hint_s=hint_s, error=error, now=now
        )
        if facts is not None:
            return facts
        rule = self._rules[kind]
        return self._memory.punish(names[rule.subject], rule, kind, hint_s, error)

    def _recover(self, route: RouteLike) -> Sequence[Fact]:
        facts = []
        now = self._clock.monotonic()
        names = self._namer.names(route)
        if self._events.evidence.awake_until:
            self._events.evidence.worked(_place(route, names), now)
        for subject in names:
            state = self._states.get(subject)
            if state is None:
                continue
            rule = self._rules.get(state.reason)
            is_open = state.until > now and not state.probe_until
            if is_open and rule is not None and rule.is_sticky:
                continue
            if state.until > 0:
                facts.append(self._memory.end(subject))
            else:
                del self._states[subject]
        return facts

    def _note(self, route: RouteLike, kind: str, error: str) -> None:
        key = (route.provider.id, route.model.id)
        found = self._failures.get(key)
        if found is None:
            if len(self._failures) >= _MOST_FAILURES:
                return
            found = self._failures[key] = Failures()
        found.counts[kind] = found.counts.get(kind, 0) + 1
        found.error = error
        found.last_ns = self._clock.time_ns()


def _place(route: RouteLike, names: Names) -> Place:
    return Place(
        route.provider.id,
        names[CREDENTIAL],
        route.model.id,
        names[ACCOUNT],
        bool(names[EGRESS]),
    )
