"""Read sessions: one line each, and the timeline of one.

Cost and counts come from the daily rollups; when a session began and ended and which
models answered comes from its own requests, found by their index.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from django.db.models import Max, Min, QuerySet

from usage import dimensions, rollups
from usage.dashboards import sums
from usage.dashboards.periods import Period
from usage.dashboards.question import Source
from usage.dashboards.sums import Line
from usage.log_find import along_indexes
from usage.models import Dimension, Request
from usage.selectors import strings

PAGE: Final = 25


@dataclass
class Session:
    """One line: what rollups know of a session, and what its requests know.

    Shapes:  ``models`` are the names that were served; the times None where retention
             removed the requests.
    """

    line: Line
    name: str = ""
    agent: str = ""
    first_at: datetime | None = None
    last_at: datetime | None = None
    models: list[str] = field(default_factory=list)

    @property
    def duration_s(self) -> float | None:
        """From the first request to the last."""
        if self.first_at is None or self.last_at is None:
            return None
        return (self.last_at - self.first_at).total_seconds()


def dearest(period: Period, page: int) -> tuple[list[Session], bool]:
    """Return one page of sessions, the dearest of the UTC days first; four queries."""
    source = Source(rollups.SESSION, period.in_days())
    lines = list(sums.sorted_lines(source, page * PAGE, (page + 1) * PAGE + 1))
    return described(lines[:PAGE]), len(lines) > PAGE


def described(lines: Sequence[Line]) -> list[Session]:
    """Add to lines of sessions what their requests know; three queries."""
    found = {line.ref: Session(line) for line in lines}
    rows = Request.objects.filter(session_dim__in=list(found))
    spans = rows.order_by().values("session_dim", "model_served_dim", "agent_dim")
    models: dict[int, set[int]] = {}
    agents: dict[int, int] = {}
    seen: list[Any]
    with along_indexes():
        seen = list(spans.annotate(first=Min("at"), last=Max("at")))
    for row in seen:
        session = found[row["session_dim"]]
        session.first_at = min(session.first_at or row["first"], row["first"])
        session.last_at = max(session.last_at or row["last"], row["last"])
        if row["model_served_dim"]:
            models.setdefault(row["session_dim"], set()).add(row["model_served_dim"])
        if row["agent_dim"]:
            agents[row["session_dim"]] = row["agent_dim"]
    words = strings([*found, *agents.values(), *set().union(*models.values())])
    for ref, session in found.items():
        session.name = words.get(ref, str(ref))
        session.agent = words.get(agents.get(ref, 0), "")
        names = (words.get(each, "") for each in models.get(ref, ()))
        session.models = sorted(each for each in names if each)
    return list(found.values())


def number_of(name: str) -> int | None:
    """Return the number of a session's id; one query."""
    rows = Dimension.objects.filter(kind=dimensions.SESSION, value=name)
    return rows.values_list("pk", flat=True).first()


def requests_of(ref: int) -> QuerySet[Request]:
    """Return the requests of a session, for pages by time and id."""
    return Request.objects.filter(session_dim=ref)


def line_of(ref: int) -> Line:
    """Return the sums of one session over all its days; one query."""
    return sums.whole_of(rollups.SESSION, ref)


def now_facts(now: datetime) -> dict[str, Any]:
    """Return how things are at this moment: the last quarter of an hour or two.

    Units:  per minute and per second over the time the quarters really cover.
    Cost:   one query of two rows.
    """
    since = rollups.quarter(now) - rollups.QUARTER
    line = sums.since(rollups.TOTAL, since)
    seconds = max(1.0, (now - since).total_seconds())
    return {
        "line": line,
        "minutes": round(seconds / 60),
        "requests_per_minute": line.requests * 60 / seconds,
        "tokens_per_second": line.output_tokens / seconds,
    }
