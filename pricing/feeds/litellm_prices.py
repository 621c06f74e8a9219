"""Read the price columns of one row of LiteLLM's table."""

from __future__ import annotations

import re
from typing import Any, Final

from pricing.cost import PriceSpec
from pricing.feeds import fields

_COLUMNS: Final = {
    "input": "input_cost_per_token",
    "output": "output_cost_per_token",
    "cache_read": "cache_read_input_token_cost",
    "cache_write": "cache_creation_input_token_cost",
    "cache_write_1h": "cache_creation_input_token_cost_above_1hr",
    "audio_in": "input_cost_per_audio_token",
    "audio_out": "output_cost_per_audio_token",
    "image_in": "input_cost_per_image_token",
    "image_out": "output_cost_per_image_token",
}
_TIERS: Final = (("flex", "flex"), ("priority", "priority"), ("batch", "batches"))
_TIERED: Final = ("input", "output", "cache_read")
_LONG: Final = ("input", "output", "cache_read", "cache_write", "cache_write_1h")
_ABOVE: Final = re.compile(r"(?:input|output)_cost_per_token_above_(\d{1,5})k_tokens")
_ASIDE: Final = frozenset({"per_tool_call", "long_threshold"})
_QUERY_SIZE: Final = "search_context_size_medium"


def price_of(
    entry: dict[str, Any], kind: str, *, is_free: bool = False
) -> PriceSpec | None:
    """Return the price of a row, None when it states none.

    Shapes:  the table has zeros also for what nobody looked up: a row of nothing but
             zeros is a price only where ``is_free`` says that it may well be free.
    """
    steps = _steps(entry.get("tiered_pricing"))
    base = {**entry, **steps[0][1]} if steps else entry
    columns = {ours: fields.per_token(base.get(key)) for ours, key in _COLUMNS.items()}
    for ours, theirs in _TIERS:
        for name in _TIERED:
            key = f"{_COLUMNS[name]}_{theirs}"
            columns[f"{ours}_{name}"] = fields.per_token(entry.get(key))
    # Zero is written where thinking is billed as output, not where it is free.
    thinking = fields.per_token(base.get("output_cost_per_reasoning_token"))
    columns["reasoning"] = thinking or None
    columns.update(_units(entry, kind))
    columns.update(_long(entry, steps))
    stated = {name: each for name, each in columns.items() if each is not None}
    # Neither a threshold nor a search's price says what the model itself costs.
    own = [each for name, each in stated.items() if name not in _ASIDE]
    if not own or not (is_free or any(own)):
        return None
    return PriceSpec(**stated)


def _units(entry: dict[str, Any], kind: str) -> dict[str, int | None]:
    """Return the prices by the piece that a model of this kind is billed by."""
    searches = fields.table(entry.get("search_context_cost_per_query"))
    units = {
        "per_request": _first_unit(
            entry, "input_cost_per_request", "input_cost_per_query"
        ),
        "per_tool_call": fields.per_unit(searches.get(_QUERY_SIZE)),
    }
    if kind == "image":
        units["per_image"] = _first_unit(
            entry, "output_cost_per_image", "input_cost_per_image"
        )
    elif kind == "video":
        units["per_video_second"] = _first_unit(
            entry, "output_cost_per_video_per_second", "output_cost_per_second"
        )
    elif kind in ("speech", "transcription"):
        units["per_character"] = _first_unit(
            entry, "input_cost_per_character", "output_cost_per_character"
        )
        units["per_second"] = _first_unit(
            entry, "input_cost_per_second", "output_cost_per_second"
        )
    return units


def _first_unit(entry: dict[str, Any], *keys: str) -> int | None:
    return fields.first(fields.per_unit(entry.get(key)) for key in keys)


def _long(
    entry: dict[str, Any], steps: list[tuple[int, dict[str, Any]]]
) -> dict[str, int | None]:
    """Return the lowest threshold by prompt length and the prices above it."""
    if len(steps) > 1:
        threshold, prices = steps[1]
        suffix = ""
    else:
        above = [_ABOVE.fullmatch(key) for key in entry]
        sizes = sorted({int(each[1]) for each in above if each})
        if not sizes:
            return {}
        threshold, prices = sizes[0] * 1000, entry
        suffix = f"_above_{sizes[0]}k_tokens"
    found = {
        f"long_{name}": fields.per_token(prices.get(f"{_COLUMNS[name]}{suffix}"))
        for name in _LONG
    }
    if found["long_input"] is None and found["long_output"] is None:
        return {}
    return {"long_threshold": threshold, **found}


def _steps(value: Any) -> list[tuple[int, dict[str, Any]]]:
    """Return the price steps of a row by prompt length, lowest first."""
    found: list[tuple[int, dict[str, Any]]] = []
    for step in value if isinstance(value, list) else []:
        prices = fields.table(step)
        bounds = prices.get("range")
        if not isinstance(bounds, list) or not bounds:
            continue
        start = 0 if bounds[0] == 0 else fields.tokens(bounds[0])
        if start is not None:
            found.append((start, prices))
    return sorted(found, key=_start)


def _start(step: tuple[int, dict[str, Any]]) -> int:
    return step[0]
