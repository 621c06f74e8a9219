"""Every table has an owner, and what is too old goes a little at a time."""

from __future__ import annotations

import io
import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from poolsite import tokens
from poolsite.actor import SYSTEM
from poolsite.clock import ManualClock
from poolsite.models import AuditEvent, Job, OneTimeToken, User
from tests.factories import call, make_client_key, make_provider, ship, try_at
from usage import partitions
from usage.models import Attempt, Budget, BudgetWindow, Request, Rollup15, RollupDay
from usage.retention import owners, selectors, services, sweep
from usage.services import UsageError

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 6, 30, 12, tzinfo=UTC)
FLOORS = ("poolsite", "providers", "usage", "pricing", "oauth")
is_postgres = pytest.mark.skipif(
    "connection.vendor != 'postgresql'", reason="partitions are PostgreSQL's"
)


def _clock() -> ManualClock:
    return ManualClock(NOW)


def _calls(*ages: float) -> None:
    acme = make_provider("acme", models=["m"], keys=["sk-1"])
    tried = try_at(acme, "m")
    ship(*(call(None, tried, at=NOW - timedelta(days=age)) for age in ages))


def test_every_table_has_an_owner() -> None:
    ours = {
        model._meta.label
        for model in apps.get_models()
        if model.__module__.partition(".")[0] in FLOORS
    }
    assert ours - owners.BY_TABLE.keys() == set()
    assert len(owners.BY_TABLE) == len(owners.OWNERS)


def test_every_rule_names_a_table_and_its_columns() -> None:
    for owner in owners.OWNERS:
        model = apps.get_model(owner.table)
        assert (owner.days is None) == (
            owner.way in (owners.Way.KEPT, owners.Way.WITH_OWNER)
        )
        if owner.column:
            rows = model._default_manager.filter(
                **owner.parts[0], **{f"{owner.column}__isnull": False}
            )
            assert not rows.exclude(**owner.spares).exists() or owner.days


def test_raw_usage_goes_after_ninety_days_and_its_sums_stay() -> None:
    _calls(120, 91, 90, 1)
    days = RollupDay.objects.count()
    removed = sweep.run(clock=_clock())
    assert removed["usage.Request"] == removed["usage.Attempt"] == 2
    assert Request.objects.count() == Attempt.objects.count() == 2
    assert RollupDay.objects.count() == days
    assert sweep.run(clock=_clock()) == {}


def test_parts_have_at_most_five_hundred_rows() -> None:
    rows = [
        OneTimeToken(
            kind="t",
            digest=f"{number}",
            created_at=NOW - timedelta(days=30),
            expires_at=NOW - timedelta(days=8 if number else 1),
        )
        for number in range(1_201)
    ]
    OneTimeToken.objects.bulk_create(rows)
    with CaptureQueriesContext(
        connection,
    ) as seen:
        removed = sweep.run(clock=_clock())
    assert removed["poolsite.OneTimeToken"] == 1_200
    assert OneTimeToken.objects.count() == 1
    deletes = [q for q in seen.captured_queries if "DELETE" in q["sql"]]
    assert len([q for q in deletes if "onetimetoken" in q["sql"]]) == 3


def test_round_that_takes_long_ends_and_the_next_goes_on() -> None:
    _calls(120)
    assert sweep.run(clock=_clock(), longest_s=0) == {}
    assert sweep.run(clock=_clock())["usage.Request"] == 1


def test_running_jobs_and_total_budgets_stay() -> None:
    key, _ = make_client_key()
    old = NOW - timedelta(days=800)
    Job.objects.create(task="a", label="a", created_at=old)
    Job.objects.create(task="b", label="b", created_at=old, finished_at=old)
    for window in ("total", "hour"):
        budget = Budget.objects.create(
            scope="key",
            client_key=key,
            window=window,
            amount_nano_usd=5,
            created_at=old,
        )
        BudgetWindow.objects.create(budget=budget, window_id="w", updated_at=old)
    sweep.run(clock=_clock())
    assert [job.task for job in Job.objects.all()] == ["a"]
    assert [row.budget.window for row in BudgetWindow.objects.all()] == ["total"]


def test_audit_events_and_bills_of_days_are_never_removed() -> None:
    kept = {each.table for each in owners.OWNERS if each.days is None}
    assert {"poolsite.AuditEvent", "pricing.PriceVersion"} <= kept
    assert owners.BY_TABLE["usage.RollupDay"].days == 1_827


