"""Prove that models.dev is read exactly, and that nothing in it can do harm."""

from __future__ import annotations

import json

import pytest

from pricing.feeds import models_dev
from pricing.feeds.feed_errors import FeedError

DAY = "2026-11-20"


def model(**changes):
    row = {
        "id": "glm-9",
        "name": "GLM 9",
        "family": "glm",
        "attachment": True,
        "reasoning": True,
        "tool_call": True,
        "structured_output": False,
        "temperature": True,
        "release_date": "2026-02",
        "modalities": {"input": ["text", "image"], "output": ["text"]},
        "limit": {"context": 200000, "output": 8192},
        "cost": {"input": 0.1, "output": 2.25, "cache_read": 0.0125},
    }
    return {**row, **changes}


def document(*models, provider="zhipuai", **changes):
    entry = {
        "id": provider,
        "name": "Zhipu AI",
        "env": ["ZHIPU_API_KEY"],
        "api": "https://open.bigmodel.cn/api/paas/v4/",
        "doc": "https://docs.z.ai/",
        "models": {f"m{at}": each for at, each in enumerate(models)},
    }
    return json.dumps({provider: {**entry, **changes}}).encode()


def only(*models, **changes):
    listing = models_dev.read(document(*models, **changes), date=DAY)
    (provider,) = listing.providers.values()
    return next(iter(provider.models.values()))


def test_provider_comes_under_the_catalogues_id():
    listing = models_dev.read(document(model()), date=DAY)
    provider = listing.providers["zhipu"]
    assert provider.base_url == "https://open.bigmodel.cn/api/paas/v4"
    assert provider.environment == ("ZHIPU_API_KEY",)
    assert (listing.date, listing.models_count) == (DAY, 1)


def test_prices_limits_and_abilities_are_read():
    found = only(model())
    assert (found.price.input, found.price.output) == (100_000_000, 2_250_000_000)
    assert found.price.cache_read == 12_500_000
    assert found.price.cache_write is None
    assert (found.context_window, found.max_output) == (200_000, 8192)
    assert found.capabilities == (
        "cache",
        "reasoning",
        "temperature",
        "tools",
        "vision",
    )
    assert found.lacks == ("audio", "json_schema", "pdf", "video")
    assert (found.released, found.family, found.kind) == ("2026-02", "glm", "chat")


def test_lowest_tier_wins_over_the_price_above_200k():
    cost = {
        "input": 1,
        "output": 2,
        "context_over_200k": {"input": 9, "output": 9},
        "tiers": [
            {"input": 4, "output": 8, "tier": {"type": "context", "size": 512000}},
            {"input": 2, "output": 4, "tier": {"type": "context", "size": 272000}},
            {"input": 7, "output": 7, "tier": {"type": "weekday", "size": 1}},
        ],
    }
    price = only(model(cost=cost)).price
    assert (price.long_threshold, price.long_input) == (272_000, 2_000_000_000)
    price = only(model(cost={**cost, "tiers": "none"})).price
    assert (price.long_threshold, price.long_input) == (200_000, 9_000_000_000)


@pytest.mark.parametrize(
    "bad",
    [-1, "NaN", "inf", True, 1e9, [1], {}, "free", "1e99999999999", None],
    ids=str,
)
def test_absurd_price_is_no_price(bad):
    assert only(model(cost={"input": bad, "output": bad})).price is None
    price = only(model(cost={"input": 3, "output": 5, "cache_read": bad})).price
    assert price.cache_read is None


@pytest.mark.parametrize("bad", [{}, [], 7, "x", None, {"input": {}}], ids=str)
def test_field_of_another_type_is_not_known(bad):
    found = only(
        model(modalities=bad, limit=bad, cost=bad, release_date=bad, family=bad)
    )
    assert found.price is None
    assert found.context_window is None
    assert found.inputs == ()


@pytest.mark.parametrize(
    "bad",
    ["", "a" * 201, "gpt\u202e5", "a\nb", "a\x00", " padded ", 5, None],
    ids=repr,
)
def test_model_with_an_unprintable_id_is_left_out(bad):
    listing = models_dev.read(document(model(), model(id=bad)), date=DAY)
    assert listing.models_count == 1
    named = only(model(name=f"<b>\u202e{'x' * 300}"))
    assert named.name == ""


@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", "https://a b", "x" * 900, 5, "http://[", "//h"]
)
def test_bad_address_is_blank(address):
    listing = models_dev.read(document(model(), api=address), date=DAY)
    assert listing.providers["zhipu"].base_url == ""


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"<html>", id="html"),
        pytest.param(b"[]", id="list"),
        pytest.param(b"null", id="null"),
        pytest.param(b'{"a":', id="truncated"),
        pytest.param(b"\xff\xfe", id="bytes"),
        pytest.param(b"[" * 100_000, id="deep list"),
        pytest.param(b'{"a":' * 100_000, id="deep object"),
        pytest.param(b"{}", id="nothing"),
        pytest.param(b'{"a": 5}', id="number"),
        pytest.param(b'{"a": {"models": []}}', id="no models"),
    ],
)
def test_other_shape_is_refused_in_words(raw):
    with pytest.raises(FeedError) as caught:
        models_dev.read(raw, date=DAY)
    assert "models.dev" in caught.value.message


def test_file_of_which_less_than_half_is_read_is_refused():
    with pytest.raises(FeedError, match="1 of 3"):
        models_dev.read(document(model(), 5, "x"), date=DAY)


def test_more_models_than_the_world_has_are_refused():
    rows = ",".join(f'"m{at}":{{"id":"m{at}"}}' for at in range(50_001))
    with pytest.raises(FeedError, match="50,000"):
        models_dev.read(f'{{"a":{{"id":"a","models":{{{rows}}}}}}}'.encode(), date=DAY)


def test_two_entries_of_one_provider_are_joined():
    one = json.loads(document(model(), provider="google-vertex"))
    two = json.loads(document(model(id="claude"), provider="google-vertex-anthropic"))
    listing = models_dev.read(json.dumps({**one, **two}).encode(), date=DAY)
    assert set(listing.providers["vertex"].models) == {"glm-9", "claude"}
