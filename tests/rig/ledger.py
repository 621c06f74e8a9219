"""Read the ledger's rows straight from the database file.

The rows are read with sqlite3, not through the product, so that a fault of its own
queries cannot hide a fault of its records.
"""

from __future__ import annotations

import sqlite3
import uuid
from contextlib import closing
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

_ATTEMPTS = """
    select a.request_id, a.id, a.number, m.value, o.value, a.status, a.estimated,
           a.flags, a.input_tokens, a.cache_read_tokens, a.output_tokens,
           a.cost_nano_usd, a.reservation_nano_usd
    from usage_attempt a
    left join usage_dimension m on m.id = a.model_dim
    left join usage_dimension o on o.id = a.outcome_dim
    order by a.request_id, a.number, a.id
"""
_REQUESTS = """
    select id, status, outcome, attempts, cost_nano_usd, estimated, input_tokens,
           output_tokens
    from usage_request order by id
"""


@dataclass(frozen=True)
class AttemptRow:
    """One attempt as the ledger has it. None = not reported."""

    request_id: str
    id: str
    number: int
    model: str
    outcome: str
    status: int | None
    estimated: bool
    flags: str
    input_tokens: int | None
    cache_read_tokens: int | None
    output_tokens: int | None
    cost_nano_usd: int | None
    reservation_nano_usd: int | None


@dataclass(frozen=True)
class RequestRow:
    """One request as the ledger has it."""

    id: str
    status: int
    outcome: int
    attempts: int
    cost_nano_usd: int | None
    estimated: bool
    input_tokens: int | None
    output_tokens: int | None


@dataclass(frozen=True)
class Ledger:
    """Every request and attempt at one moment."""

    requests: list[RequestRow]
    attempts: list[AttemptRow]

    @property
    def cost_nano_usd(self) -> int:
        """Return what all attempts cost together."""
        return sum(row.cost_nano_usd or 0 for row in self.attempts)

    def only(self, request_ids: set[str] | None) -> Ledger:
        """Return the rows of some requests, of all for None."""
        if request_ids is None:
            return self
        return Ledger(
            [row for row in self.requests if row.id in request_ids],
            [row for row in self.attempts if row.request_id in request_ids],
        )


def read_ledger(database: Path) -> Ledger:
    """Read both tables in one transaction."""
    address = f"file:{database}?mode=ro"
    with closing(sqlite3.connect(address, uri=True, timeout=10)) as connection:
        connection.execute("begin")
        requests = [_request(row) for row in connection.execute(_REQUESTS)]
        attempts = [_attempt(row) for row in connection.execute(_ATTEMPTS)]
    return Ledger(requests, attempts)


def count_requests(database: Path) -> int:
    """Return how many requests the ledger holds."""
    address = f"file:{database}?mode=ro"
    with closing(sqlite3.connect(address, uri=True, timeout=10)) as connection:
        found: int = connection.execute(
            "select count(*) from usage_request"
        ).fetchone()[0]
    return found


def _request(row: tuple[Any, ...]) -> RequestRow:
    names = [column.name for column in fields(RequestRow)]
    values = dict(zip(names, row, strict=True))
    values["id"] = _text(values["id"])
    values["estimated"] = bool(values["estimated"])
    return RequestRow(**values)


def _attempt(row: tuple[Any, ...]) -> AttemptRow:
    names = [column.name for column in fields(AttemptRow)]
    values = dict(zip(names, row, strict=True))
    values["request_id"] = _text(values["request_id"])
    values["id"] = _text(values["id"])
    values["estimated"] = bool(values["estimated"])
    return AttemptRow(**values)


def _text(raw: str | bytes) -> str:
    return str(uuid.UUID(raw if isinstance(raw, str) else raw.hex()))
