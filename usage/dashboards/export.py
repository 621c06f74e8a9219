"""Write what a dashboard shows as CSV, row by row."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

from poolsite.money import usd_from_nano
from usage.dashboards import answer, sums
from usage.dashboards.question import Question, source_of

STREAMED: Final = 100_000
"""Up to here a browser waits for its file; beyond, a job writes it."""

_TEXT_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")
_CHUNK: Final = 500
_COLUMNS: Final = (
    *("requests", "attempts", "errors", "unpriced", "estimated", "input_tokens"),
    *("cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens"),
    *("output_tokens", "reasoning_tokens"),
)


def is_long(question: Question) -> bool:
    """Say whether a browser should not wait for this; one query, bounded."""
    source = source_of(question)
    if source is None or not answer.is_sorted_there(question):
        return False
    return sums.has_more_values(source, STREAMED)


def usage_rows(question: Question) -> Iterator[list[str]]:
    """Yield the head and one row a value, the dearest first.

    Errors:  LookupError where no rollup answers the question, at the first row.
    Cost:    one query of sums, and one for the names of every 500 rows; memory for all
             lines but those of sessions and end users, which may be a million.
    """
    lines = answer.every_line(question)
    yield ["name", *_COLUMNS, "cost_usd"]
    while chunk := list(islice(lines, _CHUNK)):
        answer.add_names(question, chunk)
        for line in chunk:
            yield [
                safe(line.name),
                *(str(getattr(line, name)) for name in _COLUMNS),
                usd(line.cost_nano_usd),
            ]


def written(first: list[str], rows: Iterable[list[str]]) -> Iterator[str]:
    """Yield rows as lines of CSV, some hundreds at a time."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(first)
    for number, row in enumerate(rows, start=1):
        writer.writerow(row)
        if number % _CHUNK == 0:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()


def safe(text: str) -> str:
    """Put a tick before a cell a spreadsheet would run."""
    return f"'{text}" if text.startswith(_TEXT_STARTS) else text


def usd(nano: int) -> str:
    """Write nano-USD as dollars with every digit."""
    return f"{usd_from_nano(nano):.9f}"
