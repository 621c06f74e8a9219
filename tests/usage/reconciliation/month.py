"""A month of traffic, and the statement a vendor would write of it."""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from poolsite.actor import SYSTEM
from poolsite.money import usd_from_nano
from pricing.cost import PriceSpec
from pricing.tokens import TokenUsage
from tests.factories import call, make_provider, ship, try_at
from usage.journal.records import PriceRef
from usage.models import Attempt, Dimension, VendorStatement
from usage.reconciliation import services, work
from usage.reconciliation.compare import Limits
from usage.reconciliation.read import Reading
from usage.reconciliation.services import Upload
from usage.reconciliation.shapes import Columns

FIRST = date(2026, 4, 1)
PRICE = PriceRef(
    spec=PriceSpec(input=3_000_000_001, output=15_000_000_007, cache_read=300_000_003),
    source="book",
)
HEADER = ("day", "model", "cost", "input", "cached", "output", "requests")
GENERIC = Reading(
    Columns(
        day="day",
        model="model",
        cost="cost",
        input="input",
        cache_read="cached",
        output="output",
        requests="requests",
    )
)
Row = dict[str, Any]


def make_month(
    models: int = 20, days: int = 30, *, seed: int = 7, a_day: int = 1
) -> None:
    """Ship calls of every model on every day at one provider, and noise at another.

    Shapes:  ``a_day`` calls of the first model, one of each other.
    """
    rng = random.Random(seed)
    names = [f"model-{number:02}" for number in range(models)]
    acme = make_provider("acme", models=names, keys=["sk-1"])
    other = make_provider("other", models=names[:1], keys=["sk-2"])
    calls = [call(None, try_at(other, names[0], price=PRICE), at=_moment(FIRST, 12))]
    for number in range(days):
        for name in names:
            for _ in range(a_day if name == names[0] else 1):
                usage = TokenUsage(
                    input_tokens=rng.randrange(20_000, 90_000),
                    output_tokens=rng.randrange(8_000, 30_000),
                    cache_read_tokens=rng.choice((None, 0, 40_000)),
                )
                at = _moment(FIRST + timedelta(days=number), rng.randrange(24))
                tried = try_at(acme, name, usage=usage, price=PRICE)
                purpose = rng.choice(("client", "client", "probe"))
                calls.append(call(None, tried, at=at, purpose=purpose))
    ship(*calls)


def ledger_rows(provider: str = "acme") -> list[Row]:
    """Sum the attempts by UTC day and model, sharing no code with the product."""
    [dim] = Dimension.objects.filter(kind="provider", value=provider)
    names = dict(Dimension.objects.values_list("pk", "value"))
    sums: dict[tuple[date, str], Row] = {}
    for row in Attempt.objects.filter(provider_dim=dim.pk):
        key = row.at.astimezone(UTC).date(), names[row.model_dim]
        line = sums.setdefault(
            key, {**dict.fromkeys(HEADER, 0), "day": key[0], "model": key[1]}
        )
        line["cost"] += row.cost_nano_usd or 0
        line["input"] += row.input_tokens or 0
        line["cached"] += row.cache_read_tokens or 0
        line["output"] += row.output_tokens or 0
        line["requests"] += 1
    return [sums[key] for key in sorted(sums)]


def as_csv(rows: Sequence[Row], header: Sequence[str] = HEADER) -> bytes:
    """Write rows as a generic statement."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(header)
    for row in rows:
        cost = f"{usd_from_nano(row['cost']):f}"
        writer.writerow([cost if name == "cost" else row[name] for name in header])
    return text.getvalue().encode()


def take_in(
    data: bytes,
    *,
    provider: str = "acme",
    how: Reading | None = None,
    limits: Limits | None = None,
) -> VendorStatement:
    """Upload a statement and compare it to the end."""
    upload = Upload(
        provider,
        data,
        "invoice.csv",
        how or GENERIC,
        limits or Limits(),
    )
    return compared(services.take_in(SYSTEM, upload))


def reading(**columns: Any) -> Reading:
    """Say which column says what."""
    return Reading(Columns(**columns))


def compared(statement: VendorStatement) -> VendorStatement:
    """Do the comparison that waits."""
    statement.refresh_from_db()
    work.work_here(statement)
    statement.refresh_from_db()
    assert statement.job is not None
    assert statement.state == "compared", statement.job.message
    return statement


def _moment(day: date, hour: int) -> datetime:
    return datetime(day.year, day.month, day.day, hour, 7, tzinfo=UTC)
