"""Room 7: write down what happened; every call and every attempt exactly once.

The journal is written synchronously, so nothing can come between deciding that a call
is over and having it on record. What waits (a flush, a shared limit store) comes after.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import Final

from poolsite.clock import Clock
from pricing.estimate import estimate_output_tokens
from pricing.tokens import TokenUsage, add
from providers.formats.base import ChatRequest
from providers.proxy.billing import (
    Attempt,
    Bill,
    bill_attempt,
    budget_deltas,
    reserved_nano,
)
from providers.proxy.errors import InternalError
from providers.proxy.exchange import (
    Caller,
    Failure,
    Inbound,
    Skip,
    Tally,
)
from providers.proxy.ports import JournalPort, LimitStore
from usage.journal import records
from usage.journal.records import (
    AttemptIntent,
    AttemptSettle,
    Fact,
    Progress,
    RequestHead,
    RequestSettle,
    Settle,
)
from usage.limits.contract import LimitStoreError, Ticket, Used

_NANO_PER_MS: Final = 1_000_000
_SETTLE_WITHIN_S: Final = 5.0
_LONGEST_WORD: Final = 200
_log: Final = logging.getLogger("providers.proxy.record")


class Recorder:
    """Keep the books of one client call.

    Shapes:  ``is_closed`` = the request is settled; whatever comes later is ignored.
    """

    __slots__ = (
        "_caller",
        "_clock",
        "_cost_nano",
        "_estimate_tokens",
        "_head",
        "_inbound",
        "_is_estimated",
        "_journal",
        "_mode",
        "_request",
        "_session",
        "_strategy",
        "_usage",
        "attempts",
        "is_closed",
        "is_unpriced",
        "notes",
        "overhead_us",
        "skipped",
        "ttft_ms",
    )

    def __init__(
        self, journal: JournalPort, clock: Clock, inbound: Inbound, caller: Caller
    ) -> None:
        self._journal = journal
        self._clock = clock
        self._inbound = inbound
        self._caller = caller
        self._request: ChatRequest | None = None
        self._session = caller.session
        self._strategy = self._mode = ""
        self._estimate_tokens: int | None = None
        self._head: RequestHead | None = None
        self._usage: TokenUsage | None = None
        self._cost_nano: int | None = None
        self._is_estimated = False
        self.is_unpriced = False
        self.attempts = 0
        self.is_closed = False
        self.skipped: tuple[str, ...] = ()
        self.notes: list[str] = []
        self.overhead_us: int | None = None
        self.ttft_ms: int | None = None

    @property
    def spent_nano(self) -> int:
        """Return what the attempts so far have cost."""
        return self._cost_nano or 0

    @property
    def session(self) -> str:
        """Return the session the call belongs to, as far as it is known by now."""
        return self._session

    @property
    def head(self) -> RequestHead:
        """Return who asked for what, as far as it is known by now."""
        if self._head is None:
            self._head = self._made_head()
        return self._head

    def describe(self, request: ChatRequest, late_session: str) -> None:
        """Add what the body says about the call.

        Shapes:  ``late_session`` comes from headers that count less than the body.
        """
        self._head = None
        self._request = request
        if not self._session:
            found = request.session or late_session or request.prompt_cache_key
            self._session = (found or "")[:_LONGEST_WORD]

    def estimate(self, input_tokens: int) -> None:
        """Note the estimate the reservation was made with."""
        self._head = None
        self._estimate_tokens = input_tokens

    def chosen(self, strategy: str, mode: str) -> None:
        """Note by which strategy and in which mode the call is routed."""
        self._head = None
        self._strategy, self._mode = strategy, mode

    def note_skips(self, skips: Iterable[Skip]) -> None:
        """Keep who was passed over and why, for the trail of the request."""
        self.skipped = tuple(_skip(skip) for skip in skips)

    def _made_head(self) -> RequestHead:
        inbound, caller, request = self._inbound, self._caller, self._request
        return RequestHead(
            request_id=inbound.request_id,
            at_ns=inbound.received_at_ns,
            client_key_id=caller.key.id or None,
            team_id=caller.key.team_id,
            purpose=caller.purpose,
            dialect=inbound.wire.id,
            asked_model="" if request is None else request.model[:_LONGEST_WORD],
            stream=request is not None and request.stream,
            session=self._session,
            agent=caller.agent,
            end_user=_cut(None if request is None else request.end_user),
            needs=0 if request is None else request.needs,
            input_estimate_tokens=self._estimate_tokens,
            mode=self._mode,
            strategy=self._strategy,
            replay_of=caller.replay_of,
        )

    async def begin(self, attempt: Attempt) -> None:
        """Write the intent: before the upstream sees a byte of it.

        Errors:  InternalError 503 when it cannot be written: what cannot be recorded
                 is not done.
        """
        admission = attempt.admission
        self.attempts += 1
        head = self.head
        intent = AttemptIntent(
            request_id=head.request_id,
            attempt_id=attempt.id,
            attempt_no=attempt.number,
            started_at_ns=attempt.started_at_ns,
            target=attempt.candidate.target,
            head=head if attempt.number == 1 else None,
            reservation_nano=reserved_nano(attempt),
            input_estimate_tokens=admission.input_estimate_tokens,
            price=attempt.price,
            budgets=admission.budgets,
        )
        try:
            await self._journal.append_durable(intent)
        except OSError as error:
            raise InternalError(
                "Requests cannot be recorded at the moment.",
                status=503,
                code="cannot_record",
                retry_after_s=5.0,
            ) from error

    def progress(self, attempt: Attempt, text_bytes: int, out_bytes: int) -> None:
        """Note how far a stream has come, for the bill of a killed process."""
        model = attempt.candidate.route.model.model_id
        record = Progress(
            request_id=self.head.request_id,
            attempt_id=attempt.id,
            at_ns=self._clock.time_ns(),
            output_bytes=out_bytes,
            estimated_output_tokens=estimate_output_tokens(text_bytes, model),
            first_event=True,
            ttft_ms=_ttft_ms(attempt),
        )
        self._write(record)

    def facts(self, learned: Iterable[Fact]) -> None:
        """Write what was learned about an upstream."""
        for fact in learned:
            self._write(fact)

    def fail(self, attempt: Attempt, failure: Failure, decision: str) -> None:
        """Settle an attempt that is not the request's last."""
        if attempt.is_settled or self.is_closed:
            return
        settled = self._settle_attempt(attempt, failure.outcome, failure, decision)
        self._write(Settle(head=self.head, attempt=settled))

    async def close(
        self,
        *,
        status: int,
        outcome: str,
        error_code: str = "",
        last: Attempt | None = None,
        failure: Failure | None = None,
        decision: str = "",
    ) -> bool:
        """Settle the request and, in the same record, its last attempt.

        Returns False when it was settled before. The record is written before the
        first suspension, so a cancelled caller has settled all the same.
        """
        if self.is_closed:
            return False
        self.is_closed = True
        settled: AttemptSettle | None = None
        serving: str | None = None
        if last is not None and not last.is_settled:
            settled = self._settle_attempt(last, outcome, failure, decision)
        if last is not None and decision == records.SERVED:
            serving = last.id
        head, now_ns = self.head, self._clock.time_ns()
        record = Settle(
            head=head,
            attempt=settled,
            request=RequestSettle(
                status=status,
                outcome=outcome,
                error_code=error_code,
                serving_attempt_id=serving,
                attempts=self.attempts,
                usage=self._usage,
                cost_nano=self._cost_nano,
                unpriced=self.is_unpriced,
                estimated=self._is_estimated,
                latency_ms=max(0, now_ns - head.at_ns) // _NANO_PER_MS,
                ttft_ms=self.ttft_ms,
                overhead_us=self.overhead_us,
                skipped=self.skipped,
                notes=tuple(self.notes),
            ),
        )
        try:
            await self._journal.append_durable(record)
        except OSError:
            _log.exception("settle_not_written", extra={"id": head.request_id})
        return True

    def used(self) -> Used:
        """Return what the limits settle with."""
        usage = self._usage
        return Used(
            tokens=None if usage is None else usage.total_tokens,
            cost_nano=self._cost_nano,
        )

    def _settle_attempt(
        self,
        attempt: Attempt,
        outcome: str,
        failure: Failure | None,
        decision: str,
    ) -> AttemptSettle:
        """Bill an attempt, once, and add it to the sums of the request."""
        attempt.is_settled = True
        head, tally = self.head, attempt.tally
        bill = bill_attempt(attempt, failure)
        self._add(bill)
        ended = self._clock.monotonic()
        ttft_ms = _ttft_ms(attempt)
        if ttft_ms is not None:
            before = (attempt.started_at_ns - head.at_ns) // _NANO_PER_MS
            self.ttft_ms = max(0, before) + ttft_ms
        return AttemptSettle(
            request_id=head.request_id,
            attempt_id=attempt.id,
            attempt_no=attempt.number,
            started_at_ns=attempt.started_at_ns,
            target=attempt.candidate.target,
            outcome=outcome if failure is None else failure.outcome,
            decision=decision,
            status=_status(tally, failure),
            error_class="" if failure is None else failure.kind,
            reason="" if failure is None else failure.reason,
            usage=bill.usage,
            estimated=bill.is_estimated,
            cost_nano=bill.cost_nano,
            vendor_cost=bill.vendor_cost,
            service_tier=tally.service_tier,
            price=bill.price,
            reservation_nano=reserved_nano(attempt),
            latency_ms=max(0, round((ended - attempt.started_at) * 1000)),
            ttft_ms=ttft_ms,
            budget_deltas=budget_deltas(attempt.admission.budgets, bill.cost_nano),
            losses=",".join(attempt.losses)[:_LONGEST_WORD],
        )

    def _add(self, bill: Bill) -> None:
        if bill.usage is not None:
            self._usage = (
                bill.usage if self._usage is None else add(self._usage, bill.usage)
            )
        if bill.cost_nano is not None:
            self._cost_nano = (self._cost_nano or 0) + bill.cost_nano
        elif bill.usage is not None:
            self.is_unpriced = True
        self._is_estimated = self._is_estimated or bill.is_estimated

    def _write(self, record: Progress | Settle | Fact) -> None:
        """Write a record nobody waits for; a failing disk is not the client's fault."""
        try:
            self._journal.append(record)
        except OSError:
            _log.exception("record_not_written", extra={"id": self.head.request_id})


