"""Bound the length of an answer.

Source: reference wire 2.10, 2.12, P61, P68.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec.structs import replace

from providers.formats.base import Target
from providers.formats.capabilities import Capabilities
from providers.formats.neutral.fit.losses import Losses
from providers.formats.neutral.types import Request, Thinking

_REFUSABLE: Final = frozenset({"max_output_tokens", "maxOutputTokens", "num_predict"})


def fit_limits(
    request: Request, target: Target, caps: Capabilities, losses: Losses
) -> Request:
    """Fill in, raise and clamp the length of the answer.

    Units:   tokens; reasoning counts into the length, so its budget must be below.
    """
    field = request.max_output_field or "max_tokens"
    asked = request.max_output
    if asked is not None and asked <= 0:
        asked = None
    if _REFUSABLE & {caps.max_tokens_field} & {*caps.refuses, *target.drop}:
        if asked is not None:
            losses.add(field)
        return _with(request, None, request.thinking)
    ceiling = _ceiling(target, caps)
    wanted = _filled(asked, request.thinking, target, caps)
    if wanted is not None:
        bounded = max(wanted, caps.min_output)
        bounded = min(bounded, ceiling) if ceiling is not None else bounded
        if asked is not None and bounded != asked:
            losses.add(field, "clamp")
        wanted = bounded
    thinking = request.thinking
    if wanted is not None and caps.budget_in_output:
        raised, thinking = _above_budget(wanted, ceiling, thinking, caps)
        if asked is not None and raised > wanted:
            losses.add(field, "clamp")
        if thinking != request.thinking:
            losses.add("thinking", "clamp")
        wanted = raised
    return _with(request, wanted, thinking)


def _ceiling(target: Target, caps: Capabilities) -> int | None:
    known = [each for each in (target.max_output_tokens, caps.max_output) if each]
    return min(known) if known else None


def _filled(
    asked: int | None, thinking: Thinking | None, target: Target, caps: Capabilities
) -> int | None:
    """Return what to ask for where a dialect cannot go without."""
    if asked is not None or not caps.needs_max_output:
        return asked
    if target.max_output_tokens:
        return target.max_output_tokens
    budget = _budget_of(thinking)
    return caps.default_max_output + budget


def _above_budget(
    wanted: int, ceiling: int | None, thinking: Thinking | None, caps: Capabilities
) -> tuple[int, Thinking | None]:
    """Raise the length above the budget, or shrink the budget below the length."""
    budget = _budget_of(thinking)
    if thinking is None or not budget or wanted > budget:
        return wanted, thinking
    raised = budget + wanted
    if ceiling is None or raised <= ceiling:
        return raised, thinking
    room = min(wanted, max(ceiling // 4, 1))
    shrunk = ceiling - room
    if shrunk < caps.min_budget:
        return wanted, Thinking(mode="off") if caps.thinking_off else None
    return ceiling, replace(thinking, budget=min(shrunk, budget))


def _budget_of(thinking: Thinking | None) -> int:
    if thinking is None or thinking.mode != "budget":
        return 0
    return thinking.budget or 0


def _with(
    request: Request, max_output: int | None, thinking: Thinking | None
) -> Request:
    changes: dict[str, Any] = {}
    if max_output != request.max_output:
        changes["max_output"] = max_output
    if thinking != request.thinking:
        changes["thinking"] = thinking
    return replace(request, **changes) if changes else request
