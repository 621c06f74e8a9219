"""Prove that OpenRouter's list is read exactly, dynamic prices as none."""

from __future__ import annotations

import json

import pytest

from pricing.feeds import openrouter
from pricing.feeds.feed_errors import FeedError

DAY = "2026-11-20"


def row(**changes):
    known = {
        "id": "acme/large:free",
        "name": "Acme: Large",
        "created": 1_767_225_600,
        "context_length": 131072,
        "architecture": {
            "input_modalities": ["text", "file"],
            "output_modalities": ["text"],
        },
        "pricing": {
            "prompt": "0.00000125",
            "completion": "0.00001",
            "input_cache_read": "0.000000125",
            "internal_reasoning": "0",
            "request": "0",
            "web_search": "0.01",
            "image": "0.005",
        },
        "top_provider": {"max_completion_tokens": 4096},
        "supported_parameters": ["tools", "temperature", "response_format"],
    }
    return {**known, **changes}


def read(*rows):
    raw = json.dumps({"data": list(rows)}).encode()
    return openrouter.read(raw, date=DAY).providers["openrouter"].models


def test_prices_per_token_become_prices_per_million():
    (found,) = read(row()).values()
    price = found.price
    assert (price.input, price.output) == (1_250_000_000, 10_000_000_000)
    assert price.cache_read == 125_000_000
    assert price.per_tool_call == 10_000_000_000_000
    assert (price.reasoning, price.per_request, price.per_image) == (None, None, None)


def test_limits_abilities_and_dates_are_read():
    (found,) = read(row(expiration_date="2026-11-01")).values()
    assert (found.context_window, found.max_output) == (131_072, 4096)
    assert found.capabilities == ("cache", "json", "pdf", "temperature", "tools")
    assert "parallel_tools" in found.lacks
    assert "vision" in found.lacks
    assert (found.released, found.deprecated) == ("2026-01-01", True)


def test_dynamic_price_is_no_price():
    (found,) = read(row(pricing={"prompt": "-1", "completion": "-1"})).values()
    assert found.price is None


def test_free_model_costs_nothing_which_is_not_unknown():
    (found,) = read(row(pricing={"prompt": "0", "completion": "0"})).values()
    assert (found.price.input, found.price.output) == (0, 0)


def test_thinking_is_priced_apart_only_where_it_costs():
    pricing = {"prompt": "0.1", "completion": "0.1", "internal_reasoning": "0.000003"}
    (found,) = read(row(pricing=pricing)).values()
    assert found.price.reasoning == 3_000_000_000


@pytest.mark.parametrize(
    "bad",
    ["NaN", "Infinity", "1_000", "٣", "9" * 50, "", None, [], 1e30, "1e99999999999"],
)
def test_absurd_price_is_no_price(bad):
    (found,) = read(row(pricing={"prompt": bad, "completion": "0.1"})).values()
    assert found.price is None


@pytest.mark.parametrize(
    "raw", [b"{}", b'{"data": {}}', b'{"data": []}', b'{"data": [1, 2]}', b"x", b"[]"]
)
def test_other_shape_is_refused_in_words(raw):
    with pytest.raises(FeedError) as caught:
        openrouter.read(raw, date=DAY)
    assert "OpenRouter" in caught.value.message


def test_bad_rows_leave_the_good_ones():
    hostile = row(id="<script>alert(1)</script>", created=10**30, name={"a": 1})
    found = read(row(), hostile, {"id": "\u202eevil"}, 7)
    assert set(found) == {"acme/large:free", "<script>alert(1)</script>"}
    assert found["<script>alert(1)</script>"].released == ""
