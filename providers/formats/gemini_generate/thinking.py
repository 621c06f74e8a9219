"""Word how much a Gemini model may think: a budget for 2.5, a level since 3."""

from __future__ import annotations

from typing import Any, Final

from providers.formats.capabilities import Capabilities
from providers.formats.neutral.types import EFFORTS, Loss, Thinking

_BUDGETS: Final = {
    "none": 0,
    "minimal": 512,
    "low": 2048,
    "medium": 8192,
    "high": 24576,
    "xhigh": 32768,
    "max": 32768,
}
_LEVEL_FROM: Final = (
    (1024, "minimal"),
    (4096, "low"),
    (12_000, "medium"),
    (24_576, "high"),
)
_BY_BUDGET: Final = frozenset({"budget", "adaptive"})


def thinking_config(
    thinking: Thinking, caps: Capabilities
) -> tuple[dict[str, Any], list[Loss]]:
    """Return the ``thinkingConfig`` of a request.

    Shapes:  empty = the model is left to itself. A budget and a level never stand
             together. Words and budgets a model does not know were fitted before; what
             still differs takes the nearest.
    Units:   the budget in tokens; -1 leaves it to the model.
    Source:  reference wire 2.12.
    """
    if caps.thinking == "none":
        losses = (
            [] if thinking.mode in ("off", "adaptive") else [Loss(field="thinking")]
        )
        return {}, losses
    by_budget = caps.thinking in _BY_BUDGET
    out = _budget(thinking, caps) if by_budget else _level(thinking, caps)
    if thinking.show == "none":
        out["includeThoughts"] = False
    elif thinking.show:
        out["includeThoughts"] = True
    return out, []


def _budget(thinking: Thinking, caps: Capabilities) -> dict[str, Any]:
    if thinking.mode == "adaptive":
        return {"thinkingBudget": -1}
    if thinking.mode == "off":
        return {"thinkingBudget": 0 if caps.thinking_off else caps.min_budget}
    budget = thinking.budget
    if thinking.mode == "effort" or budget is None:
        effort = thinking.effort or "medium"
        budget = caps.budgets.get(effort, _BUDGETS.get(effort, _BUDGETS["medium"]))
        budget = min(budget, caps.max_budget)
    return {"thinkingBudget": budget}


def _level(thinking: Thinking, caps: Capabilities) -> dict[str, Any]:
    if thinking.mode == "adaptive":
        return {"thinkingLevel": thinking.effort.upper()} if thinking.effort else {}
    effort = thinking.effort
    if thinking.mode == "off":
        effort = "none"
    elif thinking.mode == "budget":
        effort = _nearest(thinking.budget or 0)
    return {"thinkingLevel": _known(effort, caps.effort_levels).upper()}


def _nearest(budget: int) -> str:
    for most, effort in _LEVEL_FROM:
        if budget <= most:
            return effort
    return "xhigh"


def _known(effort: str, levels: tuple[str, ...]) -> str:
    """Return the highest level a model knows that is not above the wanted one."""
    if effort in levels or not levels:
        return effort
    order: tuple[str, ...] = EFFORTS
    wanted = order.index(effort) if effort in order else order.index("medium")
    below = [each for each in levels if each in order and order.index(each) <= wanted]
    return below[-1] if below else levels[0]
