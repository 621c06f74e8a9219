"""Settle what a killed process left open, from what it had written down.

Pure: records in, settles out. The ids of attempts and requests make it harmless to
settle the same orphan twice, or one whose settle turns up after all.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from pricing.cost import cost_nano_usd
from pricing.tokens import EMPTY, TokenUsage, add
from usage.journal.records import (
    CRASHED,
    AttemptIntent,
    AttemptSettle,
    Progress,
    Record,
    RequestHead,
    RequestSettle,
    Settle,
)
from usage.journal.typical import Typical

ERROR_CODE: Final = "process_crashed"
_STATUS: Final = 500
_ACCEPTED: Final = 200
_IN_CALL: Final = "The process ended before the attempt did."
_IN_ANSWER: Final = "The answer had begun when the process ended."
_REMEMBERED: Final = 65_536
_NANO_PER_MS: Final = 1_000_000


class _OpenRequest:
    """A request whose final settle was not seen, with the sums of its attempts."""

    __slots__ = ("attempts", "cost_nano", "head", "is_unpriced", "segment", "usage")

    def __init__(self, head: RequestHead, segment: int) -> None:
        self.head = head
        self.segment = segment
        self.attempts = 0
        self.usage = EMPTY
        self.cost_nano: int | None = None
        self.is_unpriced = False

    def count(self, attempt: AttemptSettle) -> None:
        self.attempts += 1
        if attempt.usage is not None:
            self.usage = add(self.usage, attempt.usage)
        if attempt.cost_nano is not None:
            self.cost_nano = (self.cost_nano or 0) + attempt.cost_nano
        elif attempt.usage is not None:
            self.is_unpriced = True


class _OpenAttempt:
    """An attempt whose settle was not seen, and the request it belongs to."""

    __slots__ = ("intent", "progress", "request")

    def __init__(self, intent: AttemptIntent, request: _OpenRequest) -> None:
        self.intent = intent
        self.request = request
        self.progress: Progress | None = None


class _RecentIds:
    """The last ids that were added, as many as fit."""

    __slots__ = ("_ids",)

    def __init__(self) -> None:
        self._ids: dict[str, None] = {}

    def __contains__(self, closed_id: str) -> bool:
        return closed_id in self._ids

    def add(self, closed_id: str) -> None:
        self._ids[closed_id] = None
        if len(self._ids) > 2 * _REMEMBERED:
            # In one go: a dictionary finds its first key slowly after many deletions.
            self._ids = dict.fromkeys(list(self._ids)[_REMEMBERED:])


class OpenWork:
    """Follow a journal and know at any time what in it is still open.

    Shapes:  ``typical`` is what buffered answers usually come to; journals may share
             it, without one it is learned from this journal alone.
    Cost: one dictionary entry for an open attempt or request; ids of the last 65,536
        closed ones are remembered, because a failing disk can make the writer repeat
        an intent after its settle.
    """

    def __init__(self, typical: Typical | None = None) -> None:
        self._typical = Typical() if typical is None else typical
        self._seen_ns = 0
        self._attempts: dict[str, _OpenAttempt] = {}
        self._requests: dict[str, _OpenRequest] = {}
        self._closed_attempts = _RecentIds()
        self._closed_requests = _RecentIds()

    def feed(self, record: Record, segment: int = 0) -> None:
        """Take the next record in order; ``segment`` is where it was read."""
        if isinstance(record, AttemptIntent):
            self._begin(record, segment)
        elif isinstance(record, Progress):
            opened = self._attempts.get(record.attempt_id)
            if opened is not None:
                opened.progress = record
            self._seen_ns = max(self._seen_ns, record.at_ns)
        elif isinstance(record, Settle):
            self._settle(record)

    def oldest_segment(self) -> int | None:
        """Return the first segment that is still needed to settle an orphan."""
        return min((each.segment for each in self._requests.values()), default=None)

    def crashed(self) -> list[Settle]:
        """Close everything open as crashed; the work is empty afterwards.

        Shapes:  one settle an attempt, the request's own in its last attempt's; a
                 request killed between two attempts gets a settle of its own.
        """
        ends: dict[str, int] = {}
        firsts: dict[str, int] = {}
        last: dict[str, Settle] = {
            request_id: Settle(head=opened.head)
            for request_id, opened in self._requests.items()
        }
        settles: list[Settle] = []
        for each in self._attempts.values():
            attempt = _crashed_attempt(each.intent, each.progress, self._unseen(each))
            each.request.count(attempt)
            settle = Settle(head=each.request.head, attempt=attempt)
            request_id = attempt.request_id
            if each.progress is not None:
                ends[request_id] = each.progress.at_ns
            if attempt.ttft_ms is not None:
                before = (attempt.started_at_ns - settle.head.at_ns) // _NANO_PER_MS
                firsts[request_id] = max(0, before) + attempt.ttft_ms
            # Only the last of a request's attempts waits to carry its settle.
            if (waiting := last.get(request_id)) is None:
                settles.append(settle)
                continue
            if waiting.attempt is not None:
                settles.append(waiting)
            last[request_id] = settle
        for request_id, closing in last.items():
            request = _crashed_request(
                self._requests[request_id],
                ends.get(request_id),
                firsts.get(request_id),
            )
            settles.append(msgspec.structs.replace(closing, request=request))
        for settle in settles:
            self._settle(settle)
        return settles

    def _unseen(self, opened: _OpenAttempt) -> int | None:
        """Return what a buffered answer had brought when its process died."""
        if opened.request.head.stream:
            return None
        return self._typical.output_tokens(opened.intent, self._seen_ns)

    def _begin(self, intent: AttemptIntent, segment: int) -> None:
        self._seen_ns = max(self._seen_ns, intent.started_at_ns)
        if intent.attempt_id in self._closed_attempts:
            return
        if intent.request_id in self._closed_requests:
            return
        request = self._requests.get(intent.request_id)
        if request is None:
            # Without its head the request is still worth a row: the money is known.
            head = intent.head or RequestHead(
                request_id=intent.request_id, at_ns=intent.started_at_ns
            )
            request = _OpenRequest(head, segment)
            self._requests[intent.request_id] = request
        if intent.attempt_id not in self._attempts:
            self._attempts[intent.attempt_id] = _OpenAttempt(intent, request)

    def _settle(self, settle: Settle) -> None:
        request_id = settle.head.request_id
        attempt = settle.attempt
        if attempt is not None and attempt.latency_ms is not None:
            ended_ns = attempt.started_at_ns + attempt.latency_ms * _NANO_PER_MS
            self._seen_ns = max(self._seen_ns, ended_ns)
            self._typical.learn(settle)
        if attempt is not None and attempt.attempt_id not in self._closed_attempts:
            self._attempts.pop(attempt.attempt_id, None)
            self._closed_attempts.add(attempt.attempt_id)
            opened = self._requests.get(request_id)
            if opened is not None:
                opened.count(attempt)
        if settle.request is not None:
            self._requests.pop(request_id, None)
            self._closed_requests.add(request_id)


def orphans(records: Iterable[Record]) -> list[Settle]:
    """Return the settles that a dead writer's records are missing."""
    work = OpenWork()
    for record in records:
        work.feed(record)
    return work.crashed()


