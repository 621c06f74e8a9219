"""``pool catalogue``: the twin of the screen of catalogue updates."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from pricing.models import Feed
from tests.providers.commands.conftest import Pool
from tests.providers.views.test_feeds import make_feed
from tests.vendors import feeds
from tests.vendors.server import Vendor


def test_status_shows_every_source(pool: Pool) -> None:
    out = pool.ok("catalogue", "status").out
    for words in ("Embedded:", "models_dev", "litellm", "openrouter", "is off"):
        assert words in out
    assert len(pool.ok("catalogue", "status", "--json").json["feeds"]) == 3


def test_refresh_reads_a_source_and_says_what_came_of_it(
    pool: Pool, settings: Any
) -> None:
    with Vendor() as vendor:
        allowed = (urlsplit(vendor.root).netloc,)
        settings.CONFIG = msgspec.structs.replace(
            settings.CONFIG, allow_private=allowed
        )
        vendor.on("GET", "/list", feeds.models_dev())
        pool.ok("catalogue", "set", "models_dev", "--url", f"{vendor.root}/list")
        out = pool.ok("catalogue", "refresh", "models_dev").out
        assert out == "models_dev: applied. 40 new models.\n"
        vendor.on("GET", "/list", b"<html>")
        line = pool.refused("catalogue", "refresh", "models_dev")
    assert "what was known keeps serving" in line
    assert Feed.objects.get().models_listed == 40


def test_source_is_switched_off_and_on(pool: Pool) -> None:
    pool.ok("catalogue", "set", "litellm", "--off")
    assert not Feed.objects.get().enabled
    pool.ok("catalogue", "set", "litellm", "--on")
    assert Feed.objects.get().enabled
    assert "--url" in pool.refused("catalogue", "set", "litellm")


def test_address_that_may_not_be_asked_is_one_line(pool: Pool) -> None:
    line = pool.refused("catalogue", "set", "litellm", "--url", "ftp://x.example.com")
    assert "http" in line


def test_unknown_source_is_one_line(pool: Pool) -> None:
    assert "nobody" in pool.refused("catalogue", "clear", "nobody")


def test_held_prices_are_listed_and_decided(pool: Pool) -> None:
    feed = make_feed()
    keys = [line["key"] for line in feed.held]
    assert keys[0] in pool.ok("catalogue", "held", "models_dev").out
    listed = pool.ok("catalogue", "held", "models_dev", "--json").json
    assert [line["key"] for line in listed] == keys
    pool.ok("catalogue", "decide", "models_dev", "decline", *keys)
    assert Feed.objects.get().held == []
    pool.refused("catalogue", "decide", "models_dev", "decline", keys[0])


@pytest.mark.parametrize("times", [1, 2])
def test_clearing_twice_is_no_error(pool: Pool, times: int) -> None:
    make_feed()
    for _ in range(times):
        pool.ok("catalogue", "clear", "models_dev")
    assert Feed.objects.get().listing is None
