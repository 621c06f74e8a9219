"""The ledger: what a batch writes, and that it writes it once."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import pytest
from django.db import connection

from tests.usage import ledger_records as make
from usage import ledger, rebuild, rollups
from usage.journal.reader import Position
from usage.ledger import Batch, Ledger, StalePositionError
from usage.models import (
    Attempt,
    Budget,
    BudgetShare,
    BudgetWindow,
    Dimension,
    JournalCursor,
    Request,
    Rollup15,
    RollupCube,
    RollupDay,
)

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 1, 1, tzinfo=UTC)
STEPS = (
    "cursor locked", "dimensions", "attempts", "requests", "rollups", "budgets",
    "cursor moved",
)  # fmt: skip


class Killed(BaseException):
    """Stands for a process that ended here."""


def batch(*settles: Any, start: int = 0, directory: str = "d1") -> Batch:
    return Batch(
        directory, Position(1, start) if start else Position(), Position(1, start + 9),
        settles, len(settles),
    )  # fmt: skip


def write(*settles: Any, **where: Any) -> ledger.Written:
    return Ledger().write(batch(*settles, **where), now=NOW)


def make_budget(**values: Any) -> Budget:
    return Budget.objects.create(
        scope="pool", amount_nano_usd=10**9, window="month", created_at=NOW, **values
    )


def everything() -> dict[str, Any]:
    """Every number the ledger keeps, in a form to compare."""
    return {
        model.__name__: list(
            model.objects.order_by(*order).values(*(f for f in fields(model)))
        )
        for model, order in (
            (Request, ("id",)),
            (Attempt, ("id",)),
            (Rollup15, ("kind", "bucket", "ref")),
            (RollupDay, ("kind", "bucket", "ref")),
            (RollupCube, ("bucket", "provider_dim", "model_dim", "client_key_id")),
            (BudgetWindow, ("budget_id", "window_id")),
        )
    }


def fields(model: Any) -> list[str]:
    own = ("id",) if model not in (Request, Attempt) else ()
    return [f.attname for f in model._meta.concrete_fields if f.attname not in own]


def test_settle_becomes_one_request_and_one_attempt() -> None:
    settle = make.served()

    written = write(settle)

    assert (written.requests, written.attempts) == (1, 1)
    row = Request.objects.get(id=settle.head.request_id)
    assert row.cost_nano_usd == 4_200_000
    assert row.outcome == Request.Outcome.OK
    assert row.serving_attempt == UUID(settle.attempt.attempt_id)
    tried = Attempt.objects.get(request_id=row.id)
    assert (tried.input_tokens, tried.output_tokens) == (900, 100)
    assert tried.price_version_id == 7
    assert tried.at == row.at
    names = dict(Dimension.objects.values_list("id", "value"))
    assert names[row.provider_dim] == "acme"
    assert names[tried.credential_dim] == "api_key:11:sk-…cd34"


def test_what_a_translation_left_behind_stands_beside_its_attempt() -> None:
    plain = make.served()
    lossy = make.served(attempt_values={"losses": "seed:drop,n:clamp" + "," * 300})

    write(plain, lossy)

    rows = {str(row.id): row.losses for row in Attempt.objects.all()}
    assert rows[plain.attempt.attempt_id] == ""
    assert rows[lossy.attempt.attempt_id].startswith("seed:drop,n:clamp")
    assert len(rows[lossy.attempt.attempt_id]) == 200


def test_not_reported_stays_none_and_zero_stays_zero() -> None:
    settle = make.served(
        attempt_values={"usage": None, "cost_nano": 0}, usage=None, cost_nano=None
    )
    write(settle)
    tried = Attempt.objects.get()
    assert tried.input_tokens is None
    assert tried.cost_nano_usd == 0
    assert Request.objects.get().cost_nano_usd is None


def test_known_ids_change_nothing() -> None:
    settles = [make.served(), *make.fallback()]
    budget = make_budget()
    settles.append(
        make.served(attempt_values={"budget_deltas": ((budget.pk, "2026-01", 5),)})
    )
    write(*settles)
    before = everything()

    again = write(*settles, start=9)
    elsewhere = write(*settles, directory="d2")
    twice = write(settles[0], settles[0], directory="d3")

    for written in (again, elsewhere, twice):
        assert (written.requests, written.attempts, written.budgets) == (0, 0, {})
    assert everything() == before


def test_same_id_twice_in_one_batch_counts_once() -> None:
    settle = make.served()
    assert write(settle, settle).requests == 1
    assert RollupDay.objects.get(kind="total").requests == 1


def test_batch_read_from_the_wrong_place_is_refused() -> None:
    write(make.served())
    with pytest.raises(StalePositionError):
        write(make.served())
    assert Request.objects.count() == 1


@pytest.mark.parametrize("step", STEPS)
def test_death_before_the_commit_leaves_nothing_and_replay_all(step: str) -> None:
    budget = make_budget()
    settles = [
        *make.fallback(),
        make.served(attempt_values={"budget_deltas": ((budget.pk, "2026-01", 5),)}),
    ]

    def die(reached: str) -> None:
        if reached == step:
            raise Killed

    crashing = Ledger(check=die)
    with pytest.raises(Killed):
        crashing.write(batch(*settles), now=NOW)
    assert not Request.objects.exists()
    assert not Rollup15.objects.exists()
    assert not JournalCursor.objects.exists()

    written = Ledger().write(batch(*settles), now=NOW)
    assert (written.requests, written.attempts) == (2, 3)
    assert BudgetWindow.objects.get().spent_nano_usd == 5


def test_numbers_of_a_rolled_back_batch_are_not_remembered() -> None:
    steps = iter(["cursor moved"])

    def die_once(reached: str) -> None:
        if reached == "cursor moved" and next(steps, None):
            raise Killed

    crashing = Ledger(check=die_once)
    settle = make.served()
    with pytest.raises(Killed):
        crashing.write(batch(settle), now=NOW)
    crashing.write(batch(settle), now=NOW)
    known = set(Dimension.objects.values_list("id", flat=True))
    assert Request.objects.get().provider_dim in known


def test_what_runs_along_is_rolled_back_along() -> None:
    def fail() -> None:
        raise ValueError("sink")

    with pytest.raises(ValueError, match="sink"):
        Ledger().write(batch(make.served()), now=NOW, also=fail)
    assert not Request.objects.exists()


# Rollups


def test_requests_go_to_the_serving_provider_attempts_to_their_own() -> None:
    write(*make.fallback(), make.served())
    ids = dict(Dimension.objects.filter(kind="provider").values_list("value", "id"))
    acme = RollupDay.objects.get(kind="provider", ref=ids["acme"])
    other = RollupDay.objects.get(kind="provider", ref=ids["other"])
    assert (acme.requests, acme.attempts, acme.errors) == (1, 2, 1)
    assert (other.requests, other.attempts, other.errors) == (1, 1, 0)
    assert other.cost_nano_usd == 7_000
    total = RollupDay.objects.get(kind="total")
    assert (total.requests, total.attempts, total.errors) == (2, 3, 0)
    assert total.cost_nano_usd == 4_207_000


def test_rollup_grown_record_by_record_equals_one_rebuilt_from_rows() -> None:
    start = 0
    for number in range(12):
        settles = [
            make.served(
                head={"session": f"s{number % 3}", "end_user": "u"},
                attempt_values={"latency_ms": 40 * number},
            ),
            *make.fallback(),
            make.served(
                status=429, outcome="refused", serving_attempt_id=None, attempts=0,
                cost_nano=None, usage=None,
            ),
        ]  # fmt: skip
        write(*settles, start=start)
        start += 9
    grown = everything()

    rebuilt = rebuild.rebuild_day(date(2026, 1, 1))

    assert rebuilt == 12 * 4
    assert everything() == grown


def test_own_calls_count_under_their_purpose_only() -> None:
    write(make.served(head={"purpose": "probe"}), make.served())
    purpose = Dimension.objects.get(kind="purpose", value="probe")
    assert RollupDay.objects.get(kind="purpose", ref=purpose.pk).requests == 1
    assert RollupDay.objects.get(kind="total").requests == 1
    assert sum(RollupCube.objects.values_list("requests", flat=True)) == 1


def test_sessions_have_days_and_no_quarters() -> None:
    write(make.served(head={"session": "a:b:c"}))
    assert RollupDay.objects.filter(kind="session").count() == 1
    assert not Rollup15.objects.filter(kind="session").exists()


def test_histograms_add_up_and_answer_percentiles() -> None:
    for start, latency in enumerate((10, 10, 10, 2_000)):
        settle = make.served(latency_ms=latency)
        write(settle, start=start * 9)
    total = RollupDay.objects.get(kind="total")
    assert sum(total.latency_hist.values()) == 4
    median = rollups.percentile(total.latency_hist, 0.5)
    high = rollups.percentile(total.latency_hist, 0.99)
    assert median is not None
    assert high is not None
    assert 10 <= median <= 12
    assert 2_000 <= high <= 2_400
    assert rollups.percentile({}, 0.5) is None


# Budgets


def test_budget_windows_and_shares_grow_with_their_attempts() -> None:
    budget = make_budget()
    deltas = ((budget.pk, "2026-01", 30), (budget.pk, "total", 30))
    for start in (0, 9):
        settle = make.served(attempt_values={"budget_deltas": deltas})
        write(settle, start=start)
    write(make.served(attempt_values={"budget_deltas": deltas}), directory="d2")

    spent = dict(BudgetWindow.objects.values_list("window_id", "spent_nano_usd"))
    assert spent == {"2026-01": 90, "total": 90}
    assert ledger.shares("d1") == {(budget.pk, "2026-01"): 60, (budget.pk, "total"): 60}
    ledger.forget("d1")
    assert BudgetShare.objects.count() == 2


def test_deleted_budget_does_not_stop_the_ledger() -> None:
    budget = make_budget()
    deltas = ((budget.pk, "total", 30),)
    budget.delete()
    written = write(make.served(attempt_values={"budget_deltas": deltas}))
    assert written.requests == 1
    assert written.budgets == {}


# What clients and vendors may send


def test_hostile_strings_fit_their_columns() -> None:
    settle = make.served(
        head={"session": "s" * 5_000 + "\x00", "end_user": "\x00", "agent": "é" * 400},
        attempt_values={"reason": "r\x00" * 500, "latency_ms": 2**40},
    )
    write(settle)
    assert len(Dimension.objects.get(kind="session").value) == 255
    assert len(Attempt.objects.get().reason) == 200


def test_batch_of_two_hundred_is_a_short_transaction_on_sqlite() -> None:
    if connection.vendor != "sqlite":
        pytest.skip("other databases let several write at once")
    best = 1.0
    for round_number in range(5):
        settles = [
            make.served(head={"client_key_id": n % 20, "session": f"s{n % 40}"})
            for n in range(200)
        ]
        begin = time.perf_counter()
        write(*settles, start=round_number * 9)
        best = min(best, time.perf_counter() - begin)
    assert best < 0.05


def test_losses_are_told_in_words():
    attempt = Attempt(losses="seed:drop,n:clamp,messages.system:fold")
    told = "seed dropped, n clamped, messages.system folded into text"
    assert attempt.losses_in_words == told
    assert Attempt().losses_in_words == ""