def _crashed_attempt(
    intent: AttemptIntent, progress: Progress | None, unseen_tokens: int | None
) -> AttemptSettle:
    """Estimate one orphan: what was reported, the rest from the bytes seen.

    Without any the output is what a buffered answer had probably come to.

    The cost stays within the reservation: the pool must not bill, on a guess, more
    than was set aside for the call.
    """
    usage = _estimated_usage(intent, progress, unseen_tokens)
    cost = cost_nano_usd(usage, intent.price.spec)
    if cost is not None and intent.reservation_nano is not None:
        cost = min(cost, intent.reservation_nano)
    latency: int | None = None
    has_begun = progress is not None and progress.first_event
    if progress is not None:
        latency = max(0, progress.at_ns - intent.started_at_ns) // _NANO_PER_MS
    return AttemptSettle(
        request_id=intent.request_id,
        attempt_id=intent.attempt_id,
        attempt_no=intent.attempt_no,
        started_at_ns=intent.started_at_ns,
        target=intent.target,
        outcome=CRASHED,
        status=_ACCEPTED if has_begun else None,
        error_class=CRASHED,
        reason=_IN_ANSWER if has_begun else _IN_CALL,
        usage=None if usage.is_empty else usage,
        estimated=True,
        cost_nano=cost,
        price=intent.price,
        reservation_nano=intent.reservation_nano,
        latency_ms=latency,
        ttft_ms=None if progress is None else progress.ttft_ms,
        budget_deltas=tuple((*ref, cost) for ref in intent.budgets) if cost else (),
    )


def _estimated_usage(
    intent: AttemptIntent, progress: Progress | None, unseen_tokens: int | None
) -> TokenUsage:
    seen = EMPTY
    output = unseen_tokens
    if progress is not None:
        seen = progress.usage or EMPTY
        # A vendor's early report counts the output of that moment, not of the end.
        counts = (seen.output_tokens, progress.estimated_output_tokens)
        output = max((each for each in counts if each is not None), default=None)
    has_input = seen.prompt_tokens > 0
    return msgspec.structs.replace(
        seen,
        input_tokens=seen.input_tokens if has_input else intent.input_estimate_tokens,
        output_tokens=output,
    )


def _crashed_request(
    opened: _OpenRequest, end_ns: int | None, ttft_ms: int | None
) -> RequestSettle:
    latency: int | None = None
    if end_ns is not None:
        latency = max(0, end_ns - opened.head.at_ns) // _NANO_PER_MS
    return RequestSettle(
        status=_STATUS,
        outcome=CRASHED,
        error_code=ERROR_CODE,
        attempts=opened.attempts,
        usage=None if opened.usage.is_empty else opened.usage,
        cost_nano=opened.cost_nano,
        unpriced=opened.is_unpriced,
        estimated=True,
        latency_ms=latency,
        ttft_ms=ttft_ms,
    )
