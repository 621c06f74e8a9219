"""Make journal records with readable defaults."""

from __future__ import annotations

from pricing.cost import PriceSpec
from pricing.tokens import TokenUsage
from usage.journal.records import (
    AttemptIntent,
    AttemptSettle,
    Fact,
    PriceRef,
    Progress,
    RequestHead,
    RequestSettle,
    Settle,
    Target,
)

START_NS = 1_767_225_600_000_000_000
PRICE = PriceRef(
    spec=PriceSpec(input=3_000_000_000, output=15_000_000_000),
    version_id=7,
    source="override",
)
TARGET = Target(
    provider_id=1,
    provider_slug="acme",
    credential_kind="api_key",
    credential_id=11,
    credential_mask="sk-…cd34",
    model_row_id=21,
    upstream_model="acme-large",
)


def make_head(request: str = "r1", **values) -> RequestHead:
    defaults = {
        "at_ns": START_NS,
        "client_key_id": 5,
        "team_id": 2,
        "dialect": "openai",
        "asked_model": "large",
        "agent": "tests",
        "input_estimate_tokens": 1_000,
    }
    return RequestHead(request_id=request, **(defaults | values))


def make_intent(request: str = "r1", attempt: str = "a1", **values) -> AttemptIntent:
    defaults = {
        "attempt_no": 1,
        "started_at_ns": START_NS + 1_000_000,
        "target": TARGET,
        "head": make_head(request),
        "reservation_nano": 50_000_000,
        "input_estimate_tokens": 1_000,
        "price": PRICE,
        "budgets": ((3, "2026-01"), (4, "total")),
    }
    return AttemptIntent(request_id=request, attempt_id=attempt, **(defaults | values))


def make_progress(request: str = "r1", attempt: str = "a1", **values) -> Progress:
    defaults = {"at_ns": START_NS + 2_001_000_000, "output_bytes": 4_096}
    return Progress(request_id=request, attempt_id=attempt, **(defaults | values))


def make_attempt(request: str = "r1", attempt: str = "a1", **values) -> AttemptSettle:
    defaults = {
        "attempt_no": 1,
        "started_at_ns": START_NS + 1_000_000,
        "target": TARGET,
        "outcome": "ok",
        "decision": "served",
        "status": 200,
        "usage": TokenUsage(input_tokens=900, output_tokens=100),
        "cost_nano": 4_200_000,
        "price": PRICE,
        "latency_ms": 800,
        "budget_deltas": ((3, "2026-01", 4_200_000),),
    }
    return AttemptSettle(request_id=request, attempt_id=attempt, **(defaults | values))


def make_settle(request: str = "r1", attempt: str = "a1") -> Settle:
    """Close the last attempt and the request in one record."""
    return Settle(
        head=make_head(request),
        attempt=make_attempt(request, attempt),
        request=RequestSettle(
            status=200, outcome="ok", serving_attempt_id=attempt, attempts=1
        ),
    )


def make_fact(number: int = 0) -> Fact:
    return Fact(
        kind="cooldown", key=f"credential:{number}", at_ns=START_NS, payload={"s": 30}
    )
