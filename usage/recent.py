"""Read the last hours for screens that show how things are now."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from django.db.models import CharField, F, QuerySet, Sum, Window
from django.db.models.functions import Cast, RowNumber, Substr

from usage import rollups
from usage.budgets.personal import SCOPES
from usage.limits.windows import window_at
from usage.models import BudgetWindow, Rollup15, RollupDay
from usage.selectors import GROUPS, names_of

_HOUR: Final = timedelta(hours=1)
_NEAR: Final = 0.8
_LONGEST_WINDOW: Final = timedelta(days=32)


@dataclass
class Span:
    """What happened in one stretch of time, all clients together.

    Shapes:  the series hold one figure a step, oldest first; None = no request then.
    Units:   nano-USD, milliseconds; percentiles None without a request.
    """

    requests: int = 0
    errors: int = 0
    cost_nano_usd: int = 0
    unpriced: int = 0
    estimated: int = 0
    p50_ms: int | None = None
    p95_ms: int | None = None
    ttft_p50_ms: int | None = None
    requests_by_step: list[int] = field(default_factory=list)
    cost_by_step: list[int] = field(default_factory=list)
    error_share_by_step: list[float | None] = field(default_factory=list)
    p50_by_step: list[int | None] = field(default_factory=list)
    ttft_by_step: list[int | None] = field(default_factory=list)

    @property
    def error_share(self) -> float | None:
        """Errors among requests, None without a request."""
        return self.errors / self.requests if self.requests else None


@dataclass
class Now:
    """The last hours beside the same stretch before them."""

    current: Span
    before: Span


@dataclass
class Use:
    """What one provider, model or key did in the last day.

    Units:  nano-USD, milliseconds, requests an hour; means None without a call.
    """

    name: str = ""
    requests: int = 0
    attempts: int = 0
    errors: int = 0
    unpriced: int = 0
    cost_nano_usd: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    latency_ms_sum: int = 0
    ttft_ms_sum: int = 0
    ttft_count: int = 0
    by_hour: list[int] = field(default_factory=list)

    @property
    def calls(self) -> int:
        """How many calls the times were measured over."""
        return self.attempts or self.requests

    @property
    def latency_ms(self) -> int | None:
        """The mean time of a call."""
        return self.latency_ms_sum // self.calls if self.calls else None

    @property
    def ttft_ms(self) -> int | None:
        """The mean time to the first token."""
        return self.ttft_ms_sum // self.ttft_count if self.ttft_count else None

    @property
    def error_share(self) -> float | None:
        """Errors among calls, None without a call."""
        return self.errors / self.calls if self.calls else None

    @property
    def has_price(self) -> bool:
        """Say whether the cost is known for anything at all."""
        return bool(self.cost_nano_usd) or not self.unpriced


def last_hours(hours: int = 24, *, steps: int = 24, now: datetime | None = None) -> Now:
    """Return the last hours and the ones before, from quarters of an hour.

    Cost:  one query of at most eight rows an hour.
    """
    end = (now or datetime.now(UTC)).astimezone(UTC)
    length = timedelta(hours=hours)
    middle = end - length
    rows = list(
        Rollup15.objects.filter(kind=rollups.TOTAL, bucket__gt=middle - length)
        .order_by("bucket")
        .only(
            *("bucket", "requests", "errors", "cost_nano_usd", "unpriced"),
            *("estimated", "latency_hist", "ttft_hist"),
        )
    )
    recent = [row for row in rows if row.bucket > middle]
    return Now(
        current=_span(recent, middle, length / steps, steps),
        before=_span([row for row in rows if row.bucket <= middle], None, length, 0),
    )


def last_day(
    by: str,
    *,
    refs: Collection[int] | None = None,
    now: datetime | None = None,
) -> dict[str, Use]:
    """Return the last 24 hours of each group by its name, hour by hour.

    Shapes:  ``by`` is a key of ``selectors.GROUPS`` that has quarters of an hour;
             ``refs`` narrows it to some values, such as the ids of client keys.
    Cost:    two queries; a row for each group and hour.
    """
    kind = GROUPS[by]
    last = (now or datetime.now(UTC)).astimezone(UTC)
    first = last.replace(minute=0, second=0, microsecond=0) - 23 * _HOUR
    rows = Rollup15.objects.filter(kind=kind, bucket__gte=first)
    if refs is not None:
        rows = rows.filter(ref__in=refs)
    found: dict[int, Use] = {}
    for row in _by_hour(rows):
        use = found.setdefault(row["ref"], Use(by_hour=[0] * 24))
        _add(use, row, int((_hour_at(row["hour"]) - first) / _HOUR))
    for ref, name in names_of(kind, found).items():
        found[ref].name = name
    return {use.name or str(ref): use for ref, use in found.items()}


@dataclass
class Spend:
    """What each value of a group cost, step by step, oldest first.

    Units:  nano-USD.
    """

    starts: list[datetime]
    by_ref: dict[int, list[int]]
    step_hours: float = 1

    def total(self, ref: int) -> int:
        """Return the whole cost of one value."""
        return sum(self.by_ref[ref])


def spend(
    kind: str,
    hours: int,
    *,
    refs: Collection[int] | None = None,
    now: datetime | None = None,
) -> Spend:
    """Return the cost of each value of a rollup kind in quarters, hours or UTC days.

    Shapes:  ``refs`` narrows it to some values.
    Cost:    one query.
    """
    last = (now or datetime.now(UTC)).astimezone(UTC)
    if hours > 48:
        return _spend_by_day(kind, last, hours // 24, refs)
    step = rollups.QUARTER if hours <= 2 else _HOUR
    top = rollups.quarter(last) if hours <= 2 else last.replace(minute=0)
    top = top.replace(second=0, microsecond=0)
    count = int(timedelta(hours=hours) / step)
    starts = [top - step * back for back in reversed(range(count))]
    found = Spend(starts, {}, step / _HOUR)
    rows = Rollup15.objects.filter(kind=kind, bucket__gte=starts[0])
    if refs is not None:
        rows = rows.filter(ref__in=refs)
    pairs: Iterable[Any]
    if step == _HOUR:
        pairs = (
            (row["ref"], _hour_at(row["hour"]), row["all_cost_nano_usd"])
            for row in _by_hour(rows)
        )
    else:
        pairs = rows.values_list("ref", "bucket", "cost_nano_usd").iterator()
    for ref, at, cost in pairs:
        index = int((at - found.starts[0]) / step)
        if 0 <= index < count:
            found.by_ref.setdefault(ref, [0] * count)[index] += cost
    return found


def _spend_by_day(
    kind: str, last: datetime, count: int, refs: Collection[int] | None
) -> Spend:
    midnight = last.replace(hour=0, minute=0, second=0, microsecond=0)
    starts = [midnight - timedelta(days=back) for back in reversed(range(count))]
    found = Spend(starts, {}, 24)
    rows = RollupDay.objects.filter(kind=kind, bucket__gte=starts[0].date())
    if refs is not None:
        rows = rows.filter(ref__in=refs)
    for ref, day, cost in rows.values_list("ref", "bucket", "cost_nano_usd"):
        index = (day - starts[0].date()).days
        if 0 <= index < count:
            found.by_ref.setdefault(ref, [0] * count)[index] += cost
    return found


def _hour_at(text: str) -> datetime:
    return datetime.fromisoformat(f"{text.replace('T', ' ')}:00:00+00:00")


def top(*groups: str, count: int = 5, now: datetime | None = None) -> dict[str, Any]:
    """Return the busiest of several groups in the last day, in one query.

    Shapes:  ``{group: [(ref, Use), ...]}``, without names: whoever shows several
             groups looks the names up together.
    """
    kinds = {GROUPS[group]: group for group in groups}
    since = (now or datetime.now(UTC)) - timedelta(hours=24)
    rows = (
        Rollup15.objects.filter(kind__in=list(kinds), bucket__gt=since)
        .values("kind", "ref")
        .annotate(
            all_requests=Sum("requests"),
            all_attempts=Sum("attempts"),
            all_errors=Sum("errors"),
            all_cost=Sum("cost_nano_usd"),
            all_unpriced=Sum("unpriced"),
        )
        .annotate(
            place=Window(
                RowNumber(),
                partition_by=[F("kind")],
                order_by=[F("all_requests").desc(), F("all_cost").desc(), F("ref")],
            )
        )
        .filter(place__lte=count)
        .order_by("kind", "place")
    )
    found: dict[str, Any] = {group: [] for group in groups}
    for row in rows:
        use = Use(
            requests=row["all_requests"],
            attempts=row["all_attempts"],
            errors=row["all_errors"],
            cost_nano_usd=row["all_cost"],
            unpriced=row["all_unpriced"],
        )
        found[kinds[row["kind"]]].append((row["ref"], use))
    return found


@dataclass
class Month(Use):
    """Thirty UTC days of one value; ``by_day`` holds the requests of the last seven."""

    by_day: list[int] = field(default_factory=lambda: [0] * 7)


_MONTH_COLUMNS: Final = (
    "requests",
    "errors",
    "unpriced",
    "cost_nano_usd",
    "latency_ms_sum",
    "ttft_ms_sum",
    "ttft_count",
)


def last_month(
    by: str, refs: Collection[int], *, today: date | None = None
) -> dict[int, Month]:
    """Return the last 30 UTC days of some values, the last 7 day by day; one query."""
    today = today or datetime.now(UTC).date()
    rows = RollupDay.objects.filter(
        kind=GROUPS[by], ref__in=refs, bucket__gt=today - timedelta(days=30)
    ).values("ref", "bucket", *_MONTH_COLUMNS)
    found: dict[int, Month] = {}
    for row in rows:
        month = found.setdefault(row["ref"], Month())
        for name in _MONTH_COLUMNS:
            setattr(month, name, getattr(month, name) + row[name])
        age = (today - row["bucket"]).days
        if 0 <= age < 7:
            month.by_day[6 - age] += row["requests"]
    return found


def near_budgets(*, now: datetime | None = None) -> list[BudgetWindow]:
    """Return current budget windows that are spent by 80 % or more; one query."""
    now = now or datetime.now(UTC)
    rows = (
        BudgetWindow.objects.filter(
            budget__enabled=True,
            spent_nano_usd__gte=F("budget__amount_nano_usd") * _NEAR,
            updated_at__gte=now - _LONGEST_WINDOW,
        )
        .exclude(budget__client_key__revoked_at__isnull=False)
        .exclude(budget__scope__in=SCOPES)
        .select_related("budget__client_key")
        .order_by("-spent_nano_usd")[:50]
    )
    return [
        row
        for row in rows
        if row.window_id == window_at(row.budget.window, row.budget.time_zone, now).id
    ]


def _by_hour(rows: QuerySet[Rollup15]) -> Iterable[Any]:
    """Add quarters up by hour: the text of a UTC time begins with its hour."""
    sums = {
        f"all_{name}": Sum(name)
        for name in (*_USE_COLUMNS, "latency_ms_sum", "ttft_ms_sum", "ttft_count")
    }
    hour = Substr(Cast("bucket", CharField()), 1, 13)
    return rows.values("ref", hour=hour).annotate(**sums).order_by()


_USE_COLUMNS: Final = (
    "requests",
    "attempts",
    "errors",
    "unpriced",
    "cost_nano_usd",
    "input_tokens",
    "output_tokens",
)


def _add(use: Use, row: dict[str, Any], hour: int) -> None:
    for name in (*_USE_COLUMNS, "latency_ms_sum", "ttft_ms_sum", "ttft_count"):
        setattr(use, name, getattr(use, name) + row[f"all_{name}"])
    if 0 <= hour < len(use.by_hour):
        use.by_hour[hour] += row["all_requests"] or row["all_attempts"]


def _span(
    rows: Sequence[Rollup15], start: datetime | None, step: timedelta, steps: int
) -> Span:
    latency = rollups.merged(row.latency_hist for row in rows)
    ttft = rollups.merged(row.ttft_hist for row in rows)
    span = Span(
        requests=sum(row.requests for row in rows),
        errors=sum(row.errors for row in rows),
        cost_nano_usd=sum(row.cost_nano_usd for row in rows),
        unpriced=sum(row.unpriced for row in rows),
        estimated=sum(row.estimated for row in rows),
        p50_ms=rollups.percentile(latency, 0.5),
        p95_ms=rollups.percentile(latency, 0.95),
        ttft_p50_ms=rollups.percentile(ttft, 0.5),
    )
    if start is not None:
        parts: list[list[Rollup15]] = [[] for _ in range(steps)]
        for row in rows:
            parts[min(int((row.bucket - start) / step), steps - 1)].append(row)
        for part in parts:
            _put_step(span, part)
    return span


def _put_step(span: Span, rows: Sequence[Rollup15]) -> None:
    requests = sum(row.requests for row in rows)
    errors = sum(row.errors for row in rows)
    span.requests_by_step.append(requests)
    span.cost_by_step.append(sum(row.cost_nano_usd for row in rows))
    span.error_share_by_step.append(errors / requests if requests else None)
    latency = rollups.merged(row.latency_hist for row in rows)
    ttft = rollups.merged(row.ttft_hist for row in rows)
    span.p50_by_step.append(rollups.percentile(latency, 0.5))
    span.ttft_by_step.append(rollups.percentile(ttft, 0.5))
