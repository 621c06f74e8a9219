"""The shipper: journals end up in the ledger exactly once, whoever dies when."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection, connections

from poolsite.clock import SystemClock
from tests.usage import ledger_records as make
from tests.usage.journal import factories
from usage import ledger
from usage.journal import directory
from usage.journal.records import Record
from usage.journal.writer import Journal, JournalOptions
from usage.models import (
    Attempt,
    Budget,
    BudgetWindow,
    JournalCursor,
    Request,
    RollupDay,
)
from usage.shipper import DEAD_LETTERS, Shipper, _sinks, register_sink

CLOCK = SystemClock()
SMALL = JournalOptions(segment_bytes=4_096, reserve_bytes=0, low_disk=0.0)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@pytest.fixture
def journal(root: Path) -> Iterator[Journal]:
    made = Journal.open(root, clock=CLOCK, durability="os", options=SMALL)
    yield made
    made.close()


@pytest.fixture
def shipper(root: Path) -> Iterator[Shipper]:
    made = Shipper(root, CLOCK)
    yield made
    made.close()


def write(journal: Journal, *records: Record) -> None:
    for record in records:
        journal.append(record)


def intent_of(request_id: str, attempt_id: str, **values: Any) -> Record:
    return factories.make_intent(request_id, attempt_id, budgets=(), **values)


@pytest.mark.django_db
def test_living_journal_is_followed(journal: Journal, shipper: Shipper) -> None:
    write(journal, make.served(), make.served())
    assert shipper.ship().requests == 2
    write(journal, make.served())
    done = shipper.ship()
    assert (done.requests, done.adopted) == (1, 0)
    assert shipper.ship().records == 0
    assert Request.objects.count() == 3


@pytest.mark.django_db
def test_new_shipper_goes_on_where_the_old_one_was(
    root: Path, journal: Journal
) -> None:
    write(journal, *(make.served() for _ in range(30)))
    first = Shipper(root, CLOCK)
    first.ship()
    first.close()
    write(journal, make.served())
    second = Shipper(root, CLOCK)
    assert second.ship().requests == 1
    second.close()
    assert RollupDay.objects.get(kind="total").requests == 31


@pytest.mark.django_db
def test_dead_journal_is_shipped_settled_and_deleted(
    root: Path, journal: Journal, shipper: Shipper
) -> None:
    request, attempt = make.new_id(), make.new_id()
    write(journal, make.served(), intent_of(request, attempt))
    path = journal.path
    journal.close()

    done = shipper.ship()

    assert (done.adopted, done.settled_orphans) == (1, 1)
    assert not path.exists()
    assert not JournalCursor.objects.exists()
    orphan = Request.objects.get(id=request)
    assert orphan.outcome == Request.Outcome.CRASHED
    tried = Attempt.objects.get(id=attempt)
    assert tried.estimated
    # Its input, and the output the answer before it had.
    assert tried.cost_nano_usd == 3_000_000 + 1_500_000
    assert Request.objects.count() == 2


@pytest.mark.django_db
def test_orphan_whose_intent_was_shipped_long_ago_is_settled(
    root: Path, journal: Journal
) -> None:
    request, attempt = make.new_id(), make.new_id()
    write(journal, intent_of(request, attempt))
    first = Shipper(root, CLOCK)
    for _ in range(3):
        write(journal, *(make.served() for _ in range(40)))
        first.ship()
    first.close()
    assert directory.segments(journal.path)[0] == 0 or Request.objects.count() == 120
    journal.close()
    second = Shipper(root, CLOCK)
    assert second.ship().settled_orphans == 1
    second.close()
    assert Request.objects.get(id=request).outcome == Request.Outcome.CRASHED


@pytest.mark.django_db
def test_shipped_segments_are_deleted(journal: Journal, shipper: Shipper) -> None:
    for _ in range(5):
        write(journal, *(make.served() for _ in range(40)))
        shipper.ship()
    left = directory.segments(journal.path)
    assert len(left) <= 2
    assert left[0] > 0


@pytest.mark.django_db
def test_torn_tail_of_a_dead_writer_is_cut_and_counted(
    root: Path, journal: Journal, shipper: Shipper
) -> None:
    write(journal, make.served())
    shipper.ship()
    segment = directory.segment_path(journal.path, directory.segments(journal.path)[-1])
    journal.close()
    with open(segment, "ab") as stream:
        stream.write(b"\x40\x00\x00\x00torn")
    done = shipper.ship()
    assert done.adopted == 1
    assert Request.objects.count() == 1


@pytest.mark.django_db
def test_record_a_database_refuses_is_set_aside_and_the_rest_shipped(
    root: Path, journal: Journal, shipper: Shipper
) -> None:
    bad = make.served(request_id="not-a-uuid")
    write(journal, make.served(), bad, make.served())
    shipper.ship()
    assert Request.objects.count() == 2
    assert b"not-a-uuid" in (root / DEAD_LETTERS).read_bytes()
    assert JournalCursor.objects.get().rejected == 1
    assert shipper.ship().records == 0


@pytest.mark.django_db
def test_database_that_is_away_loses_nothing(
    monkeypatch: pytest.MonkeyPatch, journal: Journal, shipper: Shipper
) -> None:
    write(journal, make.served())
    with monkeypatch.context() as patch:
        patch.setattr(ledger, "_locked_cursor", _away)
        for _ in range(3):
            with pytest.raises(OperationalError):
                shipper.ship()
    assert shipper.ship().requests == 1


def _away(*_: object) -> None:
    raise OperationalError("server closed the connection")


@pytest.mark.django_db
def test_facts_reach_their_sink_once(
    monkeypatch: pytest.MonkeyPatch, journal: Journal, shipper: Shipper
) -> None:
    monkeypatch.setattr("usage.shipper._sinks", {})
    kept: list[str] = []
    register_sink("fact", lambda found: kept.extend(each.key for each in found))
    write(journal, factories.make_fact(1), make.served(), factories.make_fact(2))
    shipper.ship()
    shipper.ship()
    assert kept == ["credential:1", "credential:2"]
    assert "fact" not in _sinks or kept


@pytest.mark.django_db
def test_sums_are_announced_before_a_dead_journal_vanishes(
    root: Path, journal: Journal
) -> None:
    budget = Budget.objects.create(
        scope="pool", amount_nano_usd=10, window="total", created_at=CLOCK.now()
    )
    deltas = ((budget.pk, "total", 7),)
    write(journal, make.served(attempt_values={"budget_deltas": deltas}))
    seen: list[tuple[bool, int]] = []

    def announce(windows: frozenset[tuple[int, str]]) -> None:
        if windows:
            spent = BudgetWindow.objects.get().spent_nano_usd
            seen.append((journal.path.exists(), spent))

    shipper = Shipper(root, CLOCK, announce=announce)
    shipper.ship()
    assert shipper.shares == {journal.path.name: {(budget.pk, "total"): 7}}
    journal.close()
    shipper.ship()
    shipper.close()
    assert seen == [(True, 7)]
    assert shipper.shares == {}


# kill -9 of the shipper, between any two steps


def _die_at(step: int) -> Callable[[str], None]:
    left = iter(range(step))

    def check(_: str) -> None:
        if next(left, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)

    return check


def _ship_in_child(root: Path, step: int) -> bool:
    """Ship in a forked process that is killed at a step; True when it finished."""
    connections.close_all()
    if connection.vendor == "postgresql":
        connection.close_pool()  # a child must not share its sockets
    child = os.fork()
    if child == 0:
        try:
            Shipper(root, CLOCK, check=_die_at(step)).ship()
            connection.close()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFEXITED(status)


@pytest.mark.process
@pytest.mark.django_db(transaction=True)
def test_kill_between_any_two_steps_loses_and_doubles_nothing(
    root: Path, journal: Journal
) -> None:
    budget = Budget.objects.create(
        scope="pool", amount_nano_usd=10, window="total", created_at=CLOCK.now()
    )
    deltas = ((budget.pk, "total", 3),)
    served = [make.served(attempt_values={"budget_deltas": deltas}) for _ in range(260)]
    request = make.new_id()
    write(journal, *served, intent_of(request, make.new_id()))
    journal.close()

    kills = 0
    while not _ship_in_child(root, kills % 12):
        kills += 1
        assert kills < 200
    # Steps beyond what one short life reaches are met by longer lives, one by one.
    assert kills >= 12

    assert Request.objects.count() == 261
    assert Attempt.objects.count() == 261
    assert BudgetWindow.objects.get().spent_nano_usd == 260 * 3
    total = RollupDay.objects.get(kind="total")
    assert (total.requests, total.attempts) == (261, 261)
    assert total.cost_nano_usd == 260 * 4_200_000 + 3_000_000 + 1_500_000
    assert not directory.directories(root)
