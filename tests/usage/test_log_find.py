"""A search finds what it names, page by page, without reading the whole log."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.core.exceptions import BadRequest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from pricing.tokens import TokenUsage
from tests.factories import (
    call,
    failed_at,
    make_client_key,
    make_provider,
    make_requests,
    ship,
    try_at,
)
from usage import log_find, log_search
from usage.log_find import Found
from usage.log_search import parse

pytestmark = pytest.mark.django_db
NOW = datetime.now(UTC).replace(microsecond=0)
FOUND = [
    ("", "plain big fallback failed refused probe"),
    ("status:429", "refused"),
    ("status:4xx status:502", "refused failed"),
    ("outcome:failed", "failed"),
    ("error:insufficient_quota", "refused"),
    ("error:insuff*", "refused"),
    ("key:ci", "plain big refused"),
    ("model:gpt-5", "big"),
    ("model:gpt-5*", "plain big fallback failed refused probe"),
    ("smart", "big"),
    ("asked:smart", "big"),
    ("served:gpt-5", "big"),
    ("provider:acme", "plain big fallback probe"),
    ("provider:ac*e status:200 key:ci", "plain big"),
    ("tried:down", "fallback failed"),
    ("tried:down provider:acme", "fallback"),
    ("agent:ci", "big"),
    ("session:ci:main:7", "big"),
    ('user:"u 1"', "big"),
    ("dialect:anthropic", "big"),
    ("purpose:probe", "probe"),
    ("purpose:client", "plain big fallback failed refused"),
    ("stream:yes", "big"),
    ("stream:no key:ci", "plain refused"),
    ("stream:no stream:yes key:ci", "plain big refused"),
    ("fallback:yes", "fallback"),
    ("fallback:no key:ci", "plain big refused"),
    ("estimated:yes", "probe"),
    ("unpriced:yes", ""),
    ("cost>0.01", "big"),
    ("cost>0 cost<0.01", "plain fallback probe"),
    ("latency>2s", "big"),
    ("ttft>1s", "big"),
    ("tokens>10k", "big"),
    ("tokens<=1540", "plain fallback probe"),
    ("attempts>1", "fallback"),
    ("attempts<1", "refused"),
    ("since:1h", "plain big fallback"),
    ("until:1h", "failed refused probe"),
    ("since:72h until:1h status:502", "failed"),
    ("key:nobody", ""),
    ("provider:nobody", ""),
    ("session:' OR 1=1 --", ""),
    ("model:%", ""),
    ("model:gpt_5", ""),
    ("model:GPT-5*", ""),
]


@pytest.fixture
def ids() -> dict[str, str]:
    """Requests that differ in everything a filter can name."""
    acme = make_provider("acme", models=["gpt-5-mini", "gpt-5"], keys=["sk-1"])
    down = make_provider("down", models=["gpt-5-mini"], keys=["sk-2"])
    ci, _ = make_client_key("ci")
    plain = try_at(acme, "gpt-5-mini")
    big = try_at(
        acme,
        "gpt-5",
        usage=TokenUsage(input_tokens=20_000, output_tokens=9_000),
        latency_ms=4_000,
        ttft_ms=1_500,
    )
    calls = {
        "plain": call(ci, plain, at=NOW - timedelta(minutes=1)),
        "big": call(
            ci,
            big,
            at=NOW - timedelta(minutes=2),
            asked="smart",
            session="ci:main:7",
            agent="ci",
            end_user="u 1",
            stream=True,
            dialect="anthropic",
        ),
        "fallback": call(
            None,
            failed_at(down, "gpt-5-mini"),
            try_at(acme, "gpt-5-mini", start_ms=320),
            at=NOW - timedelta(minutes=3),
        ),
        "failed": call(None, failed_at(down, "gpt-5-mini"), at=NOW - timedelta(days=2)),
        "refused": call(
            ci, error_code="insufficient_quota", at=NOW - timedelta(days=3)
        ),
        "probe": call(
            None,
            try_at(acme, "gpt-5-mini", estimated=True),
            purpose="probe",
            at=NOW - timedelta(days=4),
        ),
    }
    return dict(zip(calls, ship(*calls.values()), strict=True))


def names(ids: dict[str, str], found: Found) -> set[str]:
    by_id = {value: name for name, value in ids.items()}
    return {by_id[str(row.id)] for row in found.rows}


def test_every_filter_finds_what_it_names_typed_or_as_chips(
    ids: dict[str, str],
) -> None:
    for text, wanted in FOUND:
        found = log_find.find(parse(text), now=NOW)
        assert names(ids, found) == set(wanted.split()), text
        pairs = [(term.name, term.value) for term in parse(text).terms]
        chips = log_find.find(log_search.from_pairs(pairs), now=NOW)
        assert [row.id for row in chips.rows] == [row.id for row in found.rows], text


def test_an_id_is_found_by_its_beginning(ids: dict[str, str]) -> None:
    for name, wanted in ids.items():
        assert names(ids, log_find.find(parse(f"id:{wanted}"), now=NOW)) == {name}
        found = log_find.find(parse(f"id:{wanted[:23]}"), now=NOW)
        assert name in names(ids, found)
    assert not log_find.find(parse("id:ffffffff"), now=NOW).rows


def test_times_without_a_zone_are_the_viewers(ids: dict[str, str]) -> None:
    zone = ZoneInfo("Asia/Kathmandu")
    local = (NOW - timedelta(minutes=10)).astimezone(zone)
    text = f"since:{local:%Y-%m-%dT%H:%M:%S}"
    found = log_find.find(parse(text), now=NOW, zone=zone)
    assert names(ids, found) == {"plain", "big", "fallback"}


def test_what_was_never_recorded_is_said(ids: dict[str, str]) -> None:
    found = log_find.find(parse("provider:nobody key:nobody"), now=NOW)
    assert {term.name for term in found.unknown} == {"provider", "key"}


def walk(text: str, *, size: int, look_at: int = 50_000) -> tuple[list[Any], int]:
    """Follow older pages to the end; return the rows and how many pages it took."""
    rows: list[Any] = []
    cursor, pages = "", 0
    while True:
        page = log_find.find(parse(text), cursor, now=NOW, size=size, look_at=look_at)
        rows += [row.id for row in page.rows]
        cursor, pages = page.older, pages + 1
        if not cursor:
            return rows, pages


def test_pages_stay_whole_while_new_rows_arrive() -> None:
    provider = make_provider(models=["m"])
    made = make_requests(provider, "m", 25)
    first = log_find.find(parse("provider:acme"), now=NOW, size=10)
    ship(call(None, try_at(provider, "m"), at=datetime.now(UTC)))
    second = log_find.find(parse("provider:acme"), first.older, now=NOW, size=10)
    seen = [str(row.id) for row in [*first.rows, *second.rows]]
    assert seen == made[:20]
    back = log_find.find(parse("provider:acme"), second.newer, now=NOW, size=10)
    assert [row.id for row in back.rows] == [row.id for row in first.rows]
    assert back.newer


def test_every_row_is_on_one_page_also_when_many_share_a_moment() -> None:
    provider = make_provider(models=["m"])
    each = try_at(provider, "m")
    made = ship(*[call(None, each, at=NOW - timedelta(hours=1)) for _ in range(23)])
    rows, _ = walk("", size=5)
    assert sorted(map(str, rows)) == sorted(made)
    narrowed, pages = walk("provider:acme", size=5, look_at=4)
    assert narrowed == rows
    assert pages >= 6


def test_a_search_that_matches_nothing_looks_at_so_many_rows_and_goes_on() -> None:
    provider = make_provider(models=["m"])
    make_requests(provider, "m", 30)
    ship(call(None, try_at(provider, "m"), agent="old", at=NOW - timedelta(days=1)))
    page = log_find.find(parse("agent:old"), now=NOW, look_at=10)
    assert (page.rows, page.is_cut) == ([], True)
    assert page.looked_to is not None
    rows, pages = walk("agent:old", size=50, look_at=10)
    assert (len(rows), pages) == (1, 4)


def test_the_days_of_a_session_are_known_without_looking_at_the_rest() -> None:
    provider = make_provider(models=["m"])
    each = try_at(provider, "m")
    make_requests(provider, "m", 30)
    old = NOW - timedelta(days=20)
    made = ship(
        call(None, each, session="s", at=old),
        call(None, each, session="s", at=old - timedelta(days=2)),
        call(None, each, end_user="u", at=old - timedelta(days=500)),
    )
    page = log_find.find(parse("session:s"), now=NOW, look_at=10)
    assert [str(row.id) for row in page.rows] == made[:2]
    assert not page.older
    rest = log_find.find(
        parse("session:s"), log_find.write_cursor("o", (old, page.rows[0].id)), now=NOW
    )
    assert [str(row.id) for row in rest.rows] == made[1:2]
    back = log_find.find(parse("session:s"), rest.newer, now=NOW, look_at=10)
    assert [str(row.id) for row in back.rows] == made[:1]
    both = log_find.find(parse("session:s user:u"), now=NOW, look_at=10)
    assert (both.rows, both.older) == ([], "")


def test_a_replay_of_a_session_is_found_too() -> None:
    provider = make_provider(models=["m"])
    at = NOW - timedelta(days=9)
    [made] = ship(
        call(None, try_at(provider, "m"), session="s", purpose="replay", at=at)
    )
    [row] = log_find.find(parse("session:s"), now=NOW).rows
    assert str(row.id) == made


def test_news_are_counted_from_a_row_on() -> None:
    provider = make_provider(models=["m"])
    make_requests(provider, "m", 5)
    top = log_find.find(parse(""), now=NOW).rows[2]
    cursor = log_find.write_cursor("n", (top.at, top.id))
    assert log_find.arrived(parse(""), cursor, now=NOW) == 2
    assert log_find.arrived(parse("provider:acme"), cursor, now=NOW) == 2
    assert log_find.arrived(parse("status:500"), cursor, now=NOW) == 0
    assert log_find.arrived(parse(""), cursor, now=NOW, most=1) == 1


@pytest.mark.parametrize("cursor", ["x", "o1", "o1.zz", "n" + "9" * 40 + ".0", "o1.é"])
def test_a_damaged_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(BadRequest):
        log_find.find(parse(""), cursor, now=NOW)


SCANNED = [
    "",
    "key:ci",
    "key:ci status:500",
    "provider:acme",
    "provider:acme model:m status:5xx cost>0.1 latency>2s tokens>10k",
    "tried:acme",
    "session:s since:7d",
    "id:0198f2a4",
    "since:24h fallback:yes",
]


def test_no_filter_scans_the_log() -> None:
    make_client_key("ci")
    provider = make_provider(models=["m"])
    make_requests(provider, "m", 200)
    ship(call(None, try_at(provider, "m"), session="s"))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    for text in SCANNED:
        with CaptureQueriesContext(connection) as queries:
            log_find.find(parse(text), now=NOW, look_at=100)
        assert len(queries) <= 6, text
        for query in queries.captured_queries:
            if 'FROM "usage_request"' in query["sql"]:
                assert_by_index(query["sql"])


def assert_by_index(sql: str) -> None:
    prefix = "EXPLAIN QUERY PLAN " if connection.vendor == "sqlite" else "EXPLAIN "
    with connection.cursor() as cursor:
        cursor.execute(prefix + sql)
        lines = [str(row) for row in cursor.fetchall()]
    for line in lines:
        assert "Seq Scan on usage_request" not in line, (sql, lines)
        assert "Seq Scan on usage_attempt" not in line, (sql, lines)
        assert "SCAN usage_" not in line or "INDEX" in line, (sql, lines)
