"""Read an uploaded file as a table of text; nothing in it is believed yet."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from usage.reconciliation.shapes import fold
from usage.services import UsageError

LARGEST: Final = 20 * 1024 * 1024
MOST_ROWS: Final = 500_000
_LONGEST_LINE: Final = 64_000
_MOST_COLUMNS: Final = 200
_DELIMITERS: Final = ",;\t"
_SAMPLE: Final = 4_000
FILE: Final = "file"


class Table(NamedTuple):
    """A file's text, its delimiter and its folded header."""

    text: str
    delimiter: str
    header: tuple[str, ...]

    def lines(self) -> Iterator[tuple[int, list[str]]]:
        """Yield the lines behind the header with their numbers in the file.

        Errors:  UsageError for a line of another width and for too many of them.
        """
        reader = _reader(self.text, self.delimiter)
        is_first = True
        try:
            for row in reader:
                if not any(cell.strip() for cell in row):
                    continue
                if is_first:
                    is_first = False
                    continue
                if len(row) != len(self.header):
                    raise UsageError(
                        f"Line {reader.line_num} has {len(row)} columns, "
                        f"the header {len(self.header)}.",
                        field=FILE,
                    )
                yield reader.line_num, row
        except csv.Error as exc:
            raise UsageError(
                f"Line {reader.line_num} cannot be read as CSV.", field=FILE
            ) from exc


def open_table(data: bytes) -> Table:
    """Read a file's header; the encoding and the delimiter are found out.

    Errors:  UsageError in words for a person.
    """
    if not data.strip():
        raise UsageError("The file is empty.", field=FILE)
    if len(data) > LARGEST:
        raise UsageError("A file is at most 20 MB.", field=FILE)
    text = _decoded(data)
    if "\0" in text:
        raise UsageError("This is not a text file.", field=FILE)
    lines = text.splitlines()
    if max(map(len, lines)) > _LONGEST_LINE:
        raise UsageError("A line of the file is too long.", field=FILE)
    if len(lines) > MOST_ROWS:
        raise UsageError(f"A file has at most {MOST_ROWS:,} lines.", field=FILE)
    first = next(line for line in lines if line.strip())
    delimiter = max(_DELIMITERS, key=first.count)
    try:
        header = next(
            row for row in _reader(text, delimiter) if any(c.strip() for c in row)
        )
    except csv.Error as exc:
        raise UsageError("The header cannot be read as CSV.", field=FILE) from exc
    names = tuple(map(fold, header))
    if len(names) > _MOST_COLUMNS or len(names) < 2:
        raise UsageError("The first line is not a header of columns.", field=FILE)
    named = [name for name in names if name]
    if len(set(named)) != len(named):
        raise UsageError("The header names a column twice.", field=FILE)
    return Table(text, delimiter, names)


def _reader(text: str, delimiter: str) -> Any:
    return csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)


def _decoded(data: bytes) -> str:
    """Read UTF-8 or UTF-16 by their marks, else what fits; Latin-1 fits always."""
    for mark, name in (
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ):
        if data.startswith(mark):
            return _strictly(data[len(mark) :], name)
    head = data[:_SAMPLE]
    if head[1::2].count(0) > len(head) // 4:
        return _strictly(data, "utf-16-le")
    if head[::2].count(0) > len(head) // 4:
        return _strictly(data, "utf-16-be")
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _strictly(data: bytes, name: str) -> str:
    try:
        return data.decode(name)
    except UnicodeDecodeError as exc:
        raise UsageError(
            f"The file says it is {name.upper()} and is not.", field=FILE
        ) from exc
