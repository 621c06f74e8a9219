"""Whatever a source answers, the previous catalogue keeps serving."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from poolsite.clock import ManualClock
from pricing.feeds import current, fetch
from pricing.feeds.refresh import refresh
from pricing.feeds.sources import SOURCES
from pricing.listing import Listing
from pricing.models import Feed
from tests.pricing.feeds.conftest import World
from tests.vendors import feeds
from tests.vendors.server import Reply

NAME = "models_dev"


def still_serves(good: list[Listing]) -> bool:
    """Compare by content, read anew."""
    current.forget()
    return current.listings() == good


def refused(good: list[Listing], world: World, clock: ManualClock) -> str:
    """Refresh, show that it failed and changed nothing; return the reason."""
    before = Feed.objects.values("digest", "etag", "models_listed").get(name=NAME)
    outcome = refresh(NAME, clock=clock)
    assert outcome.state == "failed", outcome
    assert still_serves(good)
    assert Feed.objects.values("digest", "etag", "models_listed").get() == before
    assert world.feed().last_error == outcome.message
    return outcome.message


def test_good_answer_is_taken_over(world: World, good: list[Listing]) -> None:
    remote, embedded = good
    assert remote.providers["acme"].models["m-2"].price is not None
    assert "own-1" in embedded.providers["acme"].models
    feed = world.feed()
    assert (feed.models_listed, feed.models_stated) == (40, 40)
    assert feed.counts == {"new": 39, "held": 0}
    assert feed.etag == feeds.ETAG


def test_304_changes_nothing_and_counts_as_read(
    world: World, good: list[Listing], clock: ManualClock
) -> None:
    clock.advance(3600)
    outcome = refresh(NAME, clock=clock)
    assert outcome.state == "unchanged"
    assert world.vendor.last.headers["if-none-match"] == feeds.ETAG
    assert still_serves(good)
    assert world.feed().fetched_at == clock.now()


def test_304_that_nobody_asked_for_is_an_error(
    world: World, good: list[Listing], clock: ManualClock
) -> None:
    Feed.objects.update(etag="")
    world.answer(Reply(b"", status=304))
    outcome = refresh(NAME, clock=clock)
    assert "304" in outcome.message
    assert still_serves(good)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(
            b"<!doctype html><h1>Sign in to the guest network</h1>", id="html"
        ),
        pytest.param(bytes(range(256)) * 64, id="binary"),
        pytest.param(b'{"models": [1, 2, 3]}', id="another shape"),
        pytest.param(b'["acme"]', id="a list"),
        pytest.param(b"null", id="null"),
        pytest.param(b"", id="empty"),
        pytest.param(b"[" * 200_000 + b"]" * 200_000, id="deep nesting"),
        pytest.param(b'{"acme": ' * 20_000 + b"1" + b"}" * 20_000, id="deep objects"),
        pytest.param(feeds.as_json(feeds.openrouter()), id="another source's shape"),
        pytest.param(b'{"acme": {"models": {"m-1": {"cost": 1e999}}}}', id="infinity"),
    ],
)
def test_garbage_keeps_the_previous_catalogue(
    world: World, good: list[Listing], clock: ManualClock, body: bytes
) -> None:
    world.answer(body)
    assert refused(good, world, clock)


def test_truncated_body_keeps_the_previous_catalogue(
    world: World, good: list[Listing], clock: ManualClock
) -> None:
    body = feeds.as_json(feeds.models_dev(41))
    world.answer(body[: len(body) * 2 // 3])
    assert "no JSON" in refused(good, world, clock)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_cut_connection_keeps_the_previous_catalogue(
    world: World, good: list[Listing], clock: ManualClock, share: float
) -> None:
    body = feeds.as_json(feeds.models_dev(41))
    sent = body[: round(len(body) * share)]
    with feeds.RawServer(feeds.raw_answer(sent, length=len(body))) as server:
        world.point(NAME, server.root)
        assert "cut" in refused(good, world, clock)


def test_wrong_length_keeps_the_previous_catalogue(
    world: World, good: list[Listing], clock: ManualClock
) -> None:
    body = feeds.as_json(feeds.models_dev(41))
    with feeds.RawServer(feeds.raw_answer(body, length=len(body) // 2)) as server:
        world.point(NAME, server.root)
        refused(good, world, clock)


def test_hundred_times_larger_body_is_refused(
    world: World, good: list[Listing], clock: ManualClock
) -> None:
    body = feeds.as_json(feeds.models_dev(4_000))
    assert len(body) > 90 * world.feed().body_bytes
    world.answer(body)
    assert "too large" in refused(good, world, clock)


def test_larger_than_any_list_is_refused_the_first_time_too(
    world: World, clock: ManualClock
) -> None:
    world.answer(b" " * (17 * 1024 * 1024))
    assert "too large" in refresh(NAME, clock=clock).message
    assert len(current.listings()) == 1


def test_gzip_bomb_is_refused(
    world: World, good: list[Listing], clock: ManualClock
) -> None:
    world.answer(
        Reply(
            gzip.compress(b" " * 200_000_000, 1), headers={"content-encoding": "gzip"}
        )
    )
    assert "too large" in refused(good, world, clock)
    assert world.vendor.last.headers["accept-encoding"] == "identity"


HOSTILE = {
    "html": "<script>alert(1)</script>",
    "right to left": "gpt‮eerf",
    "control": "m\x00\x1b[31m",
    "line end": "m-1\nacme",
    "10 MB": "m" * 10_000_000,
    "blank": "",
}


@pytest.mark.parametrize("name", HOSTILE, ids=list(HOSTILE))
def test_hostile_name_never_hides_or_harms_the_others(
    world: World, good: list[Listing], clock: ManualClock, name: str
) -> None:
    text = HOSTILE[name]
    document = feeds.models_dev(41)
    models = document["acme"]["models"]
    models[text] = {**models["m-1"], "id": text, "name": text}
    document[text] = {**document["acme"], "id": text, "name": text}
    world.answer(feeds.as_json(document))
    if name == "10 MB":
        assert "too large" in refused(good, world, clock)
        Feed.objects.update(body_bytes=0)
    outcome = refresh(NAME, clock=clock)
    current.forget()
    remote = current.listings()[0]
    if outcome.state == "failed":
        assert still_serves(good)
        return
    assert {f"m-{n}" for n in range(1, 42)} <= remote.providers["acme"].models.keys()
    for provider in remote.providers.values():
        for model in provider.models.values():
            assert model.id.isprintable()
            assert len(model.id) <= 200
            assert model.name.isprintable()


def test_absurd_numbers_are_no_prices(
    world: World, good: list[Listing], clock: ManualClock
) -> None:
    bad = {"input": 10**30, "output": -1}
    world.answer(feeds.models_dev(m_2=bad, m_3={"input": "free", "output": None}))
    refresh(NAME, clock=clock)
    current.forget()
    models = current.listings()[0].providers["acme"].models
    before = good[0].providers["acme"].models
    assert models["m-2"].price == before["m-2"].price
    assert models["m-3"].price == before["m-3"].price


def test_shrunk_list_is_refused(
    world: World, good: list[Listing], clock: ManualClock
) -> None:
    world.answer(feeds.models_dev(19))
    assert "19 models where at least 20" in refused(good, world, clock)


def test_first_answer_from_the_own_address_must_be_a_real_list(
    world: World, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = SOURCES[NAME]
    here = msgspec.structs.replace(source, url=world.feed().url)
    monkeypatch.setitem(SOURCES, NAME, here)
    Feed.objects.update(url="")
    world.answer(feeds.models_dev(40))
    assert "at least 1,000" in refresh(NAME, clock=clock).message
    assert len(current.listings()) == 1


HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n"


@pytest.mark.parametrize(
    "server",
    [
        pytest.param(lambda: feeds.RawServer(b"", hang=True), id="silent"),
        pytest.param(lambda: feeds.RawServer(HEAD + b"\r\n{", hang=True), id="stops"),
        pytest.param(lambda: feeds.RawServer(HEAD, drip=b"x: 1\r\n"), id="headers"),
        pytest.param(lambda: feeds.RawServer(HEAD + b"\r\n", drip=b" "), id="body"),
    ],
)
def test_slow_server_is_left_at_the_deadline(
    world: World,
    good: list[Listing],
    clock: ManualClock,
    server: Callable[[], feeds.RawServer],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fetch, "_GRACE_S", 0.05)
    with server() as running:
        world.point(NAME, running.root)
        outcome = refresh(NAME, clock=clock, deadline_s=0.1)
    assert "in time" in outcome.message
    assert still_serves(good)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 502, 503])
def test_error_status_keeps_the_previous_catalogue(
    world: World, good: list[Listing], clock: ManualClock, status: int
) -> None:
    world.answer(Reply(feeds.models_dev(41), status=status))
    assert str(status) in refused(good, world, clock)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirect_is_not_followed_and_named(
    world: World, good: list[Listing], clock: ManualClock, status: int
) -> None:
    to = {"location": "https://elsewhere.example.com/list?token=abc"}
    world.answer(Reply(b"", status=status, headers=to))
    message = refused(good, world, clock)
    assert "elsewhere.example.com" in message
    assert "abc" not in message
    assert len(world.vendor.asked) == 2


def test_unknown_host_keeps_the_previous_catalogue(
    world: World, good: list[Listing], clock: ManualClock
) -> None:
    Feed.objects.update(url="http://nobody.invalid/api.json")
    assert "resolve" in refused(good, world, clock)


def test_dead_address_keeps_the_previous_catalogue(
    world: World, good: list[Listing], clock: ManualClock
) -> None:
    with feeds.RawServer(b"") as server:
        url = server.root
    world.point(NAME, url)
    assert "Nothing answers" in refused(good, world, clock)


def test_private_address_is_not_asked_unless_allowed(
    world: World, good: list[Listing], clock: ManualClock, settings: Any
) -> None:
    settings.CONFIG = msgspec.structs.replace(settings.CONFIG, allow_private=())
    asked = len(world.vendor.asked)
    assert "private" in refused(good, world, clock)
    assert len(world.vendor.asked) == asked