async def settle_limits(
    store: LimitStore, ticket: Ticket | None, used: Used, *, happened: bool
) -> None:
    """Give a ticket back, whatever else goes wrong.

    Shapes:  ``happened`` False = no upstream was asked: rates are given back too.
    Fails:   open: a store that is away forgets the ticket when its lease ends.
    """
    if ticket is None:
        return
    try:
        if happened:
            await store.settle(ticket, used)
        else:
            await store.release(ticket)
    except LimitStoreError:
        _log.warning("limits_not_settled", extra={"ticket": ticket.id})


async def shielded_settle(
    store: LimitStore, ticket: Ticket | None, used: Used, *, happened: bool
) -> None:
    """Settle a shared store in a task of its own, so that no cancellation stops it."""
    work = asyncio.ensure_future(settle_limits(store, ticket, used, happened=happened))
    await asyncio.wait([asyncio.shield(work)], timeout=_SETTLE_WITHIN_S)


def _skip(skip: Skip) -> str:
    route = skip.route
    mask = "" if route.credential is None else f" {route.credential.mask}"
    return f"{route.provider.slug}/{route.model.model_id}{mask}: {skip.reason}"


def _ttft_ms(attempt: Attempt) -> int | None:
    first = attempt.tally.first_event_at
    if first is None:
        return None
    return max(0, round((first - attempt.started_at) * 1000))


def _status(tally: Tally, failure: Failure | None) -> int | None:
    if failure is not None:
        return failure.status
    return 200 if tally.is_accepted else None


def _cut(text: str | None) -> str:
    return "" if text is None else text[:_LONGEST_WORD]
