"""Write many rows at once, in the way each database likes best."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db import connection


def moment(value: datetime) -> Any:
    """Return a time in the form the database takes; Django's own costs ten times this.

    Shapes:  an aware time in UTC, as rows come from the database.
    """
    if connection.vendor == "postgresql":
        return value
    return str(value.replace(tzinfo=None))


def moment_from(value: Any) -> datetime:
    """Return the time a driver's plain value stands for; the way back of ``moment``."""
    if isinstance(value, datetime):
        return value
    return datetime.fromisoformat(value).replace(tzinfo=UTC)


def month(value: Any) -> str:
    """Return the month of a time as a driver gives it, such as 2026-01."""
    return value[:7] if isinstance(value, str) else f"{value:%Y-%m}"


def key(value: UUID) -> Any:
    """Return an id in the form the database takes."""
    return value if connection.features.has_native_uuid_field else value.hex


def as_uuid(value: Any) -> UUID:
    """Return the id a driver's plain value stands for; the way back of ``key``."""
    return value if isinstance(value, UUID) else UUID(value)


def insert(
    table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], tail: str = ""
) -> None:
    """Insert rows; ``tail`` is what follows the values, such as ON CONFLICT.

    Shapes:  names come from models, values travel as parameters, already in the form
             the database takes.
    Cost:    one prepared statement, stepped or pipelined; PostgreSQL takes plain rows
             by COPY. bulk_create costs five times as much.
    """
    if not rows:
        return
    names = ", ".join(columns)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql" and not tail:
            with cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
            return
        marks = ", ".join(["%s"] * len(columns))
        sql = f"INSERT INTO {table} ({names}) VALUES ({marks}) {tail}"  # noqa: S608
        cursor.executemany(sql, rows)
