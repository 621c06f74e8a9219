"""Budgets of agents and sessions reach the workers, and go away again."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from django.utils import timezone

from poolsite import version
from poolsite.actor import CLI
from poolsite.clock import ManualClock
from providers.keeper.spending import FILE, Spending
from providers.snapshot import build, types
from providers.snapshot.store import SnapshotStore
from providers.snapshot.types import BudgetRecord
from tests import factories
from tests.providers.snapshot.records import pool, publish_base, publish_delta
from usage import services as key_services
from usage.budgets import services
from usage.budgets.services import Whose
from usage.models import Budget, BudgetWindow
from usage.services import BudgetTerms

RULE = BudgetRecord(7, "session", 5, "total", applies_to="agent", scope_value="bot")


async def test_workers_know_them_apart_from_the_others(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path, ManualClock())
    publish_base(tmp_path, 5, pool())
    await store.poll()
    snapshot = store()
    assert snapshot is not None
    assert not snapshot.personal_budgets, "one of a key is none"
    publish_delta(tmp_path, 6, [(types.BUDGET, "7", RULE)])
    await store.poll()
    snapshot = store()
    assert snapshot is not None
    assert snapshot.personal_budgets == {7: RULE}
    assert snapshot.budget(7) == RULE
    publish_delta(tmp_path, 7, [(types.BUDGET, "7", None)])
    await store.poll()
    snapshot = store()
    assert snapshot is not None
    assert not snapshot.personal_budgets


@pytest.mark.django_db
def test_a_new_rule_is_a_delta_of_one_record() -> None:
    key, _ = factories.make_client_key("ci")
    since = version.current()
    whose = Whose("session", key=key, applies_to="agent", value="bot")
    terms = BudgetTerms(5, window="total", warn_nano_usd=3)
    row = services.add_budget(CLI, whose, terms)
    built = build.build_delta(since, timezone.now())
    assert built is not None
    [found] = [each[2] for each in built.records if each[0] == types.BUDGET]
    assert found == BudgetRecord(
        row.pk, "session", 5, "total", applies_to="agent", scope_value="bot",
        client_key_id=key.pk, warn_nano_usd=3,
    )  # fmt: skip
    since, number = version.current(), str(row.pk)
    key_services.remove_budget(CLI, row)
    built = build.build_delta(since, timezone.now())
    assert built is not None
    assert (types.BUDGET, number, None) in list(built.records)


@pytest.mark.django_db
def test_sessions_heard_of_lately_are_remembered_over_a_restart(tmp_path: Path) -> None:
    now = timezone.now()
    rule = Budget.objects.create(
        scope="session", amount_nano_usd=10, window="total", created_at=now
    )
    for window, days in (("total@new", 1), ("total@old", 40), ("total", 400)):
        BudgetWindow.objects.create(
            budget=rule, window_id=window, spent_nano_usd=3,
            updated_at=now - timedelta(days=days),
        )  # fmt: skip
    Spending(tmp_path, ManualClock(now)).update([], {})
    told = msgspec.json.decode((tmp_path / FILE).read_bytes())["windows"]
    assert sorted(window for _, window, _, _ in told) == ["total", "total@new"]
