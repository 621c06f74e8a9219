"""Dashboard, CSV, command and ledger say the same sum, in every zone."""

from __future__ import annotations

import csv
import io
import json
import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.core.management import call_command
from django.test import Client

from pricing.cost import PriceSpec
from pricing.tokens import TokenUsage
from providers.models import Provider
from tests.factories import (
    call,
    failed_at,
    make_client_key,
    make_provider,
    ship,
    try_at,
)
from tests.usage.recalculation import traffic
from usage import rebuild
from usage.dashboards import answer, question
from usage.dashboards.answer import Answer
from usage.journal.records import PriceRef
from usage.models import Attempt, ClientKey, CostAdjustment, Request, Rollup15
from usage.recalculation.services import Choice

pytestmark = pytest.mark.django_db
ZONES = ("Asia/Kathmandu", "America/New_York", "Australia/Lord_Howe")
"""+05:45; an hour of summer time that ends on 1 November; half an hour of it."""
DAY = date(2026, 11, 1)
BEGIN = datetime(2026, 10, 29, tzinfo=UTC)
SPAN = timedelta(days=6)
NOW = datetime(2026, 11, 5, tzinfo=UTC)
EXACT = ("provider", "model", "key", "team", "agent", "status")
KEYS = tuple(enumerate(("=first", "second", "third")))
PRICES = (
    PriceRef(spec=PriceSpec(input=3_000_000_001, output=7), source="x"),
    PriceRef(),
)


@pytest.fixture
def ledger() -> None:
    """Some hundred calls around the edges of days, late ones and corrections."""
    rng = random.Random(20261101)
    pool = [make_provider(n, models=["m", "n"], keys=["sk-1"]) for n in ("one", "two")]
    keys = [make_client_key(name, tags=["ci", "x"][:n])[0] for n, name in KEYS]
    edges = [
        datetime(2026, 11, 1, tzinfo=ZoneInfo(zone)).astimezone(UTC) + away
        for zone in ZONES
        for days in (-1, 0, 1, 2)
        for away in (timedelta(days=days), timedelta(days=days, microseconds=-1))
    ]
    moments = edges + [BEGIN + SPAN * rng.random() for _ in range(30)]
    rng.shuffle(moments)
    late, early = moments[:20], moments[20:]
    for some in (early, late):
        ship(*(_call(rng, pool, keys, at) for at in some))
    traffic.set_prices()
    run = traffic.start(Choice(since=BEGIN, until=NOW))
    traffic.apply(run)
    assert CostAdjustment.objects.exists()


def _call(
    rng: random.Random, pool: list[Provider], keys: list[ClientKey], at: datetime
) -> Any:
    model = rng.choice(("large", "m", "n"))
    tries = [
        try_at(
            rng.choice(pool),
            model,
            usage=TokenUsage(
                input_tokens=rng.randrange(9_999), output_tokens=rng.randrange(99)
            ),
            price=rng.choice(PRICES),
        )
    ]
    if rng.random() < 0.3:
        tries.insert(0, failed_at(pool[0], model))
    return call(
        rng.choice((*keys, None)),
        *tries,
        at=at,
        agent=rng.choice(("a", "")),
        session=rng.choice(("s:1", "s:2", "")),
    )


def by_rows(since: datetime, until: datetime) -> tuple[int, int]:
    """The cost in nano-USD and the requests of a span, by nothing but rows."""
    costs = Attempt.objects.filter(at__gte=since, at__lt=until)
    settled = sum(cost or 0 for cost in costs.values_list("cost_nano_usd", flat=True))
    ids = set(costs.values_list("id", flat=True))
    later = CostAdjustment.objects.values_list("attempt_id", "delta_nano_usd")
    delta = sum(change for attempt, change in later if attempt in ids)
    return settled + delta, Request.objects.filter(at__gte=since, at__lt=until).count()


def days_of(zone: str) -> tuple[datetime, datetime]:
    """The local days around the change of the clocks, as moments."""
    here = ZoneInfo(zone)
    first, end = DAY - timedelta(days=1), DAY + timedelta(days=2)
    begin = datetime(first.year, first.month, first.day, tzinfo=here)
    return begin, datetime(end.year, end.month, end.day, tzinfo=here)


