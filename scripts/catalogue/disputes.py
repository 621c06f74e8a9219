"""Find where sources disagree on what a model costs, and say how that was settled."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from pricing.cost import PriceSpec
from pricing.feeds.kinds import kind_of
from scripts.catalogue.hand import Hand

MAKERS: Final = frozenset(
    {
        "anthropic",
        "cohere",
        "deepseek",
        "google",
        "groq",
        "hunyuan",
        "llama",
        "mimo",
        "minimax",
        "minimax-intl",
        "mistral",
        "moonshot",
        "moonshot-cn",
        "openai",
        "perplexity",
        "qwen",
        "qwen-intl",
        "stepfun",
        "stepfun-intl",
        "volcengine",
        "xai",
        "zai",
        "zhipu",
    }
)
"""Whose own prices must be right; elsewhere the order of the sources decides."""

_COLUMNS: Final = ("input", "output", "cache_read", "cache_write")
_TOLERANCE: Final = 100

RULES: Final = {
    "line": "A line kept by hand names the source and the day.",
    "overlay": (
        "The list kept by hand holds the price the product is specified with (state of"
        " 2026-08-31); a refreshed source or an own price replaces it."
    ),
    "overlay_alone": (
        "As overlay, but the other sources agree with each other: the price is kept"
        " because it is the specified one, and is the first to look at when renewing."
    ),
    "dated": (
        "genai-prices states from which day a price holds and cites the maker's page;"
        " the others lag behind it or average over the day."
    ),
    "order": "Only models.dev and LiteLLM state it: the order of the sources decides.",
}


class Dispute(msgspec.Struct):
    """Hold one column of one model that sources state more than 1 % apart.

    Units:   ``stated`` in nano-USD per million, by source, the first wins.
    Shapes:  ``rule`` is a key of RULES once settled, blank while open.
    """

    provider: str
    model: str
    column: str
    stated: dict[str, int]
    rule: str = ""
    reason: str = ""


def find(
    provider: str, model: str, prices: list[tuple[str, PriceSpec]]
) -> list[Dispute]:
    """Return the columns of a maker's own model the sources disagree on."""
    if provider not in MAKERS:
        return []
    found: list[Dispute] = []
    for column in _COLUMNS:
        stated: dict[str, int] = {}
        for source, price in prices:
            value = getattr(price, column)
            if value is not None:
                stated.setdefault(source, value)
        if not _agree(stated.values()):
            found.append(Dispute(provider, model, column, stated))
    return found


def settle(disputed: list[Dispute], hand: Hand) -> None:
    """Write down by which rule each was settled; what no rule settles stays open."""
    for dispute in disputed:
        first = next(iter(dispute.stated))
        line = hand.settlement(dispute.provider, dispute.model)
        if line is not None and dispute.column in line.price:
            dispute.rule, dispute.reason = "line", line.reason
        else:
            dispute.rule = _rule(first, dispute.stated)
            dispute.reason = RULES.get(dispute.rule, "")


def _rule(first: str, stated: dict[str, int]) -> str:
    """Return by which rule the first source counts, blank where none says so.

    A zero is no price to settle by: a source writes it also for what it does not know.
    """
    if first == "overlay":
        others = [value for source, value in stated.items() if source != first]
        is_alone = len(others) > 1 and _agree(others)
        return "overlay_alone" if is_alone else "overlay"
    if first == "genai-prices":
        return "dated"
    return "order" if stated[first] else ""


def is_same_rate(one: PriceSpec, other: PriceSpec) -> bool:
    """Tell whether two prices charge the same for plain tokens, up to 1 %."""
    for column in ("input", "output"):
        pair = (getattr(one, column), getattr(other, column))
        if None in pair or not _agree(pair):
            return False
    return True


def kind_by_id(model: str) -> str:
    """Guess a kind where no source states one."""
    return kind_of(model, ())


def _agree(values: Iterable[int]) -> bool:
    known = list(values)
    if not known:
        return True
    return (max(known) - min(known)) * _TOLERANCE <= max(known)
