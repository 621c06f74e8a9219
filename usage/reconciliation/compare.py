"""Hold a statement against the ledger, day by day and model by model: pure.

A difference is named when it is over the threshold and over the floor, in cost or in
tokens. Where the statement gives neither, requests decide; else a different count of
requests alone is only shown, for vendors count retries and refusals their own way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final

from poolsite.money import format_usd
from usage.reconciliation import names
from usage.reconciliation.ledger import Known, Ledger

TOKEN_FLOOR: Final = 1_000
"""Tokens below which a difference is not named."""

_BASIS: Final = 10_000
_PER_MILLION: Final = 1_000_000
_DAY: Final = timedelta(days=1)
Key = tuple[date, str]

ONLY_BILLED: Final = "only_billed"
ONLY_KNOWN: Final = "only_known"
REPEATED: Final = "repeated"
UNPRICED: Final = "unpriced"
NEIGHBOUR: Final = "neighbour"
PRICE: Final = "price"
CACHED: Final = "cached"
REASONING: Final = "reasoning"
MORE_CALLS: Final = "more_calls"
FEWER_CALLS: Final = "fewer_calls"
ESTIMATED: Final = "estimated"
COUNTING: Final = "counting"
UNTOLD: Final = "untold"

CAUSES: Final = {
    ONLY_BILLED: "Not in the ledger",
    ONLY_KNOWN: "Not on the statement",
    REPEATED: "A line stands twice",
    UNPRICED: "No price was known",
    NEIGHBOUR: "The day ends elsewhere",
    PRICE: "Another price",
    CACHED: "Cached tokens are counted differently",
    REASONING: "Reasoning is counted differently",
    MORE_CALLS: "Calls the ledger has not",
    FEWER_CALLS: "Calls the statement has not",
    ESTIMATED: "Usage was estimated",
    COUNTING: "Tokens are counted differently",
    UNTOLD: "No cause can be told",
}


@dataclass(frozen=True)
class Billed:
    """What a statement says of one day and model; None = it does not say.

    Units:  nano-USD; ``repeated`` and ``repeated_tokens`` are what lines add that
            stand twice.
    """

    cost: int | None = None
    input: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    output: int | None = None
    requests: int | None = None
    repeats: int = 0
    repeated: int = 0
    repeated_tokens: int = 0

    @property
    def prompt(self) -> int | None:
        """All tokens in, cached or not."""
        parts = (self.input, self.cache_read, self.cache_write)
        if self.input is None:
            return None
        return sum(part or 0 for part in parts)

    @property
    def tokens(self) -> int | None:
        """All tokens; None when a side of them is not reported."""
        if self.prompt is None or self.output is None:
            return None
        return self.prompt + self.output


@dataclass(frozen=True)
class Limits:
    """What is too small to be named.

    Units:  ``basis`` in hundredths of a percent, ``floor`` in nano-USD.
    """

    basis: int = 100
    floor: int = 10_000_000

    def is_over(self, billed: int | None, known: int, floor: int) -> bool:
        """Tell whether two numbers differ by more than may be."""
        if billed is None:
            return False
        gap = abs(billed - known)
        base = abs(billed) or abs(known)
        return gap >= floor and gap * _BASIS > base * self.basis


@dataclass
class Line:
    """One day and model on both sides; None = the side has nothing of it."""

    day: date
    model: str
    billed: Billed | None
    known: Known | None
    is_named: bool = False
    cause: str = ""
    detail: str = ""

    @property
    def gap(self) -> int:
        """Billed minus known cost; 0 where the statement gives no cost."""
        if self.billed is not None and self.billed.cost is None:
            return 0
        return (self.billed.cost or 0 if self.billed else 0) - _known(self).cost

    @property
    def token_gap(self) -> int | None:
        """Billed minus known tokens; None where the statement does not say."""
        tokens = self.billed.tokens if self.billed else 0
        return None if tokens is None else tokens - _tokens(_known(self))


@dataclass
class Outcome:
    """All lines, in the order of days and models."""

    lines: list[Line] = field(default_factory=list)

    @property
    def named(self) -> list[Line]:
        """Lines that are named, the dearest difference first."""
        found = [line for line in self.lines if line.is_named]
        return sorted(found, key=lambda line: (-abs(line.gap), line.day, line.model))


def compare(
    billed: Mapping[Key, Billed], ledger: Ledger, limits: Limits | None = None
) -> Outcome:
    """Compare both sides and name what differs.

    Shapes:  a statement without any model is compared by day.
    """
    limits = limits or Limits()
    lines = {
        key: Line(*key, billed.get(key), known)
        for key, known in _by_billed_name(billed, ledger).items()
    }
    for key, each in billed.items():
        lines.setdefault(key, Line(*key, each, None))
    has_cost = any(each.cost is not None for each in billed.values())
    has_tokens = any(each.tokens is not None for each in billed.values())
    for line in lines.values():
        line.is_named = _is_over(line, limits, has_cost, has_tokens)
    for key in sorted(lines):
        if lines[key].is_named:
            lines[key].cause, lines[key].detail = _cause(lines, key, limits)
    return Outcome([lines[key] for key in sorted(lines)])


def _by_billed_name(billed: Mapping[Key, Billed], ledger: Ledger) -> Ledger:
    """Put the ledger's sums under the names the statement uses.

    An alias that stands for several billed models in the whole is given, day by day,
    to the one that was billed on that day.
    """
    all_billed = {model for _, model in billed}
    is_by_day = all_billed == {""}
    whole = names.assign((model for _, model in ledger), all_billed)
    of_day: dict[date, set[str]] = {}
    for day, model in billed:
        of_day.setdefault(day, set()).add(model)
    found: Ledger = {}
    for (day, model), known in ledger.items():
        name = "" if is_by_day else whole.get(model)
        if name is None:
            name = names.assign([model], of_day.get(day, ())).get(model, model)
        found.setdefault((day, name), Known()).add(known)
    return found


def _is_over(line: Line, limits: Limits, has_cost: bool, has_tokens: bool) -> bool:
    known = _known(line)
    if line.billed is None:
        # Only what the statement would have told can be missing from it.
        if has_cost:
            return known.cost >= limits.floor
        return _tokens(known) >= TOKEN_FLOOR if has_tokens else known.requests > 0
    billed = line.billed
    if limits.is_over(billed.cost, known.cost, limits.floor):
        return True
    pairs = ((billed.prompt, _prompt(known)), (billed.output, known.output))
    if any(limits.is_over(theirs, ours, TOKEN_FLOOR) for theirs, ours in pairs):
        return True
    if billed.cost is not None or billed.tokens is not None:
        return False
    return limits.is_over(billed.requests, known.requests, 1)


def _cause(lines: Mapping[Key, Line], key: Key, limits: Limits) -> tuple[str, str]:
    """Say what most likely makes a line differ, with its figures."""
    line = lines[key]
    if near := _neighbour(lines, key, limits):
        return NEIGHBOUR, f"Equal together with {near.isoformat()}."
    if line.known is None:
        return ONLY_BILLED, "Made outside the pool, or with another key."
    if line.billed is None:
        guessed = line.known.estimated
        part = f"; {guessed:,} of them estimated" if guessed else ""
        return ONLY_KNOWN, (
            f"{line.known.requests:,} calls{part}. Billed to another account, or under "
            "another name."
        )
    for look in (_repeated, _unpriced, _price, _counted, _calls):
        if found := look(line.billed, line.known, limits):
            return found
    if line.known.estimated:
        return ESTIMATED, f"{line.known.estimated:,} calls were cut off."
    return UNTOLD, ""


def _repeated(billed: Billed, known: Known, limits: Limits) -> tuple[str, str] | None:
    if not billed.repeats:
        return None
    cost = None if billed.cost is None else billed.cost - billed.repeated
    if limits.is_over(cost, known.cost, limits.floor):
        return None
    tokens = None if billed.tokens is None else billed.tokens - billed.repeated_tokens
    if limits.is_over(tokens, _tokens(known), TOKEN_FLOOR):
        return None
    more = f", {format_usd(billed.repeated)}" if billed.repeated else ""
    return REPEATED, f"{billed.repeats:,} repeated{more}; equal without."


def _unpriced(billed: Billed, known: Known, limits: Limits) -> tuple[str, str] | None:
    if not known.unpriced or billed.cost is None or billed.cost <= known.cost:
        return None
    return UNPRICED, f"{known.unpriced:,} of {known.requests:,} calls are unpriced."


def _price(billed: Billed, known: Known, limits: Limits) -> tuple[str, str] | None:
    """Tokens agree and the cost does not."""
    tokens = billed.tokens
    is_same = tokens is not None and not limits.is_over(
        tokens, _tokens(known), TOKEN_FLOOR
    )
    is_other_cost = limits.is_over(billed.cost, known.cost, limits.floor)
    if not is_same or not is_other_cost or not tokens or billed.cost is None:
        return None
    if _is_cached_apart(billed, known, limits):
        return CACHED, _cached_words(billed, known)
    implied = billed.cost * _PER_MILLION // tokens
    used = known.cost * _PER_MILLION // _tokens(known) if _tokens(known) else 0
    numbers = ", ".join(f"{number}" for number in sorted(known.versions)[:5])
    version = f" (price version {numbers})" if numbers else ""
    return PRICE, (
        f"{format_usd(implied)} per million tokens billed, "
        f"{format_usd(used)} known{version}."
    )


def _counted(billed: Billed, known: Known, limits: Limits) -> tuple[str, str] | None:
    """Tokens differ though the calls are the same."""
    if billed.prompt is None or billed.output is None:
        return None
    is_other_prompt = limits.is_over(billed.prompt, _prompt(known), TOKEN_FLOOR)
    gap = billed.output - known.output
    if known.reasoning and not is_other_prompt and gap:
        rest = abs(abs(gap) - known.reasoning)
        if rest * _BASIS <= known.reasoning * limits.basis:
            return REASONING, f"{known.reasoning:,} reasoning tokens."
    cached = known.cache_read + known.cache_write
    missing = _prompt(known) - billed.prompt
    if cached and abs(abs(missing) - cached) * _BASIS <= cached * limits.basis:
        return CACHED, _cached_words(billed, known)
    if billed.requests is not None and billed.requests == known.requests:
        return COUNTING, f"{billed.requests:,} calls on both sides."
    return None


def _calls(billed: Billed, known: Known, limits: Limits) -> tuple[str, str] | None:
    """One side has more calls than the other."""
    theirs, ours = billed.requests, known.requests
    if theirs is not None and theirs != ours:
        cause = MORE_CALLS if theirs > ours else FEWER_CALLS
        return cause, f"{theirs:,} billed, {ours:,} known."
    if theirs is None and billed.tokens is not None:
        gap = billed.tokens - _tokens(known)
        if limits.is_over(billed.tokens, _tokens(known), TOKEN_FLOOR):
            return (MORE_CALLS if gap > 0 else FEWER_CALLS), f"{gap:+,} tokens."
    return None


def _neighbour(lines: Mapping[Key, Line], key: Key, limits: Limits) -> date | None:
    """Find a day beside this one that has what this one lacks."""
    line = lines[key]
    for day in (key[0] - _DAY, key[0] + _DAY):
        other = lines.get((day, key[1]))
        if other is None or not other.is_named or line.gap * other.gap >= 0:
            continue
        both = abs(line.gap + other.gap)
        largest = max(abs(line.gap), abs(other.gap))
        tokens = (line.token_gap, other.token_gap)
        if None not in tokens and tokens[0] == 0:
            continue  # another price moved nothing
        if both < limits.floor or both * _BASIS <= largest * limits.basis:
            return day
    return None


def _is_cached_apart(billed: Billed, known: Known, limits: Limits) -> bool:
    return limits.is_over(billed.cache_read, known.cache_read, TOKEN_FLOOR)


def _cached_words(billed: Billed, known: Known) -> str:
    theirs = "not told" if billed.cache_read is None else f"{billed.cache_read:,}"
    return f"Cached tokens: {theirs} billed, {known.cache_read:,} known."


def _known(line: Line) -> Known:
    return line.known or Known()


def _prompt(known: Known) -> int:
    return known.input + known.cache_read + known.cache_write


def _tokens(known: Known) -> int:
    return _prompt(known) + known.output


def totals(lines: Iterable[Line]) -> dict[str, int | None]:
    """Add both sides up; None = the statement does not say.

    Units:  nano-USD, tokens.
    """
    rows = list(lines)
    sides = [line.billed for line in rows if line.billed is not None]
    ours = [_known(line) for line in rows]

    def told(values: Iterable[int | None]) -> int | None:
        numbers = [value for value in values if value is not None]
        return sum(numbers) if numbers else None

    return {
        "billed_nano_usd": told(each.cost for each in sides),
        "billed_tokens": told(each.tokens for each in sides),
        "billed_requests": told(each.requests for each in sides),
        "known_nano_usd": sum(each.cost for each in ours),
        "known_tokens": sum(_tokens(each) for each in ours),
        "known_requests": sum(each.requests for each in ours),
        "unpriced": sum(each.unpriced for each in ours),
        "estimated": sum(each.estimated for each in ours),
        "lines": len(rows),
        "named": sum(line.is_named for line in rows),
    }
