"""The ledger's side: whole days of a zone, corrections, everything that was sent."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from poolsite.actor import SYSTEM
from pricing import services as pricing
from pricing.tokens import TokenUsage
from tests.factories import call, failed_at, make_provider, ship, try_at
from tests.usage.recalculation import traffic
from tests.usage.reconciliation import month
from usage.journal.records import PriceRef
from usage.models import StatementComparison
from usage.recalculation.services import Choice
from usage.reconciliation import ledger, selectors, services
from usage.reconciliation.compare import Limits
from usage.reconciliation.services import Upload
from usage.services import UsageError

pytestmark = pytest.mark.django_db
DAY = date(2026, 3, 29)


def test_failed_calls_do_not_count_and_probes_do() -> None:
    acme = make_provider("acme", models=["m"], keys=["sk-1"])
    at = datetime(2026, 3, 29, 12, tzinfo=UTC)
    tried = try_at(acme, "m", price=month.PRICE)
    ship(
        call(None, failed_at(acme, "m"), tried, at=at),
        call(None, tried, at=at, purpose="probe"),
    )
    [known] = ledger.sums("acme", DAY, DAY).values()
    assert known.requests == 2
    assert known.cost == 2 * (tried.cost_nano or 0)


@pytest.mark.parametrize(
    ("zone", "first", "last"),
    [
        ("UTC", "2026-03-29T00:00:00", "2026-03-29T23:59:59"),
        ("Asia/Kathmandu", "2026-03-28T18:15:00", "2026-03-29T18:14:59"),
        # Clocks go forward that night: the day has 23 hours.
        ("Europe/Berlin", "2026-03-28T23:00:00", "2026-03-29T21:59:59"),
    ],
)
def test_day_is_whole_in_its_zone(zone: str, first: str, last: str) -> None:
    acme = make_provider("acme", models=["m"], keys=["sk-1"])
    tried = try_at(acme, "m", price=month.PRICE)
    edges = [datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (first, last)]
    second = timedelta(seconds=1)
    moments = [edges[0] - second, *edges, edges[1] + second]
    ship(*(call(None, tried, at=at) for at in moments))
    [known] = ledger.sums("acme", DAY, DAY, zone).values()
    assert known.requests == 2
    whole = ledger.sums("acme", DAY - timedelta(1), DAY + timedelta(1), zone)
    assert [each.requests for each in whole.values()] == [1, 2, 1]


def test_corrected_costs_count_and_are_unpriced_no_more() -> None:
    traffic.make_traffic(40)
    first, last = traffic.START.date(), traffic.END.date()
    before = ledger.sums("acme", first, last)
    traffic.set_prices(*traffic.MODELS)
    run = traffic.apply(traffic.start())
    after = ledger.sums("acme", first, last)
    other = ledger.sums("other", first, last)
    shown = sum(each.cost for each in (*after.values(), *other.values()))
    assert shown == traffic.whole_cost()
    assert sum(each.unpriced for each in before.values()) > 0
    assert sum(each.unpriced for each in after.values()) == 0
    traffic.undo(run)
    assert ledger.sums("acme", first, last) == before


def test_unpriced_day_is_named_and_not_shown_as_zero() -> None:
    acme = make_provider("acme", models=["m"], keys=["sk-1"])
    at = datetime(2026, 3, 29, 12, tzinfo=UTC)
    usage = TokenUsage(input_tokens=5_000, output_tokens=700)
    ship(call(None, try_at(acme, "m", price=PriceRef(), usage=usage), at=at))
    how = month.reading(day="day", model="model", cost="cost")
    row = month.take_in(b"day,model,cost\n2026-03-29,m,0.42\n", how=how)
    [line] = map(selectors.line, selectors.named(row))
    assert (line["cause"], line["known_nano_usd"]) == ("unpriced", None)

    pricing.set_price(SYSTEM, "m", month.PRICE.spec or traffic.NEW)
    traffic.apply(traffic.start(_that_day()))
    services.compare(SYSTEM, row)
    month.compared(row)
    [again] = StatementComparison.objects.all()
    assert again.known is not None
    assert again.known["unpriced"] == 0


def _that_day() -> Choice:
    start = datetime(2026, 3, 29, tzinfo=UTC)
    return Choice(since=start, until=start + timedelta(days=1))


def test_upload_is_refused_for_unknown_providers_and_odd_limits() -> None:
    month.make_month(models=1, days=1)
    data = month.as_csv(month.ledger_rows())
    for upload, words in (
        (Upload("nobody", data, "", month.GENERIC), "no such provider"),
        (Upload("acme", data, "", month.GENERIC, Limits(basis=-1)), "threshold"),
        (Upload("acme", data, "", month.GENERIC, Limits(floor=-1)), "not negative"),
    ):
        with pytest.raises(UsageError, match=words):
            services.take_in(SYSTEM, upload)


def test_interrupted_upload_is_told_and_can_be_removed() -> None:
    month.make_month(models=1, days=1)
    row = month.take_in(month.as_csv(month.ledger_rows()))
    row.state = "reading"
    row.save()
    row.statementline_set.all().delete()
    with pytest.raises(UsageError, match="not read whole"):
        services.compare(SYSTEM, row)
    services.remove(SYSTEM, row)
    assert selectors.latest() == []
