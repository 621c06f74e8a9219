"""The files vendors export, known by their headers, and how their columns are read.

Source: headers of exports as people publish them, 2025-10 to 2026-09: OpenAI's usage
        page (costs, and completions usage), the Claude Console (usage, and cost),
        OpenRouter's activity page (one line a generation, and one a day and model).
        All of them count UTC days.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

PARTS: Final = (
    *("day", "model", "cost", "currency", "input"),
    *("cache_read", "cache_write", "output", "requests"),
)
"""What a person may name the column of."""

MAPPED: Final = "mapped"
"""The shape of a file whose columns a person named."""


@dataclass(frozen=True)
class Columns:
    """Which column says what; blank = the file does not say.

    Shapes:  names are folded by ``fold``. ``cache_write`` may be several columns.
             ``has_cached``: the input counts cached tokens too. ``is_one_request``:
             every line is one request. ``cuts_model``: the model is followed by a
             comma and what of it is billed.
    """

    day: str
    model: str = ""
    cost: str = ""
    currency: str = ""
    input: str = ""
    cache_read: str = ""
    cache_write: tuple[str, ...] = ()
    output: str = ""
    requests: str = ""
    variant: str = ""
    has_cached: bool = False
    is_one_request: bool = False
    cuts_model: bool = False

    def names(self) -> set[str]:
        """Return the columns that must be there."""
        found = {
            *(self.day, self.model, self.cost, self.currency, self.input),
            *(self.cache_read, *self.cache_write, self.output, self.requests),
        }
        return found - {""}


def chosen(named: Mapping[str, str], *, has_cached: bool = False) -> Columns | None:
    """Return the columns a person named; None when none was.

    Shapes:  parts are those of PARTS; names may be in any case.
    """
    said: dict[str, Any] = {part: fold(name) for part, name in named.items() if name}
    if not said:
        return None
    written = said.pop("cache_write", "")
    said["cache_write"] = (written,) if written else ()
    return Columns(**{"day": "", **said}, has_cached=has_cached)


@dataclass(frozen=True)
class Shape:
    """One kind of export; ``marks`` are columns no other kind has together."""

    key: str
    label: str
    marks: frozenset[str]
    columns: Columns


def _shape(key: str, label: str, marks: str, columns: Columns) -> Shape:
    return Shape(key, label, frozenset(marks.split()), columns)


SHAPES: Final = (
    _shape(
        "openai_costs",
        "OpenAI costs",
        "start_time_iso amount_value amount_currency line_item",
        Columns(
            day="start_time_iso",
            model="line_item",
            cost="amount_value",
            currency="amount_currency",
            cuts_model=True,
        ),
    ),
    _shape(
        "openai_usage",
        "OpenAI usage",
        "start_time_iso num_model_requests model input_tokens output_tokens",
        Columns(
            day="start_time_iso",
            model="model",
            input="input_tokens",
            cache_read="input_cached_tokens",
            output="output_tokens",
            requests="num_model_requests",
            has_cached=True,
        ),
    ),
    _shape(
        "anthropic_usage",
        "Anthropic usage",
        "usage_date_utc model_version usage_input_tokens_no_cache usage_output_tokens",
        Columns(
            day="usage_date_utc",
            model="model_version",
            input="usage_input_tokens_no_cache",
            cache_read="usage_input_tokens_cache_read",
            cache_write=(
                "usage_input_tokens_cache_write_5m",
                "usage_input_tokens_cache_write_1h",
            ),
            output="usage_output_tokens",
        ),
    ),
    _shape(
        "anthropic_cost",
        "Anthropic cost",
        "usage_date_utc model token_type cost_usd",
        Columns(day="usage_date_utc", model="model", cost="cost_usd"),
    ),
    _shape(
        "openrouter_log",
        "OpenRouter activity, by request",
        "generation_id created_at cost_total model_permaslug",
        Columns(
            day="created_at",
            model="model_permaslug",
            cost="cost_total",
            input="tokens_prompt",
            cache_read="tokens_cached",
            output="tokens_completion",
            variant="variant",
            has_cached=True,
            is_one_request=True,
        ),
    ),
    _shape(
        "openrouter_days",
        "OpenRouter activity, by day",
        "date slug usage byok_usage requests prompt_tokens completion_tokens",
        Columns(
            day="date",
            model="slug",
            cost="usage",
            input="prompt_tokens",
            output="completion_tokens",
            requests="requests",
            has_cached=True,
        ),
    ),
)
LABELS: Final = {
    **{shape.key: shape.label for shape in SHAPES},
    MAPPED: "Columns chosen by hand",
}


def fold(name: str) -> str:
    """Return a column's name without case, spaces and hyphens."""
    return name.strip().lower().replace(" ", "_").replace("-", "_")


def detect(header: Iterable[str]) -> Shape | None:
    """Find the kind of export a header belongs to; None for an unknown one."""
    names = set(header)
    return next((shape for shape in SHAPES if shape.marks <= names), None)


_GUESSES: Final = {
    "day": ("date", "day", "usage_date", "timestamp", "time", "created_at"),
    "model": ("model", "model_name", "model_id", "sku", "line_item", "slug"),
    "cost": ("cost", "cost_usd", "amount", "amount_usd", "total_cost", "spend"),
    "currency": ("currency", "amount_currency"),
    "input": ("input_tokens", "prompt_tokens", "tokens_prompt"),
    "cache_read": ("cached_tokens", "cache_read_tokens", "input_cached_tokens"),
    "cache_write": ("cache_write_tokens", "cache_creation_tokens"),
    "output": ("output_tokens", "completion_tokens", "tokens_completion"),
    "requests": ("requests", "calls", "request_count", "num_requests"),
}


def guess(header: Iterable[str]) -> dict[str, str]:
    """Propose which column of an unknown header says what."""
    names = set(header)
    found = {
        part: next((name for name in likely if name in names), "")
        for part, likely in _GUESSES.items()
    }
    return {part: name for part, name in found.items() if name}
