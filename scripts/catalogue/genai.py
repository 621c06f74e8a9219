"""Read the package genai-prices: prices with the days they began, ids with patterns.

Its rows name a model by patterns. A pattern is believed only where what it leaves open
is a date or another mark that does not change the price: a prefix that also covers a
newer model would give it an older one's price.
"""

from __future__ import annotations

import datetime
import re
import sys
from collections.abc import Iterator
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import msgspec

from poolsite.money import per_million_nano_from_usd
from pricing.cost import PriceSpec
from pricing.feeds import fields
from pricing.feeds.provider_ids import catalogue_id
from pricing.listing import ListedModel

SOURCE: Final = "genai-prices"

_COLUMNS: Final = {
    "input_mtok": "input",
    "output_mtok": "output",
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write",
    "cache_write_1h_mtok": "cache_write_1h",
    "output_reasoning_mtok": "reasoning",
    "input_audio_mtok": "audio_in",
    "output_audio_mtok": "audio_out",
    "input_image_mtok": "image_in",
    "output_image_mtok": "image_out",
    "input_mchars": "per_character",
}
_PER_THOUSAND: Final = {
    "web_searches_kcount": "per_tool_call",
    "requests_kcount": "per_request",
}
_PER_HOUR: Final = {"audio_hours": "per_second", "input_audio_hours": "per_second"}
_LONG: Final = ("input", "output", "cache_read", "cache_write", "cache_write_1h")
_TIERED: Final = ("input", "output", "cache_read")
_TIERS: Final = ("batch", "flex", "priority")
_NOT_SERVED: Final = ("huggingface_", "openai-decisions")
_HARMLESS: Final = re.compile(
    r"([-@](20\d{6}|20\d\d-\d\d-\d\d|\d\d-20\d\d|latest|default|v\d+(:\d+)?))*"
)
_SECONDS: Final = 3600


class Row(msgspec.Struct):
    """Hold one model: what it is called here, and how others may call it."""

    model: ListedModel
    equal: frozenset[str]
    prefixes: tuple[str, ...]
    patterns: tuple[re.Pattern[str], ...]

    def fits(self, model: str) -> bool:
        """Tell whether an id is this model under another spelling."""
        if any(pattern.search(model) for pattern in self.patterns):
            return True
        return any(
            model.startswith(prefix) and _HARMLESS.fullmatch(model[len(prefix) :])
            for prefix in self.prefixes
        )


class Prices:
    """Hold all rows by the catalogue's provider."""

    def __init__(self, rows: dict[str, list[Row]]) -> None:
        self.rows = rows

    def find(self, provider: str, model: str) -> ListedModel | None:
        """Return the row of a model: by id, by another name, by a harmless ending."""
        rows = self.rows.get(provider, [])
        plain = model.lower()
        for row in rows:
            if plain == row.model.id.lower():
                return row.model
        for row in rows:
            if plain in row.equal:
                return row.model
        return next((row.model for row in rows if row.fits(plain)), None)


def read(folder: Path, *, date: str) -> Prices:
    """Read the unpacked package in a folder.

    Shapes:  ``date`` decides which of several prices has begun.
    """
    data = _imported(folder)
    day = datetime.date.fromisoformat(date)
    rows: dict[str, list[Row]] = {}
    for provider in data.providers:
        if provider.id.startswith(_NOT_SERVED):
            continue
        ours = catalogue_id("genai_prices", provider.id)
        rows[ours] = [_row(model, day) for model in provider.models]
    return Prices(rows)


def _imported(folder: Path) -> Any:
    """Import the package's data from this folder and no other, and leave no trace."""
    _forget()
    sys.path.insert(0, str(folder))
    try:
        return import_module("genai_prices.data")
    finally:
        sys.path.remove(str(folder))
        _forget()


def _forget() -> None:
    for name in [each for each in sys.modules if each.startswith("genai_prices")]:
        del sys.modules[name]


def _row(info: Any, day: datetime.date) -> Row:
    equal: set[str] = set()
    prefixes: list[str] = []
    patterns: list[re.Pattern[str]] = []
    for clause in _alternatives(info.match):
        if hasattr(clause, "equals"):
            equal.add(clause.equals.lower())
        elif hasattr(clause, "starts_with"):
            prefixes.append(clause.starts_with.lower())
        elif hasattr(clause, "regex"):
            patterns.append(re.compile(clause.regex))
    model = ListedModel(
        id=info.id,
        name=fields.label(info.name or ""),
        price=_price(info, day),
        context_window=info.context_window,
        deprecated=bool(info.deprecated),
        origin=SOURCE,
    )
    return Row(model, frozenset(equal), tuple(prefixes), tuple(patterns))


def _alternatives(match: Any) -> Iterator[Any]:
    if hasattr(match, "or_"):
        for each in match.or_:
            yield from _alternatives(each)
    else:
        yield match


def _price(info: Any, day: datetime.date) -> PriceSpec | None:
    stated = _today(info.prices, day)
    columns = {} if stated is None else _columns(stated)
    for variant in info.price_variants or []:
        tier = next(iter(variant.when.values()))
        if len(variant.when) == 1 and tier in _TIERS and _begun(variant, day):
            found = _columns(variant.prices)
            for name in _TIERED:
                if name in found:
                    columns[f"{tier}_{name}"] = found[name]
    return PriceSpec(**columns) if columns else None


def _today(prices: Any, day: datetime.date) -> Any:
    """Return the price in force; of several by the hour the dearest."""
    if not isinstance(prices, list):
        return prices
    chosen = None
    for condition in prices:
        if hasattr(condition.constraint, "start_time"):
            if chosen is None or _weight(condition.prices) > _weight(chosen):
                chosen = condition.prices
        elif _begun(condition, day):
            chosen = condition.prices
    return chosen


def _begun(condition: Any, day: datetime.date) -> bool:
    rule = condition.constraint
    if rule is None:
        return True
    start: datetime.date | None = getattr(rule, "start_date", None)
    return start is not None and start <= day


def _weight(prices: Any) -> Decimal:
    weight = Decimal(0)
    for name in ("input_mtok", "output_mtok"):
        value = getattr(prices, name, None) or Decimal(0)
        weight += getattr(value, "base", value)
    return weight


def _columns(prices: Any) -> dict[str, int]:
    columns: dict[str, int] = {}
    for name, value in vars(prices).items():
        if value is None:
            continue
        base = Decimal(getattr(value, "base", value))
        if name in _COLUMNS:
            ours = _COLUMNS[name]
            columns[ours] = per_million_nano_from_usd(base)
            tiers = getattr(value, "tiers", None)
            if tiers and ours in _LONG:
                columns["long_threshold"] = tiers[0].start
                columns[f"long_{ours}"] = per_million_nano_from_usd(tiers[0].price)
        elif name in _PER_THOUSAND:
            columns[_PER_THOUSAND[name]] = per_million_nano_from_usd(base * 1000)
        elif name in _PER_HOUR:
            hourly = base * 1_000_000 / _SECONDS
            columns[_PER_HOUR[name]] = per_million_nano_from_usd(hourly)
    return columns