def test_days_are_set_within_bounds_and_audited() -> None:
    _calls(20, 1)
    services.set_days(SYSTEM, "usage.Request", 10)
    assert selectors.days_of()["usage.Request"] == 10
    assert sweep.run(clock=_clock()) == {"usage.Request": 1}
    assert AuditEvent.objects.filter(action="retention.set").count() == 1
    for table, days in (
        ("usage.Request", 6),
        ("usage.Request", 10**6),
        ("poolsite.AuditEvent", 30),
        ("nobody", 30),
    ):
        with pytest.raises(UsageError):
            services.set_days(SYSTEM, table, days)
    services.set_days(SYSTEM, "usage.Request", None)
    assert selectors.days_of()["usage.Request"] == 90


def test_quarters_go_by_kind_and_index() -> None:
    _calls(500, 1)
    before = Rollup15.objects.count()
    removed = sweep.run(clock=_clock())
    assert removed["usage.Rollup15"] * 2 == before


@is_postgres
def test_old_days_go_with_their_partitions() -> None:
    partitions.ensure(NOW - timedelta(days=100))
    _calls(100, 99, 99, 1)
    partitions.ensure(NOW)
    before = partitions._existing("usage_request")
    removed = sweep.run(clock=_clock())
    gone = before - partitions._existing("usage_request")
    assert gone
    assert "usage_request_default" not in gone
    assert removed["usage.Request"] == len(gone)
    assert Request.objects.count() == Attempt.objects.count() == 1


@is_postgres
def test_dropping_a_month_takes_less_than_a_second() -> None:
    start = NOW - timedelta(days=160)
    partitions.ensure(start, days_ahead=32)
    for table in partitions.PARTITIONED:
        with connection.cursor() as cursor:
            cursor.execute(_MANY[table], [start, start])
    assert Request.objects.filter(at__lt=NOW - timedelta(days=100)).count() == 60_000
    begun = time.perf_counter()
    for table in partitions.PARTITIONED:
        assert partitions.drop_before(table, (NOW - timedelta(days=90)).date()) >= 31
    assert time.perf_counter() - begun < 1
    assert not Request.objects.filter(at__lt=NOW - timedelta(days=100)).exists()


_MANY = {
    "usage_request": (
        "INSERT INTO usage_request (id, at, status, outcome, stream, needs, attempts,"
        " unpriced, estimated) SELECT gen_random_uuid(), %s + n * interval '43 s',"
        " 200, 1, false, 0, 1, false, false FROM generate_series(1, 60000) n"
        " WHERE %s IS NOT NULL"
    ),
    "usage_attempt": (
        "INSERT INTO usage_attempt (id, at, request_id, number, provider_id,"
        " provider_dim, model_dim, outcome_dim, reason, start_offset_ms, unit_kind,"
        " estimated, flags) SELECT gen_random_uuid(), %s + n * interval '43 s',"
        " gen_random_uuid(), 1, 1, 1, 1, 1, '', 0, '', false, ''"
        " FROM generate_series(1, 60000) n WHERE %s IS NOT NULL"
    ),
}


def test_command_shows_sets_and_runs() -> None:
    def pool(*args: str) -> str:
        out = io.StringIO()
        call_command("retention", *args, stdout=out)
        return out.getvalue()

    rows = {row["table"]: row for row in json.loads(pool("show", "--json"))}
    assert rows["usage.Request"]["days"] == 90
    assert rows["poolsite.AuditEvent"]["days"] is None
    assert "kept for 30 days" in pool("set", "usage.Request", "30")
    assert "kept for 90 days" in pool("set", "usage.Request")
    assert pool("run").strip() == "Nothing yet."


def test_api_lists_and_only_owners_set(olivia: User, oskar: User) -> None:
    for person, status in ((oskar, 403), (olivia, 204)):
        _, text = tokens.create_token(SYSTEM, user=person, name="t", scopes=["admin"])
        client = Client(headers={"Authorization": f"Bearer {text}"})
        answer = client.put(
            "/api/admin/v1/retention/usage.Request",
            {"days": 45},
            content_type="application/json",
        )
        assert answer.status_code == status, answer.content
    rows = client.get("/api/admin/v1/retention").json()
    assert {row["table"]: row["days"] for row in rows}["usage.Request"] == 45


def test_documentation_has_every_rule() -> None:
    text = (Path(settings.BASE_DIR) / "docs" / "retention.md").read_text()
    for owner in owners.OWNERS:
        days = "" if owner.days is None else f"{owner.days:,}"
        assert f"| `{owner.table}` | {days} | {owner.why} |" in text
