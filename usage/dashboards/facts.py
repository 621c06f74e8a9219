"""Tell what a dashboard shows as plain values, for the admin API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from usage.dashboards import answer
from usage.dashboards.question import Question
from usage.dashboards.sessions import Session
from usage.dashboards.sums import COLUMNS, Line


def report(question: Question) -> dict[str, Any] | None:
    """Return totals, lines and the course; None where no rollup can answer."""
    found = answer.answer(question)
    if found.source is None:
        return None
    period = found.period
    return {
        "since": period.since.isoformat(),
        "until": period.until.isoformat(),
        "by": question.by,
        "metric": question.metric,
        "filters": dict(question.filters),
        "widened_to_utc_days": found.is_widened,
        "totals": _line(found.total),
        "groups": [{"name": line.name, **_line(line)} for line in found.lines],
        "has_more": found.has_more,
        "course": [
            {"from": start.isoformat(), "value": value}
            for start, value in zip(found.starts, found.course[0], strict=True)
        ],
    }


def session(row: Session) -> dict[str, Any]:
    """Return one session."""
    return {
        "session": row.name,
        "agent": row.agent,
        "first_at": row.first_at.isoformat() if row.first_at else None,
        "last_at": row.last_at.isoformat() if row.last_at else None,
        "models": row.models,
        **_line(row.line),
    }


def now(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return current figures."""
    return {
        "minutes": found["minutes"],
        "requests_per_minute": round(found["requests_per_minute"], 2),
        "output_tokens_per_second": round(found["tokens_per_second"], 2),
        **_line(found["line"]),
    }


def _line(line: Line) -> dict[str, Any]:
    values = {name: getattr(line, name) for name in COLUMNS}
    if line.before is not None:
        values["before"] = {name: getattr(line.before, name) for name in COLUMNS}
    return values | {
        "p50_ms": line.p50_ms,
        "p95_ms": line.p95_ms,
        "error_share": line.error_share,
        "cache_share": line.cache_share,
    }
