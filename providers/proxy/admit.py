"""Room 2: take everything a call needs from its limits in one step, or refuse it.

The reservation is an upper bound of what the call will cost at its candidate: the
estimate of the input with a margin, and the most the answer may grow to. A fallback to
a candidate of another price changes it before that candidate is asked.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from msgspec import Struct

from poolsite.clock import Clock
from poolsite.money import UNITS_PER_PRICE
from pricing.cost import PriceSpec
from pricing.estimate import (
    Reservation,
    estimate_input_tokens,
    reserve,
    reserve_operation,
)
from pricing.tokens import TokenUsage
from providers.formats.base import WRITING_OPS, ChatRequest
from providers.proxy.errors import InternalError
from providers.proxy.exchange import Admission, Caller, Candidate, Headers
from providers.proxy.ports import LimitStore, SnapshotPort
from providers.proxy.refusals import refused
from providers.snapshot.types import BudgetRecord, ClientKeyRecord, SettingsRecord
from usage.journal.records import BudgetRef
from usage.limits.contract import (
    Ask,
    Budget,
    LimitStatus,
    LimitStoreError,
    Refusal,
    RequestCount,
    Scope,
    Ticket,
    TicketClosedError,
)
from usage.limits.gcra import MINUTE_US, Rate, per_minute
from usage.limits.windows import window_at

_NANO: Final = 1_000_000_000
_DAY_US: Final = 24 * 60 * MINUTE_US
_FRESH_S: Final = 30.0
_MOST_KEYS: Final = 10_000
_NOBODY: Final = 0
_TOLD_FOR_S: Final = 0.1
_HEADER_WORDS: Final = {
    "rpm": b"requests",
    "tpm": b"tokens",
    "concurrency": b"concurrency",
    "requests": b"window-requests",
    "budget": b"budget-nano-usd",
}


class Limited(Struct, frozen=True):
    """What one key is limited by at this moment.

    Shapes:  ``has_hard_budget`` decides whether a model without a price may serve.
    Units:   ``good_until`` Unix seconds: then windows may have changed.
    """

    key: ClientKeyRecord
    version: int
    good_until: float
    scopes: tuple[Scope, ...]
    budgets: tuple[BudgetRef, ...]
    has_hard_budget: bool


class ScopeBook:
    """Turn keys into the scopes a limit store knows, and remember them for a while.

    Cost:  a look-up for a key seen in the last 30 s.
    """

    __slots__ = ("_clock", "_known")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: dict[int, Limited] = {}

    def of(self, caller: Caller, snapshot: SnapshotPort) -> Limited:
        """Return what limits a caller now."""
        key = caller.key
        now_s = self._clock.time_ns() / _NANO
        known = self._known.get(key.id)
        if (
            known is not None
            and known.key is key
            and known.version == snapshot.version
            and now_s < known.good_until
        ):
            return known
        made = _limited(key, snapshot, now_s)
        if len(self._known) >= _MOST_KEYS:
            self._known.clear()
        self._known[key.id] = made
        return made


class Admitter:
    """Ask the store; the same for every request."""

    __slots__ = ("_store", "_told")

    def __init__(self, store: LimitStore) -> None:
        self._store = store
        self._told: dict[int, tuple[float, Headers]] = {}

    async def admit(
        self,
        request_id: str,
        limited: Limited,
        reservation: Reservation,
        estimate_tokens: int,
    ) -> Admission:
        """Take rates, slots and money for a call, all or nothing.

        Errors:  LimitReachedError with the reset time; InternalError 503 when the
                 store cannot answer and a hard budget is at stake.
        Fails:   open for rates, closed for hard budgets.
        """
        amount = reservation.cost_nano_usd or 0
        if not limited.scopes:
            return Admission(None, amount, estimate_tokens, reservation.output_tokens)
        ask = Ask(
            ticket_id=request_id,
            scopes=limited.scopes,
            tokens=estimate_tokens + reservation.output_tokens,
            reserve_nano=amount,
        )
        ticket: Ticket | None
        try:
            answer = await self._store.acquire(ask)
        except LimitStoreError as error:
            if limited.has_hard_budget:
                raise _unanswered() from error
            ticket = None
        else:
            if isinstance(answer, Refusal):
                raise refused(answer)
            ticket = answer
        return Admission(
            ticket,
            amount,
            estimate_tokens,
            reservation.output_tokens,
            limited.budgets,
        )

    async def change(
        self,
        admission: Admission,
        limited: Limited,
        *,
        spent_nano: int,
        reservation: Reservation,
    ) -> Admission | None:
        """Hold what a fallback may cost beside what was spent already.

        Fails:   None when it does not fit: that candidate is passed over. Open for
                 rates when the store cannot answer, as at admission.
        Errors:  InternalError 503 when it cannot and a hard budget is at stake.
        """
        amount = reservation.cost_nano_usd or 0
        ticket = admission.ticket
        if ticket is not None and spent_nano + amount != ticket.reserve_nano:
            try:
                answer = await self._held(ticket, spent_nano + amount)
            except LimitStoreError as error:
                if limited.has_hard_budget:
                    raise _unanswered() from error
                answer = ticket
            if isinstance(answer, Refusal):
                return None
            ticket = answer
        return Admission(
            ticket,
            amount,
            admission.input_estimate_tokens,
            reservation.output_tokens,
            admission.budgets,
        )

    async def _held(self, ticket: Ticket, nano: int) -> Ticket | Refusal:
        try:
            return await self._store.re_reserve(ticket, nano)
        except TicketClosedError:
            # The lease ran out while an upstream kept silent: start over.
            ask = Ask(
                ticket_id=ticket.id + "+",
                scopes=ticket.ask.scopes,
                tokens=ticket.ask.tokens,
                reserve_nano=nano,
            )
            return await self._store.acquire(ask)

    async def headers(self, limited: Limited, now: float) -> Headers:
        """Say what remains of the caller's limits, in one header of our own.

        Calls of one key within a tenth of a second are told the same.

        Units:   ``now`` monotonic seconds.
        Fails:   without headers when the store cannot answer.
        """
        told = self._told.get(limited.key.id)
        if told is not None and now < told[0]:
            return told[1]
        headers = await self._remaining(limited)
        if len(self._told) >= _MOST_KEYS:
            self._told.clear()
        self._told[limited.key.id] = (now + _TOLD_FOR_S, headers)
        return headers

    async def _remaining(self, limited: Limited) -> Headers:
        told: list[bytes] = []
        for scope in limited.scopes:
            try:
                statuses = await self._store.status(scope)
            except LimitStoreError:
                return []
            told += [_status_words(status) for status in statuses]
        return [(b"x-pool-limits", b", ".join(told))] if told else []


def estimate(request: ChatRequest) -> int:
    """Estimate the input tokens of a request."""
    return estimate_input_tokens(
        request.body, request.model, spans=request.content_spans
    )


def size(
    request: ChatRequest,
    candidate: Candidate,
    key: ClientKeyRecord,
    settings: SettingsRecord,
    estimate_tokens: int,
) -> Reservation:
    """Size what a candidate may cost at most.

    Shapes:  a model without a price is sized by the configured default, if any.
    """
    model = candidate.route.model
    price = model.price or settings.default_unpriced_price
    if request.arrival.op not in WRITING_OPS:
        return _operation_size(request, price, estimate_tokens)
    sized = reserve(
        input_tokens=estimate_tokens,
        asked_output=request.max_output_tokens,
        model_max_output=model.max_output_tokens,
        assumed_output=key.assumed_output_tokens or settings.assumed_output_tokens,
        n=request.n,
        price=None if candidate.is_plain else price,
    )
    if not candidate.is_plain or price is None:
        return sized
    # Two rates and nothing else: what cost_nano_usd finds after asking for the rest.
    amount = sized.input_tokens * (price.input or 0)
    amount += sized.output_tokens * (price.output or 0)
    return Reservation(
        sized.input_tokens, sized.output_tokens, -(-amount // UNITS_PER_PRICE)
    )


def _operation_size(
    request: ChatRequest, price: PriceSpec | None, estimate_tokens: int
) -> Reservation:
    """Size what writes no conversation: vectors, pictures, sound, judgements."""
    op, most = request.arrival.op, (request.max_output_tokens or 0) * request.n
    tokens = TokenUsage(
        input_tokens=estimate_tokens,
        output_tokens=0 if op in ("images", "speech") else most,
        image_out_tokens=most if op == "images" else None,
        audio_out_tokens=most if op == "speech" else None,
    )
    units = None
    if request.unit_kind is not None:
        units = TokenUsage(units=request.units, unit_kind=request.unit_kind)
    return reserve_operation(tokens, units, price)


def needs_price(limited: Limited, settings: SettingsRecord) -> bool:
    """Tell whether this caller may only use models whose price is known."""
    policy = limited.key.unpriced
    if policy == "block":
        return True
    is_wanted = limited.has_hard_budget or policy == "default"
    return is_wanted and settings.default_unpriced_price is None


def _unanswered() -> InternalError:
    return InternalError(
        "Budgets cannot be checked at the moment.",
        status=503,
        code="limits_unavailable",
        retry_after_s=5.0,
    )


def _limited(key: ClientKeyRecord, snapshot: SnapshotPort, now_s: float) -> Limited:
    good_until = now_s + _FRESH_S
    budgets: list[Budget] = []
    for budget_id in key.budget_ids:
        record = snapshot.budget(budget_id)
        if record is not None:
            budgets.append(_budget(record, now_s))
            for end in (budgets[-1].ends_at, record.extra_until_s):
                if end is not None and end > now_s:
                    good_until = min(good_until, end)
    count = _count(key, now_s)
    if count is not None and count.ends_at is not None:
        good_until = min(good_until, count.ends_at)
    slots = key.concurrency
    if slots is None:
        slots = snapshot.settings.key_concurrency
    has_hard = any(budget.hard for budget in budgets)
    own = Scope(
        key=f"key:{key.id}",
        rpm=None if key.rpm is None else per_minute(max(1, key.rpm)),
        tpm=None if key.tpm is None else per_minute(max(1, key.tpm)),
        concurrency=slots,
        requests=count,
        budgets=tuple(budgets),
    )
    scopes = []
    if key.id != _NOBODY and (
        own.rpm or own.tpm or slots is not None or count or budgets
    ):
        scopes.append(own)
    if key.id != _NOBODY and key.tpd is not None:
        # A day is a rate of its own; the subject has only one per kind.
        day = Rate(max(1, key.tpd), max(1, key.tpd), _DAY_US)
        scopes.append(Scope(key=f"key:{key.id}:day", tpm=day))
    return Limited(
        key,
        snapshot.version,
        good_until,
        tuple(scopes),
        tuple((budget.budget_id, budget.window_id) for budget in budgets),
        has_hard,
    )


def _budget(record: BudgetRecord, now_s: float) -> Budget:
    moment = datetime.fromtimestamp(now_s, UTC)
    window = window_at(record.window, record.time_zone, moment)
    amount = record.amount_nano_usd
    if record.extra_until_s is not None and now_s < record.extra_until_s:
        amount += record.extra_nano_usd
    return Budget(
        budget_id=record.id,
        window_id=window.id,
        limit_nano=amount,
        hard=record.hard,
        ends_at=None if window.ends_at is None else window.ends_at.timestamp(),
    )


def _count(key: ClientKeyRecord, now_s: float) -> RequestCount | None:
    if key.window_requests is None or not key.window_s:
        return None
    number = int(now_s // key.window_s)
    return RequestCount(
        limit=key.window_requests,
        window_id=f"{key.window_s}:{number}",
        ends_at=float((number + 1) * key.window_s),
    )


def _status_words(status: LimitStatus) -> bytes:
    """Word one limit: its size, what remains, and seconds until it is whole again."""
    words = b"%b;limit=%d;remaining=%d" % (
        _HEADER_WORDS[status.limit],
        status.allowed,
        status.remaining,
    )
    if status.reset_s is not None:
        words += b";reset=%.1f" % status.reset_s
    return words
