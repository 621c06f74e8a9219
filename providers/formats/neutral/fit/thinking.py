"""Resolve how much a model is to reason into what it understands.

Source: reference wire 2.12, P61 to P63.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from providers.formats.capabilities import Capabilities
from providers.formats.neutral.fit.losses import Losses
from providers.formats.neutral.types import (
    EFFORTS,
    Reasoning,
    Request,
    Thinking,
    ToolCall,
)

BUDGETS: Final[dict[str, int]] = {
    "minimal": 1024,
    "low": 4096,
    "medium": 8192,
    "high": 16_384,
    "xhigh": 32_768,
    "max": 32_768,
}
"""Tokens by effort where a model has no table of its own."""

_EFFORT_UP_TO: Final = (
    (1024, "minimal"),
    (4096, "low"),
    (12_000, "medium"),
    (24_576, "high"),
)
_FIELD: Final = "reasoning_effort"
_LOOP: Final = "thinking"


def fit_thinking(request: Request, caps: Capabilities, losses: Losses) -> Request:
    """Resolve ``thinking`` to a word or a budget this model takes."""
    asked = request.thinking
    if asked is None:
        return request
    fitted = _resolved(asked, caps, losses)
    if (
        fitted is not None
        and fitted.mode != "off"
        and caps.thinking_needs_proof
        and _is_loop_without_proof(request)
    ):
        # The API wants the reasoning that led to the open call, which is not there.
        losses.add(_LOOP)
        fitted = Thinking(mode="off") if caps.thinking_off else None
    return request if fitted == asked else replace(request, thinking=fitted)


def is_thinking(request: Request) -> bool:
    """Tell whether a fitted request asks for reasoning."""
    return request.thinking is not None and request.thinking.mode != "off"


def _resolved(asked: Thinking, caps: Capabilities, losses: Losses) -> Thinking | None:
    if asked.mode == "off" or (asked.mode == "effort" and asked.effort == "none"):
        return _off(asked, caps, losses)
    if caps.thinking == "none":
        losses.add(_FIELD)
        return None
    if asked.mode == "effort" and not asked.effort:
        return _shown_only(asked, caps)
    if caps.thinking == "budget":
        return _budget(asked, caps, losses)
    word = _word(asked, caps, losses)
    if caps.thinking == "adaptive":
        return Thinking(mode="adaptive", effort=word, show=asked.show)
    if not word:
        return Thinking(mode="adaptive", show=asked.show)
    return Thinking(mode="effort", effort=word, show=asked.show)


def _off(asked: Thinking, caps: Capabilities, losses: Losses) -> Thinking | None:
    """Switch reasoning off, or as low as it goes."""
    if caps.thinking == "none":
        return None
    if caps.thinking_off:
        return Thinking(mode="off")
    losses.add(_FIELD, "clamp")
    if caps.thinking == "budget":
        return Thinking(mode="budget", budget=caps.min_budget, show=asked.show)
    lowest = _known_words(caps)[:1]
    if not lowest:
        return None
    if caps.thinking == "adaptive":
        return Thinking(mode="adaptive", effort=lowest[0], show=asked.show)
    return Thinking(mode="effort", effort=lowest[0], show=asked.show)


def _shown_only(asked: Thinking, caps: Capabilities) -> Thinking | None:
    """Fit a wish to see the reasoning that says nothing of how much."""
    if caps.thinking in ("effort", "level"):
        return asked
    if caps.thinking == "budget" and caps.dynamic_budget:
        return Thinking(mode="adaptive", show=asked.show)
    return None


def _budget(asked: Thinking, caps: Capabilities, losses: Losses) -> Thinking:
    """Return a budget in tokens."""
    if asked.mode == "adaptive" and not asked.effort and caps.dynamic_budget:
        return asked
    if asked.mode == "budget" and asked.budget is not None:
        tokens = asked.budget
    else:
        word = asked.effort if asked.effort in BUDGETS else "medium"
        if asked.effort and word != asked.effort:
            losses.add(_FIELD, "clamp")
        tokens = caps.budgets.get(word, BUDGETS[word])
    fitted = min(max(tokens, caps.min_budget), caps.max_budget)
    if asked.mode == "budget" and fitted != tokens:
        losses.add(_LOOP, "clamp")
    return Thinking(mode="budget", budget=fitted, show=asked.show)


def _word(asked: Thinking, caps: Capabilities, losses: Losses) -> str:
    """Return the nearest effort word a model knows, lower rather than higher."""
    word = asked.effort
    if asked.mode == "budget" and asked.budget is not None:
        losses.add(_LOOP, "emulate")
        word = effort_for(asked.budget)
    known = _known_words(caps)
    if not word or not known:
        return ""
    if word in known:
        return word
    losses.add(_FIELD, "clamp")
    if word not in EFFORTS:
        return ""
    place = _place(word)
    lower = [each for each in known if _place(each) <= place]
    return lower[-1] if lower else known[0]


def effort_for(budget: int) -> str:
    """Return the effort word nearest to a budget in tokens."""
    for limit, word in _EFFORT_UP_TO:
        if budget <= limit:
            return word
    return "xhigh"


def _known_words(caps: Capabilities) -> list[str]:
    """Return the words a model knows, lowest first, ``none`` aside."""
    return [each for each in caps.effort_levels if each != "none"]


def _place(word: str) -> int:
    for place, each in enumerate(EFFORTS):
        if each == word:
            return place
    return len(EFFORTS)


def _is_loop_without_proof(request: Request) -> bool:
    """Tell whether a call is open whose turn does not begin with reasoning."""
    for turn in reversed(request.turns):
        if turn.role == "assistant":
            has_calls = any(isinstance(part, ToolCall) for part in turn.parts)
            return has_calls and not isinstance(turn.parts[0], Reasoning)
        if turn.role == "user":
            return False
    return False
