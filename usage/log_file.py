"""The request log as rows of a file: what a search finds, newest first."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, tzinfo
from typing import Any, Final

from poolsite.money import usd_from_nano
from usage import log, log_find
from usage.dashboards.export import safe
from usage.log import RequestRow
from usage.log_search import Search

_PAGE: Final = 1_000
COLUMNS: Final = (
    *("id", "at", "status", "outcome", "error", "client_key", "model_asked"),
    *("model_served", "provider", "agent", "session", "end_user", "dialect"),
    *("purpose", "stream", "attempts", "ttft_ms", "latency_ms", "input_tokens"),
    *("cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens"),
    *("output_tokens", "reasoning_tokens", "estimated", "unpriced", "cost_usd"),
)
_OWN: Final = COLUMNS[COLUMNS.index("attempts") : COLUMNS.index("estimated")]


def rows(search: Search, *, now: datetime, zone: tzinfo) -> Iterator[list[str]]:
    """Yield the head and every request a search finds; unknown figures stay empty.

    Cost:  a page of a thousand at a time, by keys: no depth costs more than another.
    """
    yield list(COLUMNS)
    cursor = ""
    while True:
        page = log_find.find(search, cursor, now=now, zone=zone, size=_PAGE)
        for row in log.in_words(page.rows, with_tries=False):
            yield cells(row)
        cursor = page.older
        if not cursor:
            return


def cells(row: RequestRow) -> list[str]:
    """Return one request by ``COLUMNS``, no cell of it a formula to a spreadsheet."""
    own, cost = row.row, row.cost_nano_usd
    words = (
        *(row.error, row.key, row.model, row.served, row.provider, row.agent),
        *(row.session, row.end_user, row.dialect, row.purpose),
    )
    return [
        str(row.id),
        row.at.isoformat(),
        str(own.status),
        own.get_outcome_display().lower().replace(" ", "_"),
        *(safe(each) for each in words),
        _flag(own.stream),
        *(_number(getattr(own, name)) for name in _OWN),
        _flag(own.estimated),
        _flag(row.is_unpriced),
        "" if cost is None else f"{usd_from_nano(cost):.9f}",
    ]


def _flag(value: bool) -> str:
    return "yes" if value else "no"


def _number(value: Any) -> str:
    return "" if value is None else str(value)
