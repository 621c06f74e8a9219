"""Decide what follows a failed attempt: the same candidate, another one, or the end.

In this order, until a candidate can be asked, the attempts are used up or the deadline
of the call is near:

1. the same one: without what it just refused, with a renewed token, or once more
2. the next candidate of the plan that has a free place and fits the budgets; after a
   request that was too long only a larger model
3. what a fallback rule leads to
4. a candidate that is only full: the call waits in line for it
5. a candidate whose vendor named a short wait: the call waits and asks it again

Part of the pipeline's loop, kept apart for its size.
"""

from __future__ import annotations

import asyncio
import random
from typing import Final

from msgspec.structs import replace

from providers.proxy import seats
from providers.proxy.call import Call
from providers.proxy.chooser import Chooser
from providers.proxy.detours import Detours, has_rules
from providers.proxy.errors import LimitReachedError
from providers.proxy.exchange import Candidate, Failure
from providers.proxy.lessons import MOST_A_CALL, Lessons, refused_field
from providers.proxy.plan import ACCOUNT
from providers.proxy.ports import Parts
from providers.proxy.retry_budget import RetryBudget
from providers.proxy.seats import Full, Seats
from providers.proxy.senses import Senses
from providers.proxy.verdict import INEXPRESSIBLE, LARGER, ORIGIN, REQUEST
from providers.routing import rules
from providers.routing.types import mark_of
from usage.journal import records

_PAUSE_S: Final = (0.02, 0.15)
_JITTER: Final = 1.1
_DIALECT: Final = "dialect"
_TEACHING: Final = frozenset({400, 422})
_WAITING: Final = frozenset({"rate_limit", "overloaded", "unavailable"})


