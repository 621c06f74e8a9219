"""Traffic that is shipped while a run works leaves the totals true to the nano."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest

from pricing.tokens import TokenUsage
from providers.models import Provider
from tests.factories import call, ship, try_at
from tests.usage.recalculation import traffic
from usage import rebuild
from usage.journal.records import PriceRef
from usage.models import CostAdjustment, RecalculationRun
from usage.recalculation import choose, post

pytestmark = pytest.mark.django_db(transaction=True)


def meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ship a request after each transaction of a run, into the same rollup rows."""
    provider = Provider.objects.order_by("pk")[0]
    rng, plain = random.Random(1), post.Writer.write

    def write(self: Any, **values: Any) -> None:
        plain(self, **values)
        usage = TokenUsage(input_tokens=rng.randrange(999), output_tokens=3)
        price = rng.choice((traffic.OLD, PriceRef()))
        at = traffic.START + timedelta(seconds=rng.randrange(3600))
        ship(call(None, try_at(provider, "large", usage=usage, price=price), at=at))

    monkeypatch.setattr(post.Writer, "write", write)


def assert_true() -> None:
    grown = traffic.rollups()
    for day in (date(2026, 1, 31), date(2026, 2, 1)):
        rebuild.rebuild_day(day)
    assert traffic.rollups() == grown


def test_totals_stay_true_under_traffic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose, "SLICE", 7)
    monkeypatch.setattr(post, "FULL", 5)
    monkeypatch.setattr(post, "BATCH", 11)
    traffic.make_traffic(40)
    traffic.set_prices()
    meanwhile(monkeypatch)

    def done(step: Callable[[RecalculationRun], Any], run: RecalculationRun) -> Any:
        found = step(run)
        assert_true()
        return found

    first = done(traffic.apply, traffic.start())
    second = done(traffic.apply, traffic.start())
    done(traffic.undo, second)
    done(traffic.undo, first)
    assert sum(CostAdjustment.objects.values_list("delta_nano_usd", flat=True)) == 0
