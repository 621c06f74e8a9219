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
=================================  ================  ===================================

An answer of one credential says nothing about its neighbours: one bad one among three
must not be forgiven because the others work, nor condemn them. When the time is over one request may try (``begin``); its success closes the cooldown,
its failure opens the next longer one. Counts are forgotten after five quiet minutes.
The last usable route is never withheld: see ``least_bad``.

Everything is in memory. Changes leave as facts for the journal and come back by
``load`` after a restart.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

import msgspec

from poolsite.clock import NANOSECONDS_PER_SECOND, Clock
from providers.routing.cooldowns import CooldownSettings, Rule, rules_of
from providers.routing.types import RouteLike
from usage.journal.records import Fact

COOLDOWN_FACT: Final = "cooldown"
OK: Final = "ok"
PROBING: Final = "probing"
"""Why a route is left alone whose rate limit is over and whose first call runs yet."""

_SEVERITY: Final = {"quota": 2, "auth": 3, "unreadable": 4}
_MOST_STATES: Final = 50_000
R = TypeVar("R", bound=RouteLike)


class Cooling(msgspec.Struct, frozen=True, gc=False):
    """Why a route is to be left alone, and for how long.

    Units:   ``left_s`` seconds, None = waiting does not help, a person must act.
    """

    reason: str
    left_s: float | None
    subject: str = ""


class State(msgspec.Struct, gc=False):
    """What is remembered of one subject.

    Units:   monotonic seconds; ``until`` 0 = not cooling. ``probe_until`` is the end
             of a try in progress.
    """

    reason: str
    count: int = 0
    transient_count: int = 0
    until: float = 0.0
    last: float = 0.0
    probe_until: float = 0.0


