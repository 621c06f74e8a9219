"""Add usage up for one group and range: what the usage screen and its export show."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.db.models import QuerySet, Sum

from usage import rollups
from usage.models import Rollup15, RollupDay
from usage.recent import Spend, spend
from usage.selectors import GROUPS, names_of

LIMIT: Final = 100
SERIES: Final = 7
_DAY_HOURS: Final = 48
"""Up to here a range is added up from quarters of an hour, beyond from days."""

_COLUMNS: Final = (
    "requests",
    "attempts",
    "errors",
    "unpriced",
    "estimated",
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "output_tokens",
    "cost_nano_usd",
    "latency_ms_sum",
)


@dataclass
class Line:
    """The sums of one value of a group.

    Units:  tokens, nano-USD, milliseconds; shares and means None without a request.
    """

    ref: int = 0
    name: str = ""
    requests: int = 0
    attempts: int = 0
    errors: int = 0
    unpriced: int = 0
    estimated: int = 0
    input_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    output_tokens: int = 0
    cost_nano_usd: int = 0
    latency_ms_sum: int = 0

    @property
    def prompt_tokens(self) -> int:
        """Everything the models read."""
        return (
            self.input_tokens
            + self.cache_read_tokens
            + self.cache_write_tokens
            + self.cache_write_1h_tokens
        )

    @property
    def cache_share(self) -> float | None:
        """How much of the input came from a cache."""
        return (
            self.cache_read_tokens / self.prompt_tokens if self.prompt_tokens else None
        )

    @property
    def calls(self) -> int:
        """What the times and errors are counted over."""
        return self.requests or self.attempts

    @property
    def error_share(self) -> float | None:
        """Errors among calls."""
        return self.errors / self.calls if self.calls else None

    @property
    def mean_cost_nano_usd(self) -> int | None:
        """What one priced request cost on average."""
        priced = self.requests - self.unpriced
        return self.cost_nano_usd // priced if priced > 0 else None

    @property
    def latency_ms(self) -> int | None:
        """The mean time of a call."""
        return self.latency_ms_sum // self.calls if self.calls else None

    @property
    def has_price(self) -> bool:
        """Say whether the cost is known for anything at all."""
        return bool(self.cost_nano_usd) or not self.unpriced


@dataclass
class Breakdown:
    """The dearest values of a group, the whole, and the course of the spending."""

    total: Line = field(default_factory=Line)
    lines: list[Line] = field(default_factory=list)
    has_more: bool = False
    course: Spend = field(default_factory=lambda: Spend([], {}))
    whole: list[int] = field(default_factory=list)


def breakdown(by: str, hours: int, *, now: datetime | None = None) -> Breakdown:
    """Add up the last hours by one group, the dearest values first.

    Shapes:  ``by`` is a key of ``selectors.GROUPS``; at most LIMIT lines; ``course``
             has the first SERIES of them, ``whole`` all together.
    Units:   ranges of more than two days are whole UTC days, today included.
    Cost:    five queries over rollups, never over requests.
    """
    now = (now or datetime.now(UTC)).astimezone(UTC)
    kind = GROUPS[by]
    days_only = hours > _DAY_HOURS or kind in rollups.DAY_ONLY
    total = _sums(_rows(rollups.TOTAL, hours, now, days_only=days_only)).first()
    ordered = _sums(_rows(kind, hours, now, days_only=days_only)).order_by(
        "-all_cost_nano_usd", "-all_requests", "ref"
    )
    found = [_line(row) for row in ordered[: LIMIT + 1]]
    lines = found[:LIMIT]
    names = names_of(kind, [line.ref for line in lines])
    for line in lines:
        line.name = names.get(line.ref, "")
    span = max(hours, 72) if days_only else hours
    shown = [line.ref for line in lines[:SERIES]]
    whole = spend(rollups.TOTAL, span, now=now).by_ref
    return Breakdown(
        total=_line(total) if total else Line(),
        lines=lines,
        has_more=len(found) > LIMIT,
        course=spend(kind, span, refs=shown, now=now),
        whole=next(iter(whole.values()), []),
    )


def _rows(kind: str, hours: int, now: datetime, *, days_only: bool) -> QuerySet[Any]:
    if days_only:
        first = now.date() - timedelta(days=max(0, hours // 24 - 1))
        return RollupDay.objects.filter(kind=kind, bucket__gte=first)
    since = now - timedelta(hours=hours)
    return Rollup15.objects.filter(kind=kind, bucket__gt=since)


def _sums(rows: QuerySet[Any]) -> QuerySet[Any]:
    sums = {f"all_{name}": Sum(name) for name in _COLUMNS}
    found: QuerySet[Any] = rows.values("ref").annotate(**sums).order_by("ref")
    return found


def _line(row: dict[str, Any]) -> Line:
    return Line(ref=row["ref"], **{name: row[f"all_{name}"] for name in _COLUMNS})
