"""Room 2: take everything a call needs from its limits in one step, or refuse it.

The reservation is an upper bound of what the call will cost at its candidate: the
estimate of the input with a margin, and the most the answer may grow to. A fallback to
a candidate of another price changes it before that candidate is asked.
"""

from __future__ import annotations

import math
from typing import Final

from poolsite.money import UNITS_PER_PRICE, usd_from_nano
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
from providers.proxy.exchange import Admission, Candidate, Headers
from providers.proxy.ports import LimitStore
from providers.proxy.refusals import refused
from providers.proxy.scopes import Limited
from providers.snapshot.types import ClientKeyRecord, SettingsRecord
from usage.limits.contract import (
    MAX_AMOUNT,
    Ask,
    LimitStatus,
    LimitStoreError,
    Refusal,
    ShareUsedUpError,
    Ticket,
    TicketClosedError,
)

_MOST_KEYS: Final = 10_000
_TOLD_FOR_S: Final = 0.1
_HEADER_WORDS: Final = {
    "rpm": b"requests",
    "tpm": b"tokens",
    "concurrency": b"concurrency",
    "requests": b"window-requests",
    "budget": b"budget-nano-usd",
}


class Admitter:
    """Ask the store; the same for every request."""

    __slots__ = ("_store", "_told")

    def __init__(self, store: LimitStore) -> None:
        self._store = store
        self._told: dict[str, tuple[float, Headers]] = {}

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
                raise _unanswered(error) from error
            ticket = None
        else:
            if isinstance(answer, Refusal):
                raise refused(answer, limited.whose(answer.budget_id))
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
                    raise _unanswered(error) from error
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
        """Say what remains of the caller's limits, in headers of our own.

        Calls of one caller within a tenth of a second are told the same.

        Units:   ``now`` monotonic seconds.
        Fails:   without headers when the store cannot answer.
        """
        told = self._told.get(limited.name)
        if told is not None and now < told[0]:
            return told[1]
        headers = await self._remaining(limited)
        if len(self._told) >= _MOST_KEYS:
            self._told.clear()
        self._told[limited.name] = (now + _TOLD_FOR_S, headers)
        return headers

    async def _remaining(self, limited: Limited) -> Headers:
        found: list[LimitStatus] = []
        for scope in limited.scopes:
            try:
                found += await self._store.status(scope)
            except LimitStoreError:
                return []
        told = [_status_words(each, limited) for each in found]
        if not told:
            return []
        headers: Headers = [(b"x-pool-limits", b", ".join(told))]
        return headers + _budget_headers(found, limited)


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


def _unanswered(error: LimitStoreError) -> InternalError:
    if isinstance(error, ShareUsedUpError):
        # Told apart: the pool served on as long as it safely could.
        return InternalError(
            "Budgets cannot be checked at the moment, and the part of them this "
            "process may spend alone is used up.",
            status=503,
            code="budget_share_used_up",
            retry_after_s=5.0,
        )
    return InternalError(
        "Budgets cannot be checked at the moment.",
        status=503,
        code="limits_unavailable",
        retry_after_s=5.0,
    )


def _status_words(status: LimitStatus, limited: Limited) -> bytes:
    """Word one limit: its size, what remains, and seconds until it is whole again."""
    words = _HEADER_WORDS[status.limit]
    if status.budget_id is not None:
        words += b";of=" + limited.whose(status.budget_id).encode("ascii")
    if status.allowed < MAX_AMOUNT:
        words += b";limit=%d;remaining=%d" % (status.allowed, status.remaining)
    else:
        words += b";used=%d" % _held(status)
    if status.reset_s is not None:
        words += b";reset=%.1f" % status.reset_s
    return words


def _budget_headers(found: list[LimitStatus], limited: Limited) -> Headers:
    """Name the budget with the least left, and those that are past what warns."""
    money = [each for each in found if each.budget_id is not None]
    bounded = [each for each in money if each.allowed < MAX_AMOUNT]
    headers: Headers = []
    if bounded:
        least = min(bounded, key=_left)
        headers.append((b"x-pool-budget-remaining-usd", _usd(least.remaining)))
        headers.append(
            (b"x-pool-budget-scope", limited.whose(least.budget_id).encode("ascii"))
        )
        if least.reset_s is not None:
            # Seconds, like retry-after: the clocks of client and pool may differ.
            reset = b"%d" % math.ceil(least.reset_s)
            headers.append((b"x-pool-budget-reset-seconds", reset))
    warned = [
        b"%b;used=%b;limit=%b"
        % (limited.whose(each.budget_id).encode("ascii"), _usd(_held(each)), _usd(at))
        for each in money
        if (at := limited.warns_at(each)) is not None and _held(each) >= at
    ]
    if warned:
        headers.append((b"x-pool-budget-warning", b", ".join(warned)))
    return headers


def _held(status: LimitStatus) -> int:
    """Return what is spent and reserved, as far as a limit shows it."""
    return status.allowed - status.remaining


def _left(status: LimitStatus) -> int:
    return status.remaining


def _usd(nano: int) -> bytes:
    return format(usd_from_nano(nano), "f").encode("ascii")
