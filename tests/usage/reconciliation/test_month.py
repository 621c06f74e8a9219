"""A month of statements against the ledger: what differs is named, nothing else."""

from __future__ import annotations

import random

import pytest

from tests.usage.reconciliation import month
from tests.usage.reconciliation.month import Row
from usage.models import Attempt
from usage.reconciliation import selectors

pytestmark = pytest.mark.django_db


def test_month_as_the_ledger_has_it_names_nothing() -> None:
    month.make_month(models=4, days=10)
    statement = month.take_in(month.as_csv(month.ledger_rows()))
    assert statement.found is not None
    assert statement.found["lines"] == 40
    assert statement.found["billed_nano_usd"] == statement.found["known_nano_usd"]
    assert selectors.named(statement) == []


def test_three_planted_errors_are_named_and_nothing_else() -> None:
    month.make_month(a_day=2)
    before = list(Attempt.objects.order_by("id").values())
    rows = month.ledger_rows()
    assert len(rows) == 600
    twice = [row for row in rows if row["requests"] > 1]
    once = [row for row in rows if row["requests"] == 1]
    rng = random.Random(3)
    missing = {**rng.choice(twice)}
    dearer, doubled = ({**row} for row in rng.sample(once, 2))
    dearer["cost"] = dearer["cost"] * 112 // 100
    for name in ("cost", "input", "cached", "output", "requests"):
        missing[name] = missing[name] // 2
    changed = {_key(row): row for row in (dearer, missing)}
    invoice = [changed.get(_key(row), row) for row in rows]
    invoice.insert(rows.index(doubled) + 1, doubled)

    statement = month.take_in(month.as_csv(invoice))

    found = {(line.day, line.model): line.cause for line in selectors.named(statement)}
    assert found == {
        _key(dearer): "price",
        _key(missing): "fewer_calls",
        _key(doubled): "repeated",
    }
    assert list(Attempt.objects.order_by("id").values()) == before


def _key(row: Row) -> tuple[object, object]:
    return row["day"], row["model"]