class Failover:
    """Choose the next step of a call; one object serves all calls of a process."""

    __slots__ = (
        "_chooser",
        "_detours",
        "_lessons",
        "_parts",
        "_retries",
        "_seats",
        "_senses",
    )

    def __init__(
        self,
        parts: Parts,
        lessons: Lessons,
        *,
        chooser: Chooser,
        seats: Seats,
        senses: Senses,
        detours: Detours,
    ) -> None:
        self._parts = parts
        self._chooser = chooser
        self._lessons = lessons
        self._seats = seats
        self._senses = senses
        self._detours = detours
        self._retries = RetryBudget()

    def begin(self, call: Call, candidate: Candidate) -> None:
        """Note that a candidate is about to be asked."""
        self._senses.begin(call, candidate)
        if not call.failed or call.decision != records.RETRY_SAME:
            provider_id = candidate.route.provider.id
            self._retries.pay_in(provider_id, call.settings.retry_budget_percent)

    async def first(self, call: Call, candidate: Candidate) -> Candidate:
        """Give the first candidate a place, or find who has one.

        Rules that act before a call are looked at here.

        Errors:  UpstreamError 429 or InternalError 503: everybody is full, and no place
                 came free in time.
        """
        full: list[Full] = []
        if has_rules(call) and await self._detours.before(call, candidate):
            self._parts.health.release(candidate.route)
            found = await self._chooser.seated(call, full)
        elif not seats.is_limited(candidate):
            return candidate
        else:
            taken = await self._seats.take(call, candidate)
            plan = call.plan
            if taken is None or plan is None:
                return candidate
            plan.skip(candidate, taken.reason)
            self._parts.health.release(candidate.route)
            full.append(taken)
            found = await self._chooser.seated(call, full)
        if found is None and full:
            found = await self._chooser.after_waiting(call, full)
        if found is None:
            raise seats.nobody_free(full, call.request.model)
        return found

    async def at_the_limit(
        self, call: Call, error: LimitReachedError
    ) -> Candidate | None:
        """Find who may serve although a budget refused; None when no rule says so."""
        if not has_rules(call):
            return None
        return await self._detours.at_the_limit(call, error)

    async def next(
        self, call: Call, candidate: Candidate, failure: Failure
    ) -> Candidate | None:
        """Learn from a failure and return whom to ask next, None for nobody.

        Shapes:  the failed attempt is settled with the decision when there is a next
                 one; the last attempt is settled together with the request.
        """
        call.watch.rest()
        await self.leave(call)
        is_last = failure.scope == REQUEST or call.is_useful
        self._senses.failed(call, candidate, failure)
        following: Candidate | None = None
        call.pause_s = 0.0
        if await self._is_taught(call, candidate, failure):
            call.decision = records.RETRY_SAME
            call.pause_s = _pause_s()
            following = candidate
        elif is_last:
            call.decision = records.FAIL_FAST
        elif len(call.failed) >= call.settings.max_attempts:
            call.decision = records.EXHAUSTED
        else:
            following = await self._following(call, candidate, failure)
        if following is None:
            return None
        if call.attempt is not None:
            call.recorder.fail(call.attempt, failure, call.decision)
            self._count(call, failure)
        if call.pause_s:
            began = self._parts.clock.monotonic()
            await asyncio.sleep(call.pause_s)
            call.waited_s += self._parts.clock.monotonic() - began
        if call.decision != records.WAIT or await self._chooser.seat(call, following):
            return following
        return None

    async def leave(self, call: Call) -> None:
        """Give back what the candidate of a call held: its place, and being busy."""
        self._senses.end(call)
        if call.seat is not None:
            await self._seats.leave(call)

    def wait_s(self, call: Call) -> float | None:
        """Return when the first of those who failed may be asked again; None = now."""
        waits = []
        for candidate, _ in call.failed:
            cooling = self._parts.health.cooling(candidate.route)
            if cooling is None:
                return None
            if cooling.left_s is not None:
                waits.append(cooling.left_s)
        return min(waits) if waits else None

    async def _is_taught(
        self, call: Call, candidate: Candidate, failure: Failure
    ) -> bool:
        """Find in a 400 what the same candidate shall be asked without."""
        sent = call.sent
        if failure.scope != REQUEST or failure.status not in _TEACHING or sent is None:
            return False
        if call.is_useful or len(call.taught) >= MOST_A_CALL:
            return False
        word = refused_field(failure.detail, sent)
        if word is None or word in call.taught:
            return False
        if not await self._chooser.afford(call, candidate):
            return False
        call.taught |= {word}
        return True

    def understood(self, call: Call, candidate: Candidate) -> None:
        """Remember for later calls what this one was served without."""
        if call.taught:
            call.recorder.facts(self._lessons.learn(candidate, call.taught))

    async def _following(
        self, call: Call, candidate: Candidate, failure: Failure
    ) -> Candidate | None:
        same = await self._same(call, candidate, failure)
        if same is not None:
            call.decision = records.RETRY_SAME
            return same
        plan = call.plan
        if plan is None:  # pragma: no cover - an attempt has a plan
            return None
        call.taught = frozenset()
        if failure.kind == INEXPRESSIBLE:
            plan.skip(candidate, f"{INEXPRESSIBLE}:{failure.reason}")
        if failure.scope == ORIGIN:
            plan.condemn(candidate)
        full: list[Full] = []
        following = await self._chooser.seated(call, full, failure)
        if following is not None:
            call.decision = _decision(candidate, following)
            return following
        following = await self._by_rule(call, candidate, failure)
        if following is not None:
            return following
        if failure.scope == LARGER:
            call.decision = records.FAIL_FAST
            return None
        call.decision = records.EXHAUSTED
        if (
            full
            and (following := await self._chooser.after_waiting(call, full)) is not None
        ):
            call.decision = _decision(candidate, following)
            return following
        return await self._waited(call)

    async def _same(
        self, call: Call, candidate: Candidate, failure: Failure
    ) -> Candidate | None:
        """Return the same candidate where it is worth another try at once."""
        if failure.kind == _DIALECT and call.plan is not None:
            other = call.plan.otherwise(candidate)
            if other is not None and await self._chooser.afford(call, other):
                call.note(f"{_named(candidate)} is asked in {other.wire.id} instead")
                return other
        refreshed = await self._refreshed(call, candidate, failure)
        if refreshed is not None and await self._chooser.afford(call, refreshed):
            call.pause_s = _pause_s()
            return refreshed
        # What the first try cost counts too, so the second needs room of its own.
        if self._may_retry(call, candidate, failure) and await self._chooser.afford(
            call, candidate
        ):
            call.pause_s = _pause_s()
            return candidate
        return None

    async def _by_rule(
        self, call: Call, candidate: Candidate, failure: Failure
    ) -> Candidate | None:
        """Return whom a fallback rule leads to, None when none does."""
        if not has_rules(call):
            return None
        routing = call.settings.routing
        while decision := self._detours.after(call, candidate, failure):
            call.decision = decision
            again = call.again
            if decision != records.WAIT or again is None:
                following = await self._chooser.seated(call, [])
                if following is not None:
                    return following
                continue
            cap_s = min(routing.wait_cap_s, call.watch.left_s)
            call.pause_s = rules.pause_s(again.met.rule, again.tries, cap_s=cap_s)
            if await self._chooser.pays(call, again.candidate):
                return again.candidate
            call.again, call.pause_s = None, 0.0
        return None

    async def _waited(self, call: Call) -> Candidate | None:
        """Wait as a vendor asked and return it, when that is soon and worth a try.

        Each candidate is waited for once, the one that is ready first; its place is
        taken when the wait is over, since others may use it until then.
        """
        best: tuple[float, Candidate] | None = None
        for candidate, failure in call.failed:
            hint = failure.retry_after_s
            if hint is None or failure.kind not in _WAITING:
                continue
            if mark_of(candidate.route) in call.waited_for:
                continue
            if best is None or hint < best[0]:
                best = (hint, candidate)
        if best is None:
            return None
        cap_s = min(call.settings.routing.wait_cap_s, call.watch.left_s)
        if best[0] > cap_s or not await self._chooser.pays(call, best[1]):
            return None
        call.waited_for |= {mark_of(best[1].route)}
        call.decision = records.WAIT
        jitter = random.uniform(1.0, _JITTER)  # noqa: S311 - no secret
        call.pause_s = min(best[0] * jitter, cap_s)
        return best[1]

    def _may_retry(self, call: Call, candidate: Candidate, failure: Failure) -> bool:
        """Allow one more try of the same candidate, once, within the budget."""
        if not failure.is_transient:
            return False
        tried = sum(1 for each, _ in call.failed if each.route is candidate.route)
        if tried > 1 or self._parts.health.cooling(candidate.route) is not None:
            return False
        return self._retries.take(candidate.route.provider.id)

    async def _refreshed(
        self, call: Call, candidate: Candidate, failure: Failure
    ) -> Candidate | None:
        """Get a newer token for an account whose token was refused, once a call."""
        credential = candidate.route.credential
        if failure.kind != "auth" or credential is None or credential.kind != ACCOUNT:
            return None
        if credential.id in call.refreshed:
            return None
        call.refreshed |= {credential.id}
        newer = await self._parts.tokens.refresh(
            credential.id, seen_version=credential.token_version
        )
        if newer is None or newer.token_version <= credential.token_version:
            return None
        return replace(candidate, route=replace(candidate.route, credential=newer))

    def _count(self, call: Call, failure: Failure) -> None:
        attempt = call.attempt
        if attempt is not None:
            seconds = self._parts.clock.monotonic() - attempt.started_at
            slug = attempt.candidate.target.provider_slug
            self._parts.metrics.attempt_finished(slug, failure.outcome, seconds=seconds)


def _named(candidate: Candidate) -> str:
    return f"{candidate.route.provider.slug}/{candidate.route.model.model_id}"


def _pause_s() -> float:
    return random.uniform(*_PAUSE_S)  # noqa: S311 - jitter, not a secret


def _decision(candidate: Candidate, following: Candidate) -> str:
    """Name the step in the words of the attempt trail."""
    if following.route.provider.id != candidate.route.provider.id:
        return records.NEXT_PROVIDER
    if following.route.model.id != candidate.route.model.id:
        return records.NEXT_MODEL
    return records.NEXT_CREDENTIAL
