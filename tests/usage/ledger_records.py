"""Journal records with real ids, for the ledger and the shipper."""

from __future__ import annotations

from typing import Any

from poolsite.clock import Clock, SystemClock
from poolsite.ids import uuid7
from pricing.tokens import TokenUsage
from tests.usage.journal import factories
from usage.journal.records import AttemptSettle, RequestSettle, Settle, Target

CLOCK = SystemClock()
OTHER = Target(
    provider_id=2,
    provider_slug="other",
    credential_kind="api_key",
    credential_id=12,
    credential_mask="sk-…ef56",
    upstream_model="other-large",
)


def new_id(clock: Clock = CLOCK) -> str:
    return str(uuid7(clock))


def attempt(request_id: str, **values: Any) -> AttemptSettle:
    defaults: dict[str, Any] = {"budget_deltas": ()}
    return factories.make_attempt(request_id, new_id(), **(defaults | values))


def served(
    *,
    request_id: str | None = None,
    head: dict[str, Any] | None = None,
    attempt_values: dict[str, Any] | None = None,
    **request_values: Any,
) -> Settle:
    """One request with one attempt that served it."""
    request_id = request_id or new_id()
    made = attempt(request_id, **(attempt_values or {}))
    request = {
        "status": 200,
        "outcome": "ok",
        "serving_attempt_id": made.attempt_id,
        "attempts": 1,
        "usage": made.usage,
        "cost_nano": made.cost_nano,
        "latency_ms": 810,
        "ttft_ms": 120,
    }
    return Settle(
        head=factories.make_head(request_id, **(head or {})),
        attempt=made,
        request=RequestSettle(**(request | request_values)),
    )


def fallback() -> list[Settle]:
    """One request whose first attempt failed at one provider, the second served."""
    request_id = new_id()
    head = factories.make_head(request_id)
    failed = attempt(
        request_id,
        outcome="upstream_error",
        status=500,
        usage=None,
        cost_nano=None,
        error_class="server",
        decision="next_provider",
    )
    good = attempt(request_id, attempt_no=2, target=OTHER, cost_nano=7_000)
    end = RequestSettle(
        status=200,
        outcome="ok",
        serving_attempt_id=good.attempt_id,
        attempts=2,
        usage=TokenUsage(input_tokens=900, output_tokens=100),
        cost_nano=7_000,
        latency_ms=1_500,
    )
    return [
        Settle(head=head, attempt=failed),
        Settle(head=head, attempt=good, request=end),
    ]
