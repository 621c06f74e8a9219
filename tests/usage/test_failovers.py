"""Prove that failovers are told in pairs with a count, in the shipper's transaction."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from poolsite.actor import SYSTEM
from poolsite.clock import ManualClock, SystemClock
from poolsite.delivery import services
from poolsite.delivery.rows import AlertNews
from tests.usage.ledger_records import fallback, served
from usage.failovers import Failovers
from usage.journal.writer import Journal
from usage.shipper import Shipper, register_sink

pytestmark = pytest.mark.django_db


@pytest.fixture
def failovers() -> Failovers:
    terms = services.Terms(name="M", addresses=["a@b.co"], events=["request.failover"])
    services.create_channel(SYSTEM, "mail", terms)
    return Failovers(ManualClock())


def test_pairs_of_a_batch_are_one_line_each(failovers: Failovers) -> None:
    failovers.keep([*fallback(), *fallback(), served()])
    [row] = AlertNews.objects.all()
    assert (row.event, row.count) == ("request.failover", 2)
    assert row.data["to"] == "other"
    assert row.data["from"] not in ("", "other")
    failovers.keep(fallback())
    assert AlertNews.objects.get().count == 3


def test_pair_may_be_cut_between_two_batches(failovers: Failovers) -> None:
    first, *rest = fallback()
    failovers.keep([first])
    assert not AlertNews.objects.exists()
    failovers.keep(rest)
    assert AlertNews.objects.get().count == 1
    assert failovers._last == {}


def test_shipper_hands_over_what_it_ships_once(
    failovers: Failovers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("usage.shipper._sinks", {})
    register_sink("settle", failovers.keep)
    clock, root = SystemClock(), tmp_path / "journal"
    journal = Journal.open(root, clock=clock, durability="os")
    shipper = Shipper(root, clock)
    for record in (*fallback(), served(), *fallback()):
        journal.append(record)
    shipper.ship()
    shipper.ship()
    journal.close()
    shipper.close()
    assert AlertNews.objects.get().count == 2


def test_batch_without_one_costs_nothing(
    failovers: Failovers, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(0):
        failovers.keep([served(), served()])
