"""The filtered request log as a CSV file, written while it is read."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import datetime, tzinfo
from typing import Any, Final

from django.http import StreamingHttpResponse
from django.utils import timezone

from usage import log, log_file, log_find
from usage.log_search import Search

MOST_ROWS: Final = 100_000
_MOST_PAGES: Final = 400
_PAGE: Final = 1_000


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
    yield writer.writerow(log_file.COLUMNS)
    cursor, written = "", 0
    for _ in range(_MOST_PAGES):
        page = log_find.find(search, cursor, now=now, zone=zone, size=_PAGE)
        for row in log.in_words(page.rows, with_tries=False):
            if written == MOST_ROWS:
                yield _more(writer, row.at)
                return
            yield writer.writerow(log_file.cells(row))
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