def asked(zone: str, **values: str) -> Answer:
    last = DAY + timedelta(days=1)
    span = {"from": str(DAY - timedelta(days=1)), "to": str(last)}
    return answer.answer(question.asked(span | values, now=NOW, zone=ZoneInfo(zone)))


@pytest.mark.usefixtures("ledger")
@pytest.mark.parametrize("zone", ZONES)
def test_dashboard_csv_command_and_ledger_agree_to_the_nano(
    as_viktor: Client, viktor: Any, capsys: Any, zone: str
) -> None:
    viktor.time_zone = zone
    viktor.save()
    begin, end = days_of(zone)
    cost, count = by_rows(begin, end)
    assert cost
    capsys.readouterr()
    for by in EXACT:
        last = str(DAY + timedelta(days=1))
        query = {"from": str(DAY - timedelta(days=1)), "to": last, "by": by}
        context = as_viktor.get("/usage/", query).context
        assert (context["total"].cost_nano_usd, context["total"].requests) == (
            cost,
            count,
        )
        assert sum(line.cost_nano_usd for line in context["lines"]) == cost
        sent: Any = as_viktor.get("/usage/", {**query, "format": "csv"})
        rows = csv.DictReader(io.StringIO(b"".join(sent.streaming_content).decode()))
        assert sum(Decimal(row["cost_usd"]) * 10**9 for row in rows) == cost
        told = _command(capsys, begin, end, by)
        assert told["totals"]["cost_nano_usd"] == cost
        assert told["totals"]["requests"] == count


def _command(capsys: Any, begin: datetime, end: datetime, by: str) -> dict[str, Any]:
    span = (f"--since={begin.isoformat()}", f"--until={end.isoformat()}")
    call_command("usage", *span, "--by", by, "--json")
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


@pytest.mark.usefixtures("ledger")
@pytest.mark.parametrize("zone", ZONES)
def test_columns_of_days_are_the_viewer_s_also_when_clocks_change(zone: str) -> None:
    found = asked(zone, by="model")
    edges = [*found.starts, found.period.until]
    assert [at.astimezone(ZoneInfo(zone)).hour for at in edges] == [0, 0, 0, 0]
    for place, shown in enumerate(found.course[0]):
        assert shown == by_rows(edges[place], edges[place + 1])[0]


@pytest.mark.usefixtures("ledger")
def test_rollups_made_anew_are_those_that_grew() -> None:
    before = [asked(zone, by="key").total for zone in ZONES]
    for day in {bucket.date() for bucket in _buckets()}:
        rebuild.rebuild_day(day)
    assert [asked(zone, by="key").total for zone in ZONES] == before


def _buckets() -> Iterator[datetime]:
    yield from Rollup15.objects.values_list("bucket", flat=True).distinct()


@pytest.mark.usefixtures("ledger")
def test_filters_of_several_kinds_are_whole_utc_days_and_say_so() -> None:
    found = asked("Asia/Kathmandu", by="model", provider="one", key="second")
    assert found.is_widened
    dims = {line.name: line for line in found.lines}
    wanted = Attempt.objects.filter(
        at__gte=found.period.since, at__lt=found.period.until
    )
    ids = set(
        Request.objects.filter(
            client_key_id=ClientKey.objects.get(name="second").pk
        ).values_list("id", flat=True)
    )
    one = Provider.objects.get(slug="one")
    rows = [row for row in wanted.filter(provider_id=one.pk) if row.request_id in ids]
    assert sum(line.attempts for line in dims.values()) == len(rows)


@pytest.mark.usefixtures("ledger")
def test_what_no_rollup_keeps_is_said_and_leads_to_the_log(as_viktor: Client) -> None:
    body = as_viktor.get("/usage/?by=model&agent=a").content.decode()
    assert "No rollup keeps this combination" in body
    assert "/requests/?" in body
    assert as_viktor.get("/usage/?by=model&agent=a&format=csv").status_code == 422
