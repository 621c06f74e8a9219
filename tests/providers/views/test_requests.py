"""The screens of the request log: filter, pages, live tail, file, detail, roles."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote
from uuid import UUID

import pytest
from django.test import Client

from poolsite.clock import ManualClock
from poolsite.ids import uuid7
from poolsite.models import User
from tests.factories import (
    call,
    failed_at,
    make_client_key,
    make_provider,
    make_request,
    make_requests,
    ship,
    try_at,
)
from tests.queries import Asked
from usage import log_find

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


@pytest.fixture
def world() -> dict[str, str]:
    """A plain request, one with a fallback, one refused, one of a session."""
    good = make_provider("acme", models=["gpt-5-mini"], keys=["sk-acme-secret-1"])
    bad = make_provider("down", models=["gpt-5-mini"], keys=["sk-down-secret-1"])
    key, _ = make_client_key("ci")
    served = try_at(good, "gpt-5-mini", start_ms=320)
    return {
        "plain": make_request(key, served),
        "fallback": make_request(key, failed_at(bad, "gpt-5-mini"), served),
        "refused": make_request(key, error_code="insufficient_quota"),
        "session": make_request(
            key, served, session="a b/ü", agent="ci", end_user="<b>x", stream=True
        ),
    }


def rows(client: Client, query: str) -> list[str]:
    body = client.get(f"/requests/{query}").content.decode()
    return [part[:36] for part in body.split('<tr id="r-')[1:]]


def test_what_is_typed_becomes_chips_that_say_the_same(
    as_viktor: Client, world: dict[str, str]
) -> None:
    typed = quote('key:ci cost>0.00001 session:"a b/ü" attempts<=1')
    answer = as_viktor.get(f"/requests/?q={typed}&status=2xx")
    assert answer.status_code == 302
    url = answer["Location"]
    assert "q=" not in url.replace("%", "")
    body = as_viktor.get(url).content.decode()
    for chip in ("Key:", "Cost:", "Session:", "Attempts:"):
        assert chip in body
    assert rows(as_viktor, url.removeprefix("/requests/")) == [world["session"]]


def test_wrong_words_are_named_and_the_others_count(
    as_olivia: Client, world: dict[str, str]
) -> None:
    answer = as_olivia.get("/requests/?q=colour:red+status:429+cost:lots")
    body = answer.content.decode()
    assert answer.status_code == 200
    assert "there is no filter colour" in body
    assert "it needs a comparison" in body
    assert 'value="colour:red status:429 cost:lots"' in body
    assert body.count('<tr id="r-') == 1
    assert world["refused"] in body


@pytest.mark.parametrize(
    "typed",
    ["'; DROP TABLE usage_request; --", "<script>x</script>", "a" * 9_000, "‮key:x"],
)
def test_hostile_searches_are_answered(as_olivia: Client, typed: str) -> None:
    answer = as_olivia.get("/requests/", {"q": typed}, follow=True)
    assert answer.status_code == 200
    assert b"<script>x" not in answer.content


def test_an_unknown_value_is_told_from_no_match(
    as_olivia: Client, world: dict[str, str]
) -> None:
    body = as_olivia.get("/requests/?provider=nobody").content.decode()
    assert "Nothing was ever recorded for" in body
    assert "Nothing matches these filters" in body


def test_the_page_says_what_is_not_recorded(as_olivia: Client) -> None:
    assert (
        "counted (<code>/metrics</code>)"
        in as_olivia.get("/requests/").content.decode()
    )


def test_a_live_tail_grows_and_asks_for_news_only(
    as_olivia: Client, world: dict[str, str]
) -> None:
    body = as_olivia.get("/requests/?live=1&key=ci").content.decode()
    assert 'hx-trigger="every 2s"' in body
    poll = body.partition('hx-get="')[2].partition('"')[0].replace("&amp;", "&")
    assert as_olivia.get(f"/requests/{poll}", headers=HTMX).status_code == 204
    provider = make_provider("late", models=["m"])
    newest = ship(call(None, try_at(provider, "m"), at=datetime.now(UTC)))[0]
    piece = as_olivia.get(f"/requests/{poll}", headers=HTMX).content.decode()
    assert f'<tr id="r-{newest}' not in piece  # of another key
    assert piece.count('<tr id="r-') == 4
    everything = as_olivia.get("/requests/?live=1").content.decode()
    assert newest in everything


def test_a_held_tail_stands_still_and_counts_what_came(
    as_olivia: Client, world: dict[str, str]
) -> None:
    live = as_olivia.get("/requests/?live=1").content.decode()
    hold = "?" + live.partition('href="?live=held')[2].partition('"')[0]
    hold = hold.replace("?", "?live=held", 1).replace("&amp;", "&")
    provider = make_provider("late", models=["m"])
    each = try_at(provider, "m")
    ship(*[call(None, each, at=datetime.now(UTC)) for _ in range(3)])
    held = as_olivia.get(f"/requests/{hold}").content.decode()
    assert held.count('<tr id="r-') == 4
    news = as_olivia.get(f"/requests/{hold}&news=1", headers=HTMX).content.decode()
    assert "3 new" in news
    assert "<tr" not in news
    assert as_olivia.get("/requests/?live=held").status_code == 302


def test_the_file_holds_the_filtered_rows_and_no_formula(
    as_viktor: Client, world: dict[str, str]
) -> None:
    provider = make_provider("odd", models=["m"])
    make_request(None, try_at(provider, "m"), agent="=cmd()", session="s")
    answer = as_viktor.get("/requests/?format=csv&key=ci")
    lines = b"".join(answer).decode().splitlines()
    assert len(lines) == 5
    assert lines[0].startswith("id,at,status,outcome")
    odd = as_viktor.get("/requests/?format=csv&session=s")
    body = b"".join(odd).decode()
    assert "'=cmd()" in body
    assert odd["Content-Disposition"].startswith("attachment")


def test_a_file_that_is_cut_says_where_to_go_on(
    as_olivia: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("providers.views.request_file.MOST_ROWS", 3)
    make_requests(make_provider(models=["m"]), "m", 5)
    answer = as_olivia.get("/requests/?format=csv")
    lines = b"".join(answer).decode().splitlines()
    assert len(lines) == 5
    assert "search until:" in lines[-1]


def test_pages_lead_back_and_forth_with_their_filters(as_olivia: Client) -> None:
    make_requests(make_provider(models=["m"]), "m", 70)
    first = as_olivia.get("/requests/?provider=acme").content.decode()
    older = first.partition('rel="next" href="')[2].partition('"')[0]
    older = older.replace("&amp;", "&")
    assert "provider=acme" in older
    second = as_olivia.get(f"/requests/{older}").content.decode()
    assert second.count('<tr id="r-') == 20
    newer = second.partition('rel="prev" href="')[2].partition('"')[0]
    back = rows(as_olivia, newer.replace("&amp;", "&"))
    assert back == [part[:36] for part in first.split('<tr id="r-')[1:]]


def test_a_search_that_stops_early_offers_to_go_on(
    as_olivia: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = make_provider(models=["m"])
    make_requests(provider, "m", 20)
    old = datetime.now(UTC) - timedelta(days=1)
    [wanted] = ship(call(None, try_at(provider, "m"), agent="old", at=old))
    monkeypatch.setattr(log_find.find, "__kwdefaults__", {
        **(log_find.find.__kwdefaults__ or {}), "look_at": 15,
    })  # fmt: skip
    body = as_olivia.get("/requests/?agent=old").content.decode()
    assert "Search further back" in body
    further = body.partition('rel="next"')[0].rpartition('href="')[2].partition('"')[0]
    assert wanted in as_olivia.get(further.replace("&amp;", "&")).content.decode()


def test_every_search_answers_within_the_budget(
    as_olivia: Client, world: dict[str, str]
) -> None:
    as_olivia.get("/audit/")
    urls = [
        "/requests/?key=ci&provider=ac*&model=gpt*&status=2xx&since=7d&cost=>0",
        "/requests/?tried=down&fallback=yes",
        "/requests/?live=1",
        f"/requests/{world['fallback']}/",
        f"/requests/{world['session']}/",
    ]
    for url in urls:
        with Asked() as queries:
            assert as_olivia.get(url).status_code == 200
        assert len(queries) <= 12, url


# One request


def test_a_request_tells_everything_that_is_recorded(
    as_viktor: Client, world: dict[str, str]
) -> None:
    body = as_viktor.get(f"/requests/{world['session']}/").content.decode()
    assert "?session=a%20b%2F%C3%BC" in body
    assert "<b>x" not in body
    assert "Bodies are not recorded" in body
    assert "$POOL_KEY" in body
    assert "sk-acme-secret" not in body
    raw = body.partition("every recorded fact")[2]
    assert "&quot;price_source&quot;" in raw
    assert "Price version" in body


def test_a_refused_request_names_the_rule(
    as_olivia: Client, world: dict[str, str]
) -> None:
    body = as_olivia.get(f"/requests/{world['refused']}/").content.decode()
    assert "A hard budget had too little left" in body
    assert "No upstream call was made" in body


def test_a_missing_request_says_when_its_id_was_made(as_olivia: Client) -> None:
    made = uuid7(ManualClock(datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)))
    body = as_olivia.get(f"/requests/{made}/").content.decode()
    assert "2026-03-04 at 05:06:07 UTC" in body
    assert "retention may" in body
    assert as_olivia.get(f"/requests/{UUID(int=5)}/").status_code == 404


def test_a_killed_stream_does_not_claim_that_no_token_came(as_olivia: Client) -> None:
    provider = make_provider("acme", models=["m"], keys=["sk-1"])
    values: dict[str, Any] = {"outcome": "crashed", "decision": "", "status": 200}
    begun = make_request(
        None, try_at(provider, "m", **values), outcome="crashed", status=500
    )
    unknown = make_request(
        None,
        try_at(provider, "m", **{**values, "ttft_ms": None}),
        outcome="crashed",
        status=500,
    )
    for request_id in (begun, unknown):
        body = as_olivia.get(f"/requests/{request_id}/").content.decode()
        assert "No token came" not in body
    assert "240 ms" in as_olivia.get(f"/requests/{begun}/").content.decode()


def test_a_stranger_sees_nothing(
    client: Client, world: dict[str, str], olivia: User
) -> None:
    for url in ("/requests/", "/requests/?format=csv", f"/requests/{world['plain']}/"):
        assert client.get(url).status_code == 302


def test_a_replay_leads_to_the_request_it_repeats(
    as_olivia: Client, world: dict[str, str]
) -> None:
    again = make_request(
        None, error_code="x", purpose="replay", replay_of=world["plain"]
    )
    body = as_olivia.get(f"/requests/{again}/").content.decode()
    assert f'href="/requests/{world["plain"]}/"' in body
    odd = make_request(None, error_code="x", purpose="replay", replay_of="<b>no id")
    body = as_olivia.get(f"/requests/{odd}/").content.decode()
    assert "&lt;b&gt;no id" in body
