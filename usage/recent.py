"""Read the last hours for screens that show how things are now."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Sum

from usage import rollups
from usage.models import Rollup15
from usage.selectors import GROUPS, SUMMED, names_of


@dataclass
class Span:
    """What happened in one stretch of time, all clients together.

    Units:  nano-USD, milliseconds; percentiles None without a request. The series hold
            one figure an hour, oldest first.
    """

    requests: int = 0
    errors: int = 0
    cost_nano_usd: int = 0
    unpriced: int = 0
    p50_ms: int | None = None
    p95_ms: int | None = None
    ttft_p50_ms: int | None = None
    requests_by_hour: list[float] = field(default_factory=list)
    errors_by_hour: list[float] = field(default_factory=list)
    cost_by_hour: list[float] = field(default_factory=list)

    @property
    def error_share(self) -> float | None:
        """Errors among requests, None without a request."""
        return self.errors / self.requests if self.requests else None


@dataclass
class Now:
    """The last hours beside the same stretch before them."""

    current: Span
    before: Span


def last_hours(hours: int = 24, *, now: datetime | None = None) -> Now:
    """Return the last hours and the ones before, from quarters of an hour.

    Cost:  one query of at most eight rows an hour.
    """
    end = (now or datetime.now(UTC)).astimezone(UTC)
    middle = end - timedelta(hours=hours)
    rows = list(
        Rollup15.objects.filter(
            kind=rollups.TOTAL, bucket__gt=middle - timedelta(hours=hours)
        ).order_by("bucket")
    )
    return Now(
        current=_span([row for row in rows if row.bucket > middle], middle, hours),
        before=_span(
            [row for row in rows if row.bucket <= middle],
            middle - timedelta(hours=hours),
            hours,
        ),
    )


def last_day(by: str, *, now: datetime | None = None) -> dict[str, dict[str, int]]:
    """Return the last day's sums by the name of each group.

    Shapes:  ``by`` is a key of ``selectors.GROUPS`` that has quarters of an hour; each
             value holds SUMMED and ``latency_ms`` on average.
    Cost:    two queries.
    """
    kind = GROUPS[by]
    since = (now or datetime.now(UTC)) - timedelta(hours=24)
    sums = {name: Sum(column) for name, column in SUMMED.items() if name != column}
    plain = {
        f"sum_{name}": Sum(name) for name, column in SUMMED.items() if name == column
    }
    rows = list(
        Rollup15.objects.filter(kind=kind, bucket__gt=since)
        .values("ref")
        .annotate(latency=Sum("latency_ms_sum"), **sums, **plain)
        .order_by()
    )
    names = names_of(kind, [row["ref"] for row in rows])
    return {names.get(row["ref"], str(row["ref"])): _plain(row) for row in rows}


def _plain(row: dict[str, Any]) -> dict[str, int]:
    found = {
        name: int(row[name if name != column else f"sum_{name}"] or 0)
        for name, column in SUMMED.items()
    }
    calls = found["requests"] or found["attempts"]
    found["latency_ms"] = int(row["latency"] or 0) // calls if calls else 0
    return found


def _span(rows: list[Rollup15], start: datetime, hours: int) -> Span:
    latency = rollups.merged(row.latency_hist for row in rows)
    ttft = rollups.merged(row.ttft_hist for row in rows)
    span = Span(
        requests=sum(row.requests for row in rows),
        errors=sum(row.errors for row in rows),
        cost_nano_usd=sum(row.cost_nano_usd for row in rows),
        unpriced=sum(row.unpriced for row in rows),
        p50_ms=rollups.percentile(latency, 0.5),
        p95_ms=rollups.percentile(latency, 0.95),
        ttft_p50_ms=rollups.percentile(ttft, 0.5),
        requests_by_hour=[0.0] * hours,
        errors_by_hour=[0.0] * hours,
        cost_by_hour=[0.0] * hours,
    )
    for row in rows:
        hour = min(int((row.bucket - start).total_seconds() // 3600), hours - 1)
        span.requests_by_hour[hour] += row.requests
        span.errors_by_hour[hour] += row.errors
        span.cost_by_hour[hour] += row.cost_nano_usd
    return span
