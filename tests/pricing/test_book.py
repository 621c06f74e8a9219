from __future__ import annotations

import re

import msgspec
import pytest

from pricing.book.loader import BookError, embedded_book, read_book
from pricing.cost import PriceSpec

USD = 1_000_000_000


def test_the_embedded_book_loads_whole():
    book = embedded_book()
    assert len(book.models) == 172
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", book.date)
    assert book.source


@pytest.mark.parametrize(
    ("model", "columns"),
    [
        ("claude-opus-5", (5, 25, 0.5, 6.25)),
        ("claude-opus-4-1", (15, 75, 1.5, 18.75)),
        ("gpt-5.6-luna", (0.2, 1.2, 0.02, 0.25)),
        ("gpt-4o", (2.5, 10, 1.25, None)),
        ("gpt-4o-mini", (0.15, 0.6, 0.075, None)),
        ("o3-pro", (20, 80, None, None)),
        ("gemini-2.5-flash", (0.3, 2.5, 0.03, None)),
        ("deepseek-v4-pro", (1.32, 3.96, 0.044, None)),
        ("qwen3.6-flash", (0.1875, 1.125, 0.0375, None)),
        ("doubao-seed-2-0-mini", (0.03, 0.31, 0.0056, None)),
        ("gpt-3.5-turbo", (0.5, 1.5, 0.25, None)),
    ],
)
def test_prices_are_the_listed_decimals_exactly(model, columns):
    price = embedded_book().models[model].price
    found = (price.input, price.output, price.cache_read, price.cache_write)
    expected = tuple(None if usd is None else round(usd * USD) for usd in columns)
    assert found == expected


def test_every_entry_is_a_believable_price():
    for model in embedded_book().models.values():
        price = model.price
        assert 0 < price.input <= price.output, model.id
        assert price.cache_read is None or price.cache_read <= price.input, model.id
        assert price.cache_write is None or price.cache_write > 0, model.id
        if price.long_threshold is not None:
            assert price.long_input > price.input, model.id
        assert model.max_output is None or model.max_output <= model.context_window


def test_claude_writes_cost_a_quarter_more_and_twice_for_an_hour():
    for model in embedded_book().models.values():
        if model.id.startswith("claude-"):
            assert model.price.cache_write * 4 == model.price.input * 5
            assert model.price.cache_write_1h == model.price.input * 2


@pytest.mark.parametrize(
    "change",
    [
        {"input": "-1"},
        {"input": "1e"},
        {"input": "0.0000000001"},
        {"input": 3},
        {"colour": "red"},
    ],
)
def test_a_bad_book_is_refused(change):
    row = {"id": "a", "input": "1", "output": "2"} | change
    with pytest.raises(BookError):
        read_book(_file([row]))


def test_a_model_listed_twice_is_refused():
    row = {"id": "a", "input": "1", "output": "2"}
    with pytest.raises(BookError, match="twice"):
        read_book(_file([row, row]))


def test_a_small_book_reads():
    book = read_book(_file([{"id": "a", "input": "1", "output": "0.000000001"}]))
    assert book.models["a"].price == PriceSpec(input=USD, output=1)


def _file(rows):
    return msgspec.json.encode(
        {"source": "s", "date": "2026-01-01", "unit": "u", "notes": [], "models": rows}
    )
