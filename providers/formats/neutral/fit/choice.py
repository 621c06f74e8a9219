"""Bound what a model may call, with the means an upstream has.

Source: reference wire 2.4, P9, P38, P47, T44 to T46, T52.
"""

from __future__ import annotations

from msgspec.structs import replace

from providers.formats.capabilities import Capabilities
from providers.formats.neutral.fit.losses import Losses
from providers.formats.neutral.types import Tool, ToolCall, ToolChoice, Turn

_FIELD = "tool_choice"
Offer = tuple[tuple[Tool, ...], ToolChoice | None]


def fit_choice(
    tools: tuple[Tool, ...],
    choice: ToolChoice | None,
    caps: Capabilities,
    losses: Losses,
    *,
    needs_tools: bool,
) -> Offer:
    """Return the tools to offer and the choice among them, in the client's names.

    Shapes:  ``needs_tools`` = the history has calls and the upstream insists on tools.
    """
    if choice is None or not tools:
        return tools, None
    if choice.mode == "none":
        return _none(tools, choice, caps, losses, needs_tools=needs_tools)
    choice = _parallel(choice, caps, losses)
    if choice.mode == "subset" and not caps.allowed_tools:
        tools, choice = _filtered(tools, choice)
    if choice.mode == "one" and not caps.tool_choice_named:
        tools, choice = _filtered(tools, replace(choice, is_required=True))
    if choice.mode in ("any", "one") and not _can_force(choice, caps):
        losses.add(_FIELD, "clamp", choice.mode)
        choice = ToolChoice(parallel=choice.parallel)
    if not caps.tool_choice and choice.mode == "auto":
        return tools, None
    return tools, choice if tools else None


def downgraded(
    choice: ToolChoice | None, caps: Capabilities, losses: Losses, *, thinks: bool
) -> ToolChoice | None:
    """Let a model that reasons choose for itself where it cannot be forced."""
    if choice is None or not thinks or caps.forced_tool_with_thinking:
        return choice
    is_forced = choice.mode in ("any", "one") or (
        choice.mode == "subset" and choice.is_required
    )
    if not is_forced:
        return choice
    losses.add(_FIELD, "clamp", choice.mode)
    if choice.mode == "subset":
        return replace(choice, is_required=False)
    return ToolChoice(parallel=choice.parallel)


def has_calls(turns: tuple[Turn, ...]) -> bool:
    """Tell whether a history has calls."""
    return any(isinstance(part, ToolCall) for turn in turns for part in turn.parts)


def _none(
    tools: tuple[Tool, ...],
    choice: ToolChoice,
    caps: Capabilities,
    losses: Losses,
    *,
    needs_tools: bool,
) -> Offer:
    """Offer nothing where ``none`` has no word, unless tools must be there."""
    if caps.tool_choice and caps.tool_choice_none:
        return tools, ToolChoice(mode="none")
    if needs_tools:
        losses.add(_FIELD)
        return tools, None
    return (), None


def _parallel(choice: ToolChoice, caps: Capabilities, losses: Losses) -> ToolChoice:
    if choice.parallel is None or caps.parallel_tool_calls:
        return choice
    if choice.parallel is False:
        losses.add("parallel_tool_calls")
    return replace(choice, parallel=None)


def _filtered(
    tools: tuple[Tool, ...], choice: ToolChoice
) -> tuple[tuple[Tool, ...], ToolChoice]:
    """Offer only what may be called."""
    allowed = set(choice.names)
    kept = tuple(tool for tool in tools if tool.name in allowed or tool.type in allowed)
    mode = "any" if choice.is_required else "auto"
    if mode == "any":
        return kept, ToolChoice(mode="any", parallel=choice.parallel)
    return kept, ToolChoice(mode="auto", parallel=choice.parallel)


def _can_force(choice: ToolChoice, caps: Capabilities) -> bool:
    if not caps.tool_choice:
        return False
    return caps.tool_choice_any if choice.mode == "any" else caps.tool_choice_named
