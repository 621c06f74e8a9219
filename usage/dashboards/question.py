"""What a dashboard is asked: the range, the group, the figure, and what it is narrowed
to; and which rollup can answer it.
"""  # noqa: D205 - one sentence

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo
from typing import Any, Final
from urllib.parse import urlencode

from django.db.models import F, QuerySet

from usage import dimensions, rollups
from usage.dashboards import periods
from usage.dashboards.periods import Period
from usage.models import ClientKey, Dimension, Rollup15, RollupCube, RollupDay, Team
from usage.selectors import GROUPS

TAG: Final = "tag"
BY: Final = {
    "provider": "Provider",
    "model": "Model",
    "key": "Client key",
    "team": "Team",
    "agent": "Agent",
    "user": "End user",
    "session": "Session",
    "status": "Status",
    TAG: "Tag",
}
METRICS: Final = {
    "cost": "Cost",
    "requests": "Requests",
    "errors": "Errors",
    "tokens_in": "Tokens in",
    "tokens_out": "Tokens out",
    "tokens_cache": "From cache",
    "latency": "Latency",
}
FILTERS: Final = (
    *("provider", "model", "key", "team", "agent"),
    *("session", "user", "status", TAG),
)
_CUBE: Final = {
    "provider": "provider_dim",
    "model": "model_dim",
    "key": "client_key_id",
}
KIND_OF: Final = {column: GROUPS[name] for name, column in _CUBE.items()}
"""The rollup kind of a column of the cube."""

_DIMENSIONS: Final = {
    "provider": dimensions.PROVIDER,
    "model": dimensions.MODEL,
    "agent": dimensions.AGENT,
    "session": dimensions.SESSION,
    "user": dimensions.END_USER,
}
_NEXT: Final = {"provider": "model", "model": "key", "key": "provider"}
_LONGEST_VALUE: Final = 255
_MOST_KEYS: Final = 1_000


@dataclass(frozen=True)
class Question:
    """One reading of the address of a dashboard.

    Shapes:  ``filters`` holds names as people write them, by a name of FILTERS.
    """

    period: Period
    by: str = "provider"
    metric: str = "cost"
    is_compared: bool = False
    filters: Mapping[str, str] = field(default_factory=dict)

    def address(self, **changes: str | None) -> str:
        """Return the query string of this question with some of it changed.

        Shapes:  None takes a parameter away; relative ranges stay relative.
        """
        values = self.parameters() | changes
        return urlencode({name: text for name, text in values.items() if text})

    def parameters(self) -> dict[str, str | None]:
        """Return what an address carries, in a fixed order."""
        period = self.period
        span = (
            {"range": period.name}
            if period.name
            else {"from": _edge(period.since), "to": _edge(period.until)}
        )
        return {
            **span,
            "by": self.by,
            "metric": self.metric if self.metric != "cost" else None,
            "compare": "1" if self.is_compared else None,
            **self.filters,
        }

    def narrowed(self, name: str) -> str:
        """Return the address of one line: narrowed to it, grouped by the next."""
        by = _NEXT.get(self.by, self.by)
        if set(self.filters) - set(_CUBE) or self.by not in _CUBE:
            by = self.by
        while by != self.by and by in self.filters:
            by = _NEXT[by]
        return self.address(**{self.by: name, "by": by})


def asked(values: Mapping[str, str], *, now: datetime, zone: tzinfo) -> Question:
    """Read a question from an address; nonsense falls back to what is usual."""
    by = values.get("by", "")
    metric = values.get("metric", "")
    filters = {
        name: values[name].strip()[:_LONGEST_VALUE].replace("\x00", "")
        for name in FILTERS
        if values.get(name, "").strip()
    }
    return Question(
        periods.chosen(values, now=now, zone=zone),
        by if by in BY else "provider",
        metric if metric in METRICS else "cost",
        values.get("compare") == "1",
        filters,
    )


# Where the answer lies


