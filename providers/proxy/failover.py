"""Decide what follows a failed attempt: the same candidate, another one, or the end.

Part of the pipeline's loop, kept apart for its size.
"""

from __future__ import annotations

import asyncio
import random
from typing import Final

from msgspec.structs import replace

from providers.proxy import admit
from providers.proxy.admit import Admitter
from providers.proxy.call import Call
from providers.proxy.exchange import Candidate, Failure
from providers.proxy.lessons import MOST_A_CALL, Lessons, refused_field
from providers.proxy.plan import ACCOUNT, OVER_BUDGET
from providers.proxy.ports import Parts
from providers.proxy.retry_budget import RetryBudget
from providers.proxy.verdict import INEXPRESSIBLE, ORIGIN, REQUEST
from usage.journal import records

_PAUSE_S: Final = (0.02, 0.15)
_NEXT_MODEL: Final = "next_model"
_TEACHING: Final = frozenset({400, 422})


class Failover:
    """Choose the next step of a call; one object serves all calls of a process."""

    __slots__ = ("_admitter", "_lessons", "_parts", "_retries")

    def __init__(self, parts: Parts, admitter: Admitter, lessons: Lessons) -> None:
        self._parts = parts
        self._admitter = admitter
        self._lessons = lessons
        self._retries = RetryBudget()

    def begin(self, call: Call, candidate: Candidate) -> None:
        """Note that a candidate is about to be asked."""
        self._parts.health.begin(candidate.route)
        if not call.failed or call.decision != records.RETRY_SAME:
            provider_id = candidate.route.provider.id
            self._retries.pay_in(provider_id, call.settings.retry_budget_percent)

    async def next(
        self, call: Call, candidate: Candidate, failure: Failure
    ) -> Candidate | None:
        """Learn from a failure and return whom to ask next, None for nobody.

        Shapes:  the failed attempt is settled with the decision when there is a next
                 one; the last attempt is settled together with the request.
        """
        is_last = failure.scope == REQUEST or call.is_useful
        self._learn(call, candidate, failure)
        following: Candidate | None = None
        if await self._is_taught(call, candidate, failure):
            call.decision = records.RETRY_SAME
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
        if call.decision == records.RETRY_SAME:
            pause_s = random.uniform(*_PAUSE_S)  # noqa: S311 - jitter, not a secret
            await asyncio.sleep(pause_s)
        return following

    def _learn(self, call: Call, candidate: Candidate, failure: Failure) -> None:
        """Tell the health view; a fault of the request says nothing about it."""
        if failure.scope == REQUEST or failure.kind == INEXPRESSIBLE:
            return
        facts = self._parts.health.report(
            candidate.route,
            failure.kind,
            retry_after_s=failure.retry_after_s,
            reason=failure.reason,
        )
        call.recorder.facts(facts)

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
        if not await self._afford(call, candidate):
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
        refreshed = await self._refreshed(call, candidate, failure)
        if refreshed is not None and await self._afford(call, refreshed):
            call.decision = records.RETRY_SAME
            return refreshed
        # What the first try cost counts too, so the second needs room of its own.
        if self._may_retry(call, candidate, failure) and await self._afford(
            call, candidate
        ):
            call.decision = records.RETRY_SAME
            return candidate
        plan = call.plan
        if plan is None:  # pragma: no cover - an attempt has a plan
            return None
        call.taught = frozenset()
        if failure.kind == INEXPRESSIBLE:
            plan.skip(candidate, f"{INEXPRESSIBLE}:{failure.reason}")
        if failure.scope == ORIGIN:
            plan.condemn(candidate)
        following = plan.next()
        while following is not None and not await self._afford(call, following):
            plan.skip(following, OVER_BUDGET)
            following = plan.next()
        call.decision = _decision(candidate, following)
        return following

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
        call.refreshed.add(credential.id)
        newer = await self._parts.tokens.refresh(
            credential.id, seen_version=credential.token_version
        )
        if newer is None or newer.token_version <= credential.token_version:
            return None
        return replace(candidate, route=replace(candidate.route, credential=newer))

    async def _afford(self, call: Call, candidate: Candidate) -> bool:
        """Reserve what the next candidate may cost beside what was spent."""
        admission, limited = call.admission, call.limited
        if admission is None or limited is None:  # pragma: no cover - admitted before
            return False
        reservation = admit.size(
            call.request,
            candidate,
            call.caller.key,
            call.settings,
            admission.input_estimate_tokens,
        )
        spent = call.recorder.spent_nano + call.unsettled_nano()
        changed = await self._admitter.change(
            admission, limited, spent_nano=spent, reservation=reservation
        )
        if changed is None:
            return False
        call.admission = changed
        return True

    def _count(self, call: Call, failure: Failure) -> None:
        attempt = call.attempt
        if attempt is not None:
            seconds = self._parts.clock.monotonic() - attempt.started_at
            slug = attempt.candidate.target.provider_slug
            self._parts.metrics.attempt_finished(slug, failure.outcome, seconds=seconds)


def _decision(candidate: Candidate, following: Candidate | None) -> str:
    """Name the step in the words of the attempt trail."""
    if following is None:
        return records.EXHAUSTED
    if following.route.provider.id != candidate.route.provider.id:
        return records.NEXT_PROVIDER
    if following.route.model.id != candidate.route.model.id:
        return _NEXT_MODEL
    return records.NEXT_CREDENTIAL
