"""Tell the live views of routes how attempts went: cooldowns, speed, allowance.

A failure goes to the cooldowns and makes a route count as slower. A success goes there
with its wait for the first useful event: an upstream that serves but slowly is not
cooled, it only loses to faster equals wherever routes are compared by their pulse.
Whatever a vendor says of its allowance is noted with either. Where nobody listens, as
in a pool that compares nothing and in which nothing failed, nothing is said.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from providers.proxy.billing import Attempt
from providers.proxy.call import Call
from providers.proxy.exchange import Candidate, Failure
from providers.proxy.ports import Parts
from providers.proxy.verdict import INEXPRESSIBLE
from providers.routing.accounts import account_of
from providers.routing.quota_signal import QuotaSignal, quota_signal
from providers.routing.steps import STEPS

_UNTOLD_S: Final = 60.0


class Senses:
    """One object a process; members cost a microsecond or two, less where all is well."""

    __slots__ = ("_parts",)

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def begin(self, call: Call, candidate: Candidate) -> None:
        """Note that a candidate is about to be asked."""
        self._parts.health.begin(candidate.route)
        pulse = self._parts.pulse
        if pulse.is_wanted:
            pulse.begin(candidate.route)
            call.felt = candidate.route
        if candidate.panic:
            name = f"{candidate.target.provider_slug}/{candidate.target.upstream_model}"
            call.note(f"panic: {name} is asked although it rests ({candidate.panic})")

    def end(self, call: Call) -> None:
        """Note that the call of a candidate is over, however it ended."""
        if call.felt is not None:
            self._parts.pulse.end(call.felt)
            call.felt = None

    def served(self, attempt: Attempt, headers: Mapping[str, str]) -> None:
        """Learn from an answer that is good so far."""
        route, first = attempt.candidate.route, attempt.tally.first_event_at
        health, pulse = self._parts.health, self._parts.pulse
        if pulse.is_wanted and first is not None:
            pulse.served(route, first - attempt.started_at)
        if len(route.provider.credentials) > 1:
            health.belongs(route, account_of(headers))
        if health.is_calm and not pulse.is_wanted:
            return
        signal = quota_signal(headers, now_s=self._parts.clock.time_ns() / 1e9)
        self._quota(attempt.candidate, signal)
        if signal is not None:
            health.hear(route, left=signal.remaining, reset_s=signal.reset_s)

    def failed(self, call: Call, candidate: Candidate, failure: Failure) -> None:
        """Learn from a failure; one of the request says nothing about the upstream."""
        self._quota(candidate, failure.signal)
        word = health_word(failure)
        if not word:
            # Where this was the one try after a cooldown, the next is anybody's.
            self._parts.health.release(candidate.route)
            return
        self._parts.pulse.failed(candidate.route)
        facts = self._parts.health.report(
            candidate.route,
            word,
            retry_after_s=failure.retry_after_s,
            reason=failure.reason,
        )
        call.recorder.facts(facts)

    def _quota(self, candidate: Candidate, signal: QuotaSignal | None) -> None:
        if signal is None or not self._parts.pulse.is_wanted:
            return
        left_s = _UNTOLD_S if signal.reset_s is None else signal.reset_s
        until = self._parts.clock.monotonic() + left_s
        self._parts.pulse.quota(candidate.route, signal.remaining, until=until)


def health_word(failure: Failure) -> str:
    """Return the word the health view takes for a failure, blank for none."""
    if failure.kind == INEXPRESSIBLE:
        return ""
    step = STEPS.get(failure.kind)
    return failure.kind if step is None else step.health
