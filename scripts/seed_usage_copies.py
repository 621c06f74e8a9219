"""Copy whole days of the ledger and its rollups into the days before them.

Rows and sums of a day that is moved by whole days are the sums of the moved rows, so
nothing is added up again. Sessions become others, as they do from day to day.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

TABLES: Final = ("usage_attempt", "usage_request")
ROLLUPS: Final = ("usage_rollup15", "usage_rollupday", "usage_rollupcube")
_IDS: Final = ("id", "request_id", "serving_attempt")
_MARK: Final = "~"


def copy_days(first: date, last: date, back: int) -> None:
    """Copy the days from ``first`` to ``last`` into those ``back`` days earlier.

    Cost:  some 20 us a request with its attempts, indexes included.
    """
    from django.db import connection, transaction

    say = _Postgres() if connection.vendor == "postgresql" else _Sqlite()
    with transaction.atomic(), connection.cursor() as cursor:
        _number_sessions(cursor, say, first, last, back)
        days = (last - first).days + 1
        for number in range(days):
            day = first + timedelta(days=number)
            for table in TABLES:
                _copy_rows(cursor, say, table, day, back)
        for table in ROLLUPS:
            _copy_rollups(cursor, say, table, (first, last), back)


def _number_sessions(
    cursor: Any, say: _Sqlite, first: date, last: date, back: int
) -> None:
    """Give every session of the days a namesake, and keep who is whose."""
    cursor.execute("DROP TABLE IF EXISTS seed_session")
    cursor.execute(
        "CREATE TEMPORARY TABLE seed_session (old bigint PRIMARY KEY, new bigint)"
    )
    seen = (
        "SELECT DISTINCT ref FROM usage_rollupday WHERE kind = 'session'"
        " AND bucket BETWEEN %s AND %s"
    )
    span = [str(first), str(last)]
    name = f"value || '{_MARK}{back}'"
    cursor.execute(
        f"INSERT INTO usage_dimension (kind, value) SELECT kind, {name}"
        f" FROM usage_dimension WHERE id IN ({seen}) ORDER BY id",
        span,
    )
    cursor.execute(
        "INSERT INTO seed_session SELECT a.id, b.id FROM usage_dimension a"
        f" JOIN usage_dimension b ON b.kind = 'session' AND b.value = a.{name}"
        f" WHERE a.id IN ({seen})",
        span,
    )
    say.analyze(cursor, "seed_session")


def _copy_rows(cursor: Any, say: _Sqlite, table: str, day: date, back: int) -> None:
    from django.apps import apps

    model = apps.get_model(table.replace("_", "."))
    columns = [field.column for field in model._meta.concrete_fields if field.column]
    moved = {name: say.moved_id(name, back) for name in _IDS if name in columns}
    moved["at"] = say.moved_time("at", back)
    joined = ""
    if "session_dim" in columns:
        moved["session_dim"] = "s.new"
        joined = " LEFT JOIN seed_session s ON s.old = t.session_dim"
    chosen = ", ".join(moved.get(name, f"t.{name}") for name in columns)
    start = datetime.combine(day, time(), UTC)
    say.insert(
        cursor,
        table,
        day - timedelta(days=back),
        f"({', '.join(columns)}) SELECT {chosen} FROM {table} t{joined}"
        f" WHERE t.at >= %s AND t.at < %s ORDER BY t.at, t.id",
        [say.time(start), say.time(start + timedelta(days=1))],
    )


def _copy_rollups(
    cursor: Any, say: _Sqlite, table: str, span: tuple[date, date], back: int
) -> None:
    from django.apps import apps

    model = apps.get_model(table.replace("_", "."))
    columns = [
        field.column for field in model._meta.concrete_fields if field.column != "id"
    ]
    is_fine = table == "usage_rollup15"
    moved = {
        "bucket": say.moved_time("bucket", back)
        if is_fine
        else say.moved_day("bucket", back)
    }
    joined = ""
    if table == "usage_rollupday":
        moved["ref"] = "COALESCE(s.new, t.ref)"
        joined = " LEFT JOIN seed_session s ON t.kind = 'session' AND s.old = t.ref"
    chosen = ", ".join(moved.get(name, f"t.{name}") for name in columns)
    first, last = span
    edges: list[Any] = [str(first), str(last + timedelta(days=1))]
    if is_fine:
        edges = [
            say.time(datetime.combine(day, time(), UTC))
            for day in (first, last + timedelta(days=1))
        ]
    cursor.execute(
        f"INSERT INTO {table} ({', '.join(columns)}) SELECT {chosen}"
        f" FROM {table} t{joined} WHERE t.bucket >= %s AND t.bucket < %s",
        edges,
    )


class _Sqlite:
    """How SQLite moves a time, a day and an id of version 7."""

    def time(self, moment: datetime) -> Any:
        return str(moment.replace(tzinfo=None))

    def moved_time(self, name: str, back: int) -> str:
        return f"date(t.{name}, '-{back} days') || substr(t.{name}, 11)"

    def moved_day(self, name: str, back: int) -> str:
        return f"date(t.{name}, '-{back} days')"

    def moved_id(self, name: str, back: int) -> str:
        # The first twelve digits of an id are its milliseconds.
        at = self.moved_time("at", back)
        ms = (
            f"strftime('%%s', {at}) * 1000 + CAST(substr(t.at || '.000', 21, 3) AS int)"
        )
        return f"printf('%%012x', {ms}) || substr(t.{name}, 13)"

    def analyze(self, cursor: Any, table: str) -> None:
        """A primary key is all there is to know here."""

    def insert(
        self,
        cursor: Any,
        table: str,
        day: date,
        filling: str,
        values: Sequence[Any],
    ) -> None:
        cursor.execute(f"INSERT INTO {table} {filling}", values)


class _Postgres(_Sqlite):
    """How PostgreSQL does, a partition at a time: its indexes come when it is full."""

    def time(self, moment: datetime) -> Any:
        return moment

    def moved_time(self, name: str, back: int) -> str:
        return f"t.{name} - interval '{back * 24} hours'"

    def moved_day(self, name: str, back: int) -> str:
        return f"t.{name} - {back}"

    def moved_id(self, name: str, back: int) -> str:
        ms = f"floor(extract(epoch from {self.moved_time('at', back)}) * 1000)::bigint"
        rest = f"substr(replace(t.{name}::text, '-', ''), 13)"
        return f"(lpad(to_hex({ms}), 12, '0') || {rest})::uuid"

    def analyze(self, cursor: Any, table: str) -> None:
        cursor.execute(f"ANALYZE {table}")

    def insert(
        self,
        cursor: Any,
        table: str,
        day: date,
        filling: str,
        values: Sequence[Any],
    ) -> None:
        from usage import partitions

        with partitions.filled(table, day) as name:
            super().insert(cursor, name, day, filling, values)
