"""The filtered request log as a CSV file, written while it is read."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import datetime, tzinfo
from typing import Any, Final

from django.http import StreamingHttpResponse
from django.utils import timezone

from poolsite.money import usd_from_nano
from usage import log, log_find
from usage.log import RequestRow
from usage.log_search import Search

MOST_ROWS: Final = 100_000
_MOST_PAGES: Final = 400
_PAGE: Final = 1_000
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
COLUMNS: Final = (
    "id",
    "at",
    "status",
    "outcome",
    "error",
    "client_key",
    "model_asked",
    "model_served",
    "provider",
    "agent",
    "session",
    "end_user",
    "dialect",
    "purpose",
    "stream",
    "attempts",
    "ttft_ms",
    "latency_ms",
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "output_tokens",
    "reasoning_tokens",
    "estimated",
    "unpriced",
    "cost_usd",
)


class _Echo:
    """Give each line back instead of keeping it."""

    def write(self, line: str) -> str:
        return line


def answer(search: Search, *, now: datetime) -> StreamingHttpResponse:
    """Stream what a search finds, newest first; unknown figures stay empty.

    Cost:  at most MOST_ROWS rows, a page of them at a time.
    """
    lines = _lines(search, now, timezone.get_current_timezone())
    response = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
    name = f"requests-{now:%Y%m%d-%H%M%S}.csv"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["Cache-Control"] = "no-store"
    return response


def _lines(search: Search, now: datetime, zone: tzinfo) -> Iterator[str]:
    writer = csv.writer(_Echo())
    yield writer.writerow(COLUMNS)
    cursor, written = "", 0
    for _ in range(_MOST_PAGES):
        page = log_find.find(search, cursor, now=now, zone=zone, size=_PAGE)
        for row in log.in_words(page.rows, with_tries=False):
            if written == MOST_ROWS:
                yield _more(writer, row.at)
                return
            yield writer.writerow([_cell(each) for each in _values(row)])
            written += 1
        cursor = page.older
        if not cursor:
            return
    if page.looked_to is not None:
        yield _more(writer, page.looked_to)


def _more(writer: Any, at: datetime) -> str:
    """Say in the last line that the file is not all, and where to go on."""
    said = f"The log goes on: search until:{at.isoformat()}"
    line: str = writer.writerow([said])
    return line


def _values(row: RequestRow) -> list[Any]:
    own, cost = row.row, row.cost_nano_usd
    return [
        row.id,
        row.at.isoformat(),
        own.status,
        own.get_outcome_display().lower().replace(" ", "_"),
        row.error,
        row.key,
        row.model,
        row.served,
        row.provider,
        row.agent,
        row.session,
        row.end_user,
        row.dialect,
        row.purpose,
        own.stream,
        own.attempts,
        own.ttft_ms,
        own.latency_ms,
        own.input_tokens,
        own.cache_read_tokens,
        own.cache_write_tokens,
        own.cache_write_1h_tokens,
        own.output_tokens,
        own.reasoning_tokens,
        own.estimated,
        own.unpriced,
        None if cost is None else f"{usd_from_nano(cost):.9f}",
    ]


def _cell(value: Any) -> Any:
    """Write a value so that a spreadsheet reads it as text and never as a formula."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str) and value.startswith(_FORMULA):
        # A corrected cost may be negative, and is a number.
        return value if value[1:].replace(".", "", 1).isdecimal() else f"'{value}"
    return value
