"""Daily partitions of the ledger on PostgreSQL; plain tables on SQLite.

Partitions exist 14 days ahead of the clock. A row outside them lands in DEFAULT,
which ``ensure`` empties into proper partitions again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from typing import Any

from django.db import OperationalError, connection, migrations, transaction

PARTITIONED = ("usage_request", "usage_attempt")
DAYS_AHEAD = 14
LOCK_TIMEOUT_MS = 2_000


class CreatePartitionedModel(migrations.CreateModel):
    """Create the model's table partitioned by ``at`` where the database can."""

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        """Create the table, its indexes and the DEFAULT partition."""
        model = to_state.apps.get_model(app_label, self.name)
        if schema_editor.connection.vendor != "postgresql":
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        sql, params = schema_editor.table_sql(model)
        schema_editor.execute(f"{sql} PARTITION BY RANGE (at)", params or None)
        table = model._meta.db_table
        schema_editor.execute(
            f"CREATE TABLE {table}_default PARTITION OF {table} DEFAULT"
        )
        schema_editor.deferred_sql.extend(schema_editor._model_indexes_sql(model))


def ensure(now: datetime, *, days_ahead: int = DAYS_AHEAD) -> int:
    """Create today's and the coming days' partitions; return how many were made.

    Cost: one catalogue query a table when nothing is missing. No-op on SQLite.
    """
    if connection.vendor != "postgresql":
        return 0
    made = 0
    first = now.date() - timedelta(days=1)
    for table in PARTITIONED:
        existing = _existing(table)
        for offset in range(days_ahead + 2):
            day = first + timedelta(days=offset)
            if _name(table, day) not in existing:
                _create(table, day)
                made += 1
    return made


def drop_before(table: str, first_kept: date) -> int:
    """Drop a table's partitions of the days before one; return how many.

    A partition somebody reads from is waited for at most two seconds, and left to the
    next round. No-op on SQLite.

    Cost: one catalogue query, and about 10 ms a partition whatever is in it.
    """
    if connection.vendor != "postgresql":
        return 0
    old = [
        name
        for name in sorted(_existing(table))
        if (day := _day_of(table, name)) is not None and day < first_kept
    ]
    if _drop(old):
        return len(old)
    return sum(_drop([name]) for name in old)


def _drop(names: list[str]) -> bool:
    """Drop partitions together, which looks through the buffers once for all."""
    if not names:
        return True
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}")
            cursor.execute(f"DROP TABLE {', '.join(names)}")
    except OperationalError:
        return False
    return True


def _day_of(table: str, name: str) -> date | None:
    """Read the day off a partition's name; None for DEFAULT and what is not ours."""
    text = name.removeprefix(f"{table}_")
    if text == name or len(text) != len("20260131") or not text.isdigit():
        return None
    return date(int(text[:4]), int(text[4:6]), int(text[6:]))


def _name(table: str, day: date) -> str:
    return f"{table}_{day:%Y%m%d}"


def _existing(table: str) -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
            " WHERE i.inhparent = %s::regclass",
            [table],
        )
        return {row[0] for row in cursor.fetchall()}


def _create(table: str, day: date) -> None:
    """Create one day's partition, moving rows out of DEFAULT that belong to it."""
    name = _name(table, day)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [name])
        if name in _existing(table):
            return
        with filled(table, day):
            cursor.execute(
                f"WITH moved AS (DELETE FROM {table}_default"  # noqa: S608 - names are ours
                f" WHERE at >= %s AND at < %s RETURNING *)"
                f" INSERT INTO {name} SELECT * FROM moved",
                _bounds(day),
            )


@contextmanager
def filled(table: str, day: date) -> Iterator[str]:
    """Create a day's partition, let rows be put into it by its name, then attach it.

    Shapes:  all in one transaction; its indexes are made when the rows are there.
    """
    name, bounds = _name(table, day), _bounds(day)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {name} (LIKE {table} INCLUDING DEFAULTS)")
        yield name
        cursor.execute(
            f"ALTER TABLE {table} ATTACH PARTITION {name}"
            f" FOR VALUES FROM ('{bounds[0]}') TO ('{bounds[1]}')"
        )


def _bounds(day: date) -> list[str]:
    return [f"{day} 00:00:00+00", f"{day + timedelta(days=1)} 00:00:00+00"]
