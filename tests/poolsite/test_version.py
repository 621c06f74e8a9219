"""Prove that versions rise with the change they describe, and deltas lose nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction

from poolsite import version
from poolsite.clock import ManualClock
from poolsite.models import Setting

pytestmark = pytest.mark.django_db(transaction=True)


def make_setting(key: str) -> Setting:
    return Setting.objects.create(key=key)


def test_bump_stamps_the_rows_with_the_raised_version() -> None:
    assert version.current() == 0
    with transaction.atomic():
        row = make_setting("a")
        made = version.bump(row)
    assert made == version.current() == row.changed_at_version == 1
    row.refresh_from_db()
    assert row.changed_at_version == 1


def test_bump_outside_a_transaction_is_refused() -> None:
    row = make_setting("a")
    with pytest.raises(transaction.TransactionManagementError):
        version.bump(row)


def test_change_rolled_back_leaves_no_version() -> None:
    def fail() -> None:
        with transaction.atomic():
            version.bump(make_setting("a"))
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    assert version.current() == 0


def test_delta_holds_what_changed_and_what_is_gone() -> None:
    clock = ManualClock()
    with transaction.atomic():
        a, b = make_setting("a"), make_setting("b")
        seen = version.bump(a, b)
    with transaction.atomic():
        version.bump(b)
        a.delete()
        version.bump_gone("setting", ["a"], clock=clock)
    assert list(version.changed_since(Setting, seen)) == [b]
    assert version.gone_since(seen) == {"setting": ["a"]}
    assert list(version.changed_since(Setting, version.current())) == []
    assert version.gone_since(version.current()) == {}


def test_pruned_deletions_remain_known_to_be_missing() -> None:
    clock = ManualClock()
    assert version.oldest_delta() == 0
    for key in ("a", "b", "c"):
        with transaction.atomic():
            version.bump_gone("setting", [key], clock=clock)
        clock.advance(3_600)
    assert version.prune_tombstones(older_than=timedelta(hours=2), clock=clock) == 1
    assert version.oldest_delta() == 2
    clock.advance(10**6)
    assert version.prune_tombstones(older_than=timedelta(hours=2), clock=clock) == 1
    assert version.oldest_delta() == 3


def test_bump_costs_one_statement_a_model(
    django_assert_max_num_queries: type,
) -> None:
    with transaction.atomic():
        rows = [make_setting(str(number)) for number in range(50)]
        version.bump(*rows)
        with django_assert_max_num_queries(3):  # type: ignore[call-arg]
            version.bump(*rows)
