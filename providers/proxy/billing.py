"""Say what one attempt used and what that costs. Pure, but for the clock of its start."""

from __future__ import annotations

from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from poolsite.clock import Clock
from poolsite.ids import uuid7_text
from poolsite.money import usd_from_nano
from pricing.cost import PriceSpec, cost_nano_usd
from pricing.estimate import estimate_output_tokens
from pricing.tokens import EMPTY, TokenUsage
from providers.proxy.exchange import Admission, Candidate, Failure, Tally
from usage.journal.records import BudgetDelta, BudgetRef, PriceRef

_VENDOR: Final = "provider"
_UNCOUNTED_TOKENS: Final = 16
_DEFAULT: Final = "default"


class Attempt:
    """One upstream call from its intent to its settle."""

    __slots__ = (
        "admission",
        "candidate",
        "estimate_tokens",
        "id",
        "is_settled",
        "losses",
        "number",
        "price",
        "started_at",
        "started_at_ns",
        "tally",
    )

    def __init__(
        self,
        number: int,
        candidate: Candidate,
        admission: Admission,
        clock: Clock,
        default_price: PriceSpec | None,
    ) -> None:
        self.id = uuid7_text(clock)
        self.number = number
        self.candidate = candidate
        self.admission = admission
        self.started_at_ns = clock.time_ns()
        self.started_at = clock.monotonic()
        self.tally = Tally()
        self.is_settled = False
        self.losses: tuple[str, ...] = ()
        self.price = candidate.price
        if self.price.spec is None and default_price is not None:
            self.price = PriceRef(spec=default_price, source=_DEFAULT)


class Bill(Struct, frozen=True):
    """What one attempt used and costs."""

    usage: TokenUsage | None
    cost_nano: int | None
    price: PriceRef
    is_estimated: bool = False
    vendor_cost: str | None = None


def bill_attempt(attempt: Attempt, failure: Failure | None) -> Bill:
    """Say what an attempt used and costs.

    Reported usage is billed as reported; a side that was not is estimated. Without
    any, an attempt that the upstream took
    on is billed by an estimate within the reservation; one that was refused with an
    error status, or never left, costs nothing.
    """
    tally, price = attempt.tally, attempt.price
    usage, is_estimated = _usage(attempt, failure)
    if usage is None:
        return Bill(None, 0, price)
    cost = cost_nano_usd(usage, price.spec, service_tier=tally.service_tier)
    vendor_nano = tally.vendor_cost_nano_usd
    if vendor_nano is not None and not is_estimated:
        text = format(usd_from_nano(vendor_nano), "f")
        stated = replace(price, source=_VENDOR)
        return Bill(usage, vendor_nano, stated, vendor_cost=text)
    if is_estimated and cost is not None and price.spec is not None:
        # On a guess the pool bills no more than was set aside for the call.
        cost = min(cost, max(attempt.admission.reservation_nano, 0))
    return Bill(usage, cost, price, is_estimated=is_estimated)


def _usage(attempt: Attempt, failure: Failure | None) -> tuple[TokenUsage | None, bool]:
    """Return what is to be billed, and whether it is a guess."""
    tally = attempt.tally
    reported = tally.usage
    if reported is not None and (tally.is_complete or _covers(reported, attempt)):
        return _filled(reported, attempt)
    is_refused = failure is not None and failure.status is not None
    if is_refused and tally.first_event_at is None and reported is None:
        # Also an error that came under a 2xx status.
        return None, False
    if not tally.is_accepted and not tally.is_sent:
        return None, False
    model = attempt.candidate.route.model.model_id
    if reported is not None and reported.units is not None:
        # Pieces that were asked for; tokens are not counted beside them.
        return reported, True
    output = min(
        estimate_output_tokens(tally.text_bytes, model),
        attempt.admission.output_reserved_tokens,
    )
    seen = reported or EMPTY
    output = max(output, seen.output_tokens or 0)
    if seen.prompt_tokens == 0:
        seen = replace(seen, input_tokens=attempt.admission.input_estimate_tokens)
    return replace(seen, output_tokens=output), True


def _filled(reported: TokenUsage, attempt: Attempt) -> tuple[TokenUsage, bool]:
    """Guess the side of an answer's usage that its vendor did not state.

    A side that is missing is no zero; a zero beside it, for words that arrived, is no
    count either. What was stated in money or in pieces needs no tokens.
    """
    tally, admission = attempt.tally, attempt.admission
    if reported.units is not None or tally.vendor_cost_nano_usd is not None:
        return reported, False
    lacks_input = not reported.states_prompt and admission.input_estimate_tokens > 0
    lacks_output = not reported.states_completion and tally.text_bytes > 0
    if not lacks_input and not lacks_output:
        return reported, False
    usage = reported
    if lacks_input:
        usage = replace(usage, input_tokens=admission.input_estimate_tokens)
    if tally.text_bytes and not usage.completion_tokens:
        model = attempt.candidate.route.model.model_id
        usage = replace(
            usage, output_tokens=estimate_output_tokens(tally.text_bytes, model)
        )
    return usage, True


def _covers(reported: TokenUsage, attempt: Attempt) -> bool:
    """Tell whether usage from the middle of a broken stream counts what came since.

    Some vendors count in every chunk, some only in the first: one token, then silence.
    """
    counted = reported.output_tokens or 0
    model = attempt.candidate.route.model.model_id
    seen = estimate_output_tokens(attempt.tally.text_bytes, model)
    return counted > 0 and seen <= 2 * counted + _UNCOUNTED_TOKENS


def reserved_nano(attempt: Attempt) -> int | None:
    """Return what was set aside for an attempt, None without a price."""
    if attempt.price.spec is None:
        return None
    return attempt.admission.reservation_nano


def budget_deltas(
    budgets: tuple[BudgetRef, ...], cost_nano: int | None
) -> tuple[BudgetDelta, ...]:
    """Charge a cost to every budget window that pays."""
    if not budgets or not cost_nano:
        return ()
    return tuple([(budget, window, cost_nano) for budget, window in budgets])