class Health:
    """Cooldowns of one process.

    Cost:  ``cooling`` four dictionary reads; ``report`` of an ``ok`` the same.
    """

    def __init__(self, clock: Clock, settings: CooldownSettings | None = None) -> None:
        self._clock = clock
        self._settings = settings or CooldownSettings()
        self._rules = rules_of(self._settings)
        self._states: dict[str, State] = {}

    def cooling(self, route: RouteLike) -> Cooling | None:
        """Return what keeps a route from being tried now, None when nothing does.

        Of several reasons the one that lasts longest counts.
        """
        states = self._states
        if not states:
            return None
        now = self._clock.monotonic()
        credential = route.credential
        if credential is not None and credential.revived_at_s is not None:
            self._revive(route, credential.revived_at_s, now)
        worst: Cooling | None = None
        for subject in _subjects(route):
            state = states.get(subject)
            if state is None:
                continue
            left = max(state.until, state.probe_until) - now
            if left > 0 and (worst is None or left > (worst.left_s or 0.0)):
                needs_person = state.reason in ("auth", "unreadable")
                reason = state.reason
                if reason == "rate_limit" and state.until <= now:
                    # Others go first, but nobody is sent away for the sake of a probe.
                    reason = PROBING
                worst = Cooling(reason, None if needs_person else left, subject)
                if needs_person:
                    return worst
        return worst

    def _revive(self, route: RouteLike, at_s: float, now: float) -> None:
        """Forget what a credential did before a person said that it works."""
        wall = self._clock.time_ns() / NANOSECONDS_PER_SECOND
        for subject in _subjects(route)[2:]:
            state = self._states.get(subject)
            if state is not None and wall - (now - state.last) < at_s:
                del self._states[subject]

    def begin(self, route: RouteLike) -> None:
        """Say that a route is about to be tried.

        After a cooldown the first one who tries keeps others away until its result is
        known, or for ``probe_s``: a broken upstream meets one request, not a burst.
        """
        if not self._states:
            return
        now = self._clock.monotonic()
        for subject in _subjects(route):
            state = self._states.get(subject)
            if state is not None and state.until > 0:
                state.probe_until = now + self._settings.probe_s

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
                 release does not know changes nothing.
        """
        if kind == OK:
            return self._recover(route) if self._states else ()
        if kind not in self._rules:
            return ()
        return self._fail(route, kind, retry_after_s)

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

    def clear(self, subject: str) -> bool:
        """Forget one subject, as an operator asks; tell whether it was known."""
        return self._states.pop(subject, None) is not None

    def load(self, facts: Iterable[tuple[str, Mapping[str, Any]]]) -> int:
        """Take over cooldowns remembered from before; return how many still hold.

        Shapes:  pairs of fact key and payload, as ``report`` made them. What cannot
                 be read is skipped.
        """
        taken = 0
        now_wall = self._clock.time_ns() / NANOSECONDS_PER_SECOND
        now = self._clock.monotonic()
        for subject, payload in facts:
            try:
                left = float(payload["until_s"]) - now_wall
                state = State(str(payload["reason"]), int(payload.get("count", 1)))
            except (KeyError, TypeError, ValueError, OverflowError):
                continue
            # A clock that was set wrong must not park anything for years.
            if left > 0:
                state.until = now + min(left, self._settings.hint_max_s)
                state.last = now
                state.transient_count = state.count
                self._states[subject] = state
                taken += 1
        return taken

    def states(self) -> dict[str, Cooling]:
        """Return everything that is cooling now, by subject, for screens and metrics."""
        now = self._clock.monotonic()
        return {
            subject: Cooling(state.reason, state.until - now, subject)
            for subject, state in self._states.items()
            if state.until > now
        }

    def _fail(
        self, route: RouteLike, kind: str, hint_s: float | None
    ) -> Sequence[Fact]:
        rule = self._rules[kind]
        subject = _subjects(route)[rule.subject]
        now = self._clock.monotonic()
        state = self._states.get(subject)
        if state is None:
            if len(self._states) >= _MOST_STATES:
                self._forget_quiet(now)
            state = self._states[subject] = State(kind)
        elif now - max(state.last, state.until) > rule.reset_after_s:
            state.count = state.transient_count = 0
        state.last = now
        state.probe_until = 0.0
        # While it is open, calls that began before fail too; they say nothing new.
        if state.until <= now or hint_s is not None:
            state.count += 1
            state.transient_count += rule.is_transient
            return self._open(route, subject, kind, _wait(state, rule, hint_s))
        return ()

    def _open(
        self, route: RouteLike, subject: str, kind: str, wait_s: float
    ) -> Sequence[Fact]:
        """Leave a subject alone for a while, unless it already is for longer."""
        state = self._states[subject]
        until = self._clock.monotonic() + wait_s
        if wait_s <= 0 or until <= state.until:
            return ()
        state.reason = kind
        state.until = until
        return (self._fact(route, subject, state, wait_s),)

    def _recover(self, route: RouteLike) -> Sequence[Fact]:
        facts = []
        now = self._clock.monotonic()
        for subject in _subjects(route):
            state = self._states.get(subject)
            if state is None:
                continue
            rule = self._rules.get(state.reason)
            is_open = state.until > now and not state.probe_until
            if is_open and rule is not None and rule.is_sticky:
                continue
            del self._states[subject]
            if state.until > 0:
                facts.append(self._fact(route, subject, state, None))
        return facts

    def _forget_quiet(self, now: float) -> None:
        """Make room: drop what neither cools nor failed lately."""
        limit = now - self._settings.reset_after_s
        quiet = [s for s, v in self._states.items() if max(v.until, v.last) < limit]
        for subject in quiet or list(self._states)[: _MOST_STATES // 10]:
            del self._states[subject]

    def _fact(
        self, route: RouteLike, subject: str, state: State, wait_s: float | None
    ) -> Fact:
        """Word a change for the journal; ``until_s`` None = it is over."""
        at_ns = self._clock.time_ns()
        until = None if wait_s is None else at_ns / NANOSECONDS_PER_SECOND + wait_s
        credential = route.credential
        payload = {
            "reason": state.reason,
            "until_s": until,
            "count": state.count,
            "provider_id": route.provider.id,
            "model_id": route.model.id,
            "credential_kind": None if credential is None else credential.kind,
            "credential_id": None if credential is None else credential.id,
        }
        return Fact(kind=COOLDOWN_FACT, key=subject, at_ns=at_ns, payload=payload)


def _wait(state: State, rule: Rule, hint_s: float | None) -> float:
    count = state.transient_count if rule.is_transient else state.count
    return rule.wait_s(count, hint_s)


def _subjects(route: RouteLike) -> tuple[str, ...]:
    """Name everything whose cooldown concerns a route, in the order of ``cooldowns``."""
    provider_id, model_id = route.provider.id, route.model.id
    credential = route.credential
    own = "-" if credential is None else f"{credential.kind}:{credential.id}"
    return (
        f"provider:{provider_id}",
        f"model:{model_id}",
        f"credential:{provider_id}:{own}",
        f"limit:{provider_id}:{own}:{model_id}",
    )