@dataclass(frozen=True)
class Source:
    """The rollup that answers a question, and the rows of it that do.

    Shapes:  with ``cube`` the daily cube, narrowed by column, its ``column`` the group;
             else rollups of ``kind``, of all values or of ``refs``.
    """

    kind: str
    period: Period
    refs: tuple[int, ...] | None = None
    column: str = ""
    cube: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    @property
    def is_daily(self) -> bool:
        """Say whether only whole UTC days can be told."""
        return bool(self.column) or self.kind in rollups.DAY_ONLY

    @property
    def is_whole(self) -> bool:
        """Say whether nothing is left out, so that the pool's totals are its sums."""
        return self.refs is None and not self.cube

    def in_period(self, period: Period) -> Source:
        """Return the same rows of another stretch of time."""
        return replace(self, period=period.in_days() if self.is_daily else period)

    def rows(
        self,
        *,
        refs: Iterable[int] | QuerySet[Any] | None = None,
        in_quarters: bool = False,
    ) -> list[QuerySet[Any]]:
        """Return querysets that together hold each moment once, with ``value``.

        Shapes:  ``value`` is the number of the group's value; ``refs`` narrows it to
                 some; ``in_quarters`` reads no days, for steps other than UTC days.
        """
        if self.column:
            return [self._cube_rows(refs)]
        keep = {} if self.refs is None else {"ref__in": self.refs}
        also = {} if refs is None else {"ref__in": _listed(refs)}
        return [
            rows.filter(kind=self.kind, **keep).filter(**also).annotate(value=F("ref"))
            for rows in ([quarters(self.period)] if in_quarters else parts(self.period))
        ]

    def _cube_rows(self, refs: Iterable[int] | QuerySet[Any] | None) -> QuerySet[Any]:
        period = self.period
        rows = RollupCube.objects.filter(
            bucket__gte=period.since.date(), bucket__lt=period.until.date()
        )
        for column, wanted in self.cube.items():
            rows = rows.filter(**{f"{column}__in": wanted})
        if refs is not None:
            rows = rows.filter(**{f"{self.column}__in": _listed(refs)})
        return rows.annotate(value=F(self.column))


def _listed(refs: Iterable[int] | QuerySet[Any]) -> Any:
    return refs if isinstance(refs, QuerySet) else list(refs)


def parts(period: Period) -> list[QuerySet[Any]]:
    """Return the rollups of a stretch: whole days, and quarters at its edges."""
    first = periods.midnight(period.since)
    first = first if first == period.since else first + periods.DAY
    last = periods.midnight(period.until)
    if first >= last:
        return [quarters(period)]
    found: list[QuerySet[Any]] = [
        RollupDay.objects.filter(bucket__gte=first.date(), bucket__lt=last.date())
    ]
    if period.since < first:
        found.append(quarters(replace(period, until=first)))
    if last < period.until:
        found.append(quarters(replace(period, since=last)))
    return found


def quarters(period: Period) -> QuerySet[Any]:
    """Return the quarters of an hour of a stretch."""
    return Rollup15.objects.filter(bucket__gte=period.since, bucket__lt=period.until)


def source_of(question: Question) -> Source | None:
    """Return where the answer lies, None when no rollup holds it.

    Cost:  one query for each filter.
    """
    by = "key" if question.by == TAG else question.by
    names = {("key" if name == TAG else name) for name in question.filters}
    if names <= {by}:
        refs = _all_of(question, by)
        kind = GROUPS[by]
        period = question.period
        daily = kind in rollups.DAY_ONLY
        return Source(kind, period.in_days() if daily else period, refs)
    if by not in _CUBE or not names <= set(_CUBE):
        return None
    wanted = {_CUBE[name]: _all_of(question, name) or () for name in sorted(names)}
    return Source(GROUPS[by], question.period.in_days(), None, _CUBE[by], wanted)


def _all_of(question: Question, name: str) -> tuple[int, ...] | None:
    """Return the numbers a filter stands for; None without one."""
    found: set[int] | None = None
    for each in (name, TAG) if name == "key" else (name,):
        if each in question.filters:
            some = set(numbers_of(each, question.filters[each]))
            found = some if found is None else found & some
    return None if found is None else tuple(sorted(found))


def numbers_of(name: str, value: str) -> list[int]:
    """Return the numbers of the values people call this; one query.

    Shapes:  several client keys may have had one name.
    """
    if name == "status":
        is_code = value.isascii() and value.isdigit() and len(value) < 5
        return [int(value)] if is_code else []
    if name == "key":
        rows = ClientKey.objects.filter(name=value)
        return list(rows.values_list("pk", flat=True)[:_MOST_KEYS])
    if name == TAG:
        return [pk for pk, tags in tags_of_keys() if value in tags]
    if name == "team":
        return list(Team.objects.filter(name=value).values_list("pk", flat=True))
    rows_of_words = Dimension.objects.filter(kind=_DIMENSIONS[name], value=value)
    return list(rows_of_words.values_list("pk", flat=True))


def tags_of_keys() -> list[tuple[int, list[str]]]:
    """Return the keys that have tags, with them; one query."""
    rows = ClientKey.objects.exclude(tags=[]).values_list("pk", "tags")
    return [(pk, [str(tag) for tag in tags]) for pk, tags in rows]


def _edge(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S}Z"
