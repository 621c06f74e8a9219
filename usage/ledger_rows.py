"""Turn settles into ledger rows, as dictionaries of column values.

The same names come back from the database, so that the rollups of a live batch and of
a rebuild are added up by one function.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from pricing.cost import parse_vendor_cost
from pricing.tokens import TokenUsage
from usage import dimensions
from usage.dimensions import Pair, clean
from usage.journal import records
from usage.journal.records import AttemptSettle, RequestHead, RequestSettle
from usage.models import Attempt, Request

OUTCOMES: Final = {
    records.OK: Request.Outcome.OK,
    records.REFUSED: Request.Outcome.REFUSED,
    records.CLIENT_CLOSED: Request.Outcome.CLIENT_CLOSED,
    records.CUT: Request.Outcome.CUT,
    records.CRASHED: Request.Outcome.CRASHED,
}
"""What is not listed here is FAILED."""

TOKENS: Final = (
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "output_tokens",
    "reasoning_tokens",
    "audio_in_tokens",
    "audio_out_tokens",
    "image_in_tokens",
    "image_out_tokens",
    "units",
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_INT: Final = 2**31 - 1
_MAX_SMALL: Final = 2**15 - 1
_MOST_SKIPPED: Final = 32

Row = dict[str, Any]
Attempted = tuple[RequestHead, AttemptSettle]
Requested = tuple[RequestHead, RequestSettle]
Numbers = Mapping[Pair, int]


class Serving(NamedTuple):
    """Who served a request."""

    provider_dim: int
    model_dim: int
    credential_dim: int | None


def moment(at_ns: int) -> datetime:
    """Turn wall clock nanoseconds into the time stored on rows."""
    return _EPOCH + timedelta(microseconds=at_ns // 1000)


def strings(
    attempts: Sequence[Attempted], requests: Sequence[Requested]
) -> Iterable[Pair]:
    """List every string these rows refer to, as pairs of kind and value."""
    for head, attempt in attempts:
        yield from _headstrings(head)
        target = attempt.target
        yield dimensions.PROVIDER, clean(target.provider_slug)
        yield dimensions.MODEL, clean(target.upstream_model)
        yield dimensions.OUTCOME, clean(attempt.outcome)
        optional = (
            (dimensions.CREDENTIAL, _credential(attempt)),
            (dimensions.ERROR, attempt.error_class),
            (dimensions.DECISION, attempt.decision),
            (dimensions.PRICE_SOURCE, attempt.price.source),
        )
        yield from ((kind, clean(value)) for kind, value in optional if value)
    for head, request in requests:
        yield from _headstrings(head)
        if request.error_code:
            yield dimensions.ERROR, clean(request.error_code)


def _headstrings(head: RequestHead) -> Iterable[Pair]:
    optional = (
        (dimensions.PURPOSE, head.purpose),
        (dimensions.DIALECT, head.dialect),
        (dimensions.MODEL, head.asked_model),
        (dimensions.SESSION, head.session),
        (dimensions.AGENT, head.agent),
        (dimensions.END_USER, head.end_user),
        (dimensions.MODE, head.mode),
    )
    return ((kind, clean(value)) for kind, value in optional if value)


def _credential(attempt: AttemptSettle) -> str:
    """Name a credential so that its bills stay readable when its row is gone."""
    target = attempt.target
    if target.credential_id is None:
        return ""
    return f"{target.credential_kind}:{target.credential_id}:{target.credential_mask}"


def _number(numbers: Numbers, kind: str, value: str) -> int | None:
    return numbers[(kind, clean(value))] if value else None


def served(
    attempts: Sequence[Attempted],
    requests: Sequence[Requested],
    numbers: Numbers,
) -> dict[str, Serving]:
    """Find the serving attempt of each request, here or among older rows."""
    wanted = {
        request.serving_attempt_id: head
        for head, request in requests
        if request.serving_attempt_id
    }
    found: dict[str, Serving] = {}
    for _, attempt in attempts:
        if attempt.attempt_id in wanted:
            found[attempt.attempt_id] = Serving(
                numbers[(dimensions.PROVIDER, clean(attempt.target.provider_slug))],
                numbers[(dimensions.MODEL, clean(attempt.target.upstream_model))],
                _number(numbers, dimensions.CREDENTIAL, _credential(attempt)),
            )
    missing = [key for key in wanted if key not in found]
    if missing:
        times = [moment(wanted[key].at_ns) for key in missing]
        rows = Attempt.objects.filter(
            id__in=missing, at__range=(min(times), max(times))
        ).values_list("id", "provider_dim", "model_dim", "credential_dim")
        found.update({str(row[0]): Serving(*row[1:]) for row in rows})
    return found


def _tokens(usage: TokenUsage | None) -> Row:
    return {name: getattr(usage, name, None) for name in TOKENS}


def attempt_row(head: RequestHead, attempt: AttemptSettle, numbers: Numbers) -> Row:
    """Return the columns of one upstream call."""
    target, usage = attempt.target, attempt.usage
    start_ms = max(0, attempt.started_at_ns - head.at_ns) // 1_000_000
    vendor = attempt.vendor_cost
    return {
        **_tokens(usage),
        "id": UUID(attempt.attempt_id),
        "at": moment(head.at_ns),
        "request_id": UUID(head.request_id),
        "number": min(attempt.attempt_no, _MAX_SMALL),
        "provider_id": target.provider_id,
        "provider_dim": numbers[(dimensions.PROVIDER, clean(target.provider_slug))],
        "credential_dim": _number(numbers, dimensions.CREDENTIAL, _credential(attempt)),
        "model_dim": numbers[(dimensions.MODEL, clean(target.upstream_model))],
        "status": attempt.status,
        "outcome_dim": numbers[(dimensions.OUTCOME, clean(attempt.outcome))],
        "error_dim": _number(numbers, dimensions.ERROR, attempt.error_class),
        "reason": clean(attempt.reason, 200),
        "losses": clean(attempt.losses, 200),
        "decision_dim": _number(numbers, dimensions.DECISION, attempt.decision),
        "start_offset_ms": min(start_ms, _MAX_INT),
        "latency_ms": _int(attempt.latency_ms),
        "ttft_ms": _int(attempt.ttft_ms),
        "unit_kind": clean((usage.unit_kind if usage else "") or "", 16),
        "estimated": attempt.estimated,
        "flags": clean(attempt.service_tier or "", 120),
        "cost_nano_usd": attempt.cost_nano,
        "vendor_cost_nano_usd": parse_vendor_cost(vendor) if vendor else None,
        "reservation_nano_usd": attempt.reservation_nano,
        "price_version_id": attempt.price.version_id,
        "price_source_dim": _number(
            numbers, dimensions.PRICE_SOURCE, attempt.price.source
        ),
    }


def head_columns(head: RequestHead, numbers: Numbers) -> Row:
    """Return the columns that say who asked for what and when."""
    return {
        "at": moment(head.at_ns),
        "client_key_id": head.client_key_id,
        "team_id": head.team_id,
        "purpose_dim": _number(numbers, dimensions.PURPOSE, head.purpose),
        "dialect_dim": _number(numbers, dimensions.DIALECT, head.dialect),
        "model_asked_dim": _number(numbers, dimensions.MODEL, head.asked_model),
        "session_dim": _number(numbers, dimensions.SESSION, head.session),
        "agent_dim": _number(numbers, dimensions.AGENT, head.agent),
        "end_user_dim": _number(numbers, dimensions.END_USER, head.end_user),
        "mode_dim": _number(numbers, dimensions.MODE, head.mode),
    }


def request_row(
    head: RequestHead,
    request: RequestSettle,
    numbers: Numbers,
    serving_by_attempt: Mapping[str, Serving],
) -> Row:
    """Return the columns of one client call."""
    serving = serving_by_attempt.get(request.serving_attempt_id or "")
    extra = {
        "strategy": head.strategy,
        "loss": request.loss,
        "replay_of": head.replay_of,
    }
    trail: Row = {name: clean(value) for name, value in extra.items() if value}
    if request.skipped:
        trail["skipped"] = [clean(each) for each in request.skipped[:_MOST_SKIPPED]]
    if request.notes:
        trail["notes"] = [clean(each) for each in request.notes[:_MOST_SKIPPED]]
    return {
        **_tokens(request.usage),
        **head_columns(head, numbers),
        "id": UUID(head.request_id),
        "status": min(request.status, _MAX_SMALL),
        "outcome": int(OUTCOMES.get(request.outcome, Request.Outcome.FAILED)),
        "error_dim": _number(numbers, dimensions.ERROR, request.error_code),
        "model_served_dim": serving.model_dim if serving else None,
        "provider_dim": serving.provider_dim if serving else None,
        "credential_dim": serving.credential_dim if serving else None,
        "stream": head.stream,
        "needs": head.needs & _MAX_INT,
        "input_estimate": head.input_estimate_tokens,
        "serving_attempt": (
            UUID(request.serving_attempt_id) if request.serving_attempt_id else None
        ),
        "attempts": min(request.attempts, _MAX_SMALL),
        "cost_nano_usd": request.cost_nano,
        "unpriced": request.unpriced,
        "estimated": request.estimated,
        "latency_ms": _int(request.latency_ms),
        "ttft_ms": _int(request.ttft_ms),
        "overhead_us": _int(request.overhead_us),
        "trail": json.dumps(trail) if trail else None,
    }


def _int(value: int | None) -> int | None:
    return None if value is None else min(value, _MAX_INT)
