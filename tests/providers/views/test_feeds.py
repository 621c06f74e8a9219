"""Catalogue updates in the console: state, settings, held prices, the last change."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from django.test import Client

from poolsite.models import AuditEvent, Job
from pricing.cost import PriceSpec
from pricing.feeds.diff import Line, decision_key
from pricing.feeds.packed import Kept, digest_of, pack
from pricing.listing import ListedModel, ListedProvider, Listing
from pricing.models import Feed

pytestmark = pytest.mark.django_db
URL = "/pricing/updates/"
AT = datetime(2026, 1, 2, tzinfo=UTC)
EVIL = "<script>alert(1)</script>"


def make_feed(count: int = 3, *, name: str = "models_dev", **values: Any) -> Feed:
    """Store a source that was read, with lines and held prices of every model."""
    models = {
        f"m-{number}": ListedModel(f"m-{number}", price=PriceSpec(input=10**9))
        for number in range(count)
    }
    listing = Listing(
        "models.dev", "", "2026-01-02", {"acme": ListedProvider("acme", models=models)}
    )
    raw = pack(Kept(listing))
    lines = [
        Line("changed", "acme", each, "output", 10**9, 2 * 10**9) for each in models
    ]
    held = [Line("changed", "acme", each, "input", 10**9, 10**11) for each in models]
    held = [msgspec.structs.replace(each, key=decision_key(each)) for each in held]
    shown = {
        "digest": digest_of(raw),
        "listing": raw,
        "models_listed": count,
        "diff": msgspec.to_builtins(lines[:2000]),
        "held": msgspec.to_builtins(held[:2000]),
        "counts": {"changed": count, "held": len(held[:2000])},
        "fetched_at": AT,
        "checked_at": AT,
        "changed_at": AT,
    }
    return Feed.objects.create(name=name, **{**shown, **values})


def text_of(client: Client, url: str, status: int = 200) -> str:
    answer = client.get(url)
    assert answer.status_code == status
    return answer.content.decode()


def test_every_source_is_listed_before_it_was_ever_asked(as_viktor: Client) -> None:
    page = text_of(as_viktor, URL)
    for words in (
        "models.dev",
        "LiteLLM price file",
        "Not asked",
        "Embedded catalogue",
    ):
        assert words in page
    assert "What a person set always wins" in page
    assert not Feed.objects.exists()


def test_switched_off_automatic_refresh_is_said(as_viktor: Client) -> None:
    assert "POOL_CATALOGUE_REFRESH is off" in text_of(as_viktor, URL)


def test_failure_is_said_in_words_with_what_serves(as_viktor: Client) -> None:
    make_feed(last_error="The host name does not resolve; is this machine online?")
    page = text_of(as_viktor, f"{URL}models_dev/")
    assert "does not resolve" in page
    assert "What was read before keeps serving." in page


def test_unknown_source_is_not_found(as_oskar: Client) -> None:
    for path in ("nobody/", "nobody/set/", "nobody/clear/", "nobody/decide/"):
        assert as_oskar.get(URL + path).status_code == 404
    assert as_oskar.post(f"{URL}nobody/refresh/").status_code == 404


def test_settings_are_saved_and_shown(as_oskar: Client) -> None:
    sent = {"url": "https://mirror.example.com/list"}
    answer = as_oskar.post(f"{URL}litellm/set/", sent)
    assert answer.status_code == 302
    row = Feed.objects.get(name="litellm")
    assert (row.url, row.enabled) == (sent["url"], False)
    assert sent["url"] in text_of(as_oskar, f"{URL}litellm/")


def test_address_that_may_not_be_asked_gives_422_at_its_field(as_oskar: Client) -> None:
    answer = as_oskar.post(f"{URL}litellm/set/", {"url": "http://127.0.0.1:1/x"})
    assert answer.status_code == 422
    assert "private address" in answer.content.decode()
    assert 'aria-invalid="true"' in answer.content.decode()
    assert not Feed.objects.exclude(url="").exists()


def test_clearing_asks_first(as_oskar: Client) -> None:
    make_feed()
    assert "Clear what models.dev said?" in text_of(as_oskar, f"{URL}models_dev/clear/")
    assert Feed.objects.get().listing
    assert as_oskar.post(f"{URL}models_dev/clear/").status_code == 302
    assert Feed.objects.get().listing is None
    assert AuditEvent.objects.get().action == "feed.clear"


def test_refresh_starts_a_job(as_oskar: Client) -> None:
    assert as_oskar.post(f"{URL}models_dev/refresh/").status_code == 302
    assert Job.objects.get().args == {"feed": "models_dev"}
    assert as_oskar.post(f"{URL}refresh/").status_code == 302
    assert as_oskar.get(f"{URL}models_dev/refresh/").status_code == 405


def test_one_held_price_is_accepted(as_oskar: Client) -> None:
    feed = make_feed()
    key = feed.held[0]["key"]
    answer = as_oskar.post(f"{URL}models_dev/decide/", {"decision": f"accept:{key}"})
    assert answer.status_code == 302
    row = Feed.objects.get()
    assert row.decisions == {key: "accepted"}
    assert len(row.held) == 2


def test_all_that_match_a_text_are_declined_after_a_question(as_oskar: Client) -> None:
    make_feed(12)
    url = f"{URL}models_dev/decide/?decision=decline&q=m-1"
    assert "Decline all 3 prices that match" in text_of(as_oskar, url)
    assert len(Feed.objects.get().held) == 12
    as_oskar.post(url, {"decision": "decline"})
    assert len(Feed.objects.get().held) == 9


def test_decision_without_a_word_changes_nothing(as_oskar: Client) -> None:
    make_feed()
    as_oskar.post(f"{URL}models_dev/decide/", {"decision": "maybe:x"})
    as_oskar.post(f"{URL}models_dev/decide/", {"decision": "accept:" + "0" * 16})
    assert len(Feed.objects.get().held) == 3
    assert not AuditEvent.objects.exists()


@pytest.mark.parametrize("path", ["set/", "clear/", "decide/", "refresh/"])
def test_viewer_changes_nothing(as_viktor: Client, path: str) -> None:
    make_feed()
    assert as_viktor.post(f"{URL}models_dev/{path}").status_code == 403
    page = text_of(as_viktor, f"{URL}models_dev/")
    assert "Accept" not in page
    assert "/clear/" not in page


@pytest.mark.parametrize("path", ["", "models_dev/", "models_dev/?q=m-4&page=3&held=2"])
def test_page_of_5000_models_stays_within_its_budget(
    as_oskar: Client, django_assert_max_num_queries: Any, path: str
) -> None:
    make_feed(5_000)
    with django_assert_max_num_queries(12):
        page = text_of(as_oskar, URL + path)
    # The rest of the 90 KB is for styles and scripts.
    assert len(gzip.compress(page.encode())) < 15 * 1024


def test_filter_narrows_both_tables_and_pages_are_bounded(as_oskar: Client) -> None:
    make_feed(500)
    page = text_of(as_oskar, f"{URL}models_dev/?q=m-499")
    assert page.count("m-499") > 0
    assert "m-498" not in page
    assert "Nothing of the last change matches" in text_of(
        as_oskar, f"{URL}models_dev/?q=nothing-like-it"
    )
    far = text_of(as_oskar, f"{URL}models_dev/?page=99999&held=-4")
    assert "page 5 of 5" in far


def test_hostile_names_are_escaped(as_oskar: Client) -> None:
    line = Line("changed", EVIL, EVIL, "input", 1, 100)
    bad = [msgspec.to_builtins(msgspec.structs.replace(line, key=decision_key(line)))]
    make_feed(diff=bad, held=bad, last_error=EVIL)
    for path in ("", "models_dev/", f"models_dev/?q={EVIL}"):
        assert EVIL not in text_of(as_oskar, URL + path)


def test_piece_and_page_hold_the_same_lines(as_oskar: Client) -> None:
    make_feed()
    url = f"{URL}models_dev/"
    piece = as_oskar.get(url, headers={"HX-Request": "true"}).content.decode()
    assert piece.lstrip().startswith('<div id="lines"')
    assert 'id="lines"' in text_of(as_oskar, url)
