"""Leave out parts only another dialect understands, and other vendors' proof.

Source: reference wire 2.2, 2.12, R7, T69 to T71.
"""

from __future__ import annotations

import re
from typing import Final

from msgspec.structs import replace

from providers.formats.base import FormatError, Target
from providers.formats.capabilities import Capabilities
from providers.formats.neutral.fit.losses import Losses
from providers.formats.neutral.fit.walk import everywhere, turn_with_parts
from providers.formats.neutral.types import (
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Request,
    ResultPart,
    Text,
    ToolCall,
    ToolResult,
    Turn,
    Unknown,
)

# A dated snapshot, a context suffix or a platform's prefix is still the same model.
_TRIMMED: Final = re.compile(
    r"\[.*\]$|@.*$|-v\d+:\d+$|:[^/]*$|-\d{8}.*$|-\d{4}-\d\d-\d\d$|-latest$|-preview.*$"
)


def fit_parts(
    request: Request, target: Target, caps: Capabilities, losses: Losses
) -> Request:
    """Leave out what this upstream could not read.

    Errors:  FormatError for a reference to something only another vendor stores.
    """
    is_native = request.dialect in caps.speaks

    def change(part: Part) -> Part | None:
        if isinstance(part, Unknown):
            return _known(part, caps, losses)
        if isinstance(part, Refusal) and not caps.refusals:
            return Text(text=part.text)
        if isinstance(part, ToolCall | ToolResult):
            if part.kind == "server" and not is_native:
                losses.add(f"messages.{part.name or 'server_tool'}")
                return None
            if isinstance(part, ToolResult):
                return _result(part, caps, losses)
        return part

    request = everywhere(request, change)
    turns = tuple(_proved(turn, target, caps, losses) for turn in request.turns)
    return replace(request, turns=turns)


def _known(part: Unknown, caps: Capabilities, losses: Losses) -> Unknown | None:
    if part.dialect in caps.speaks:
        return part
    if part.type == "item_reference":
        raise FormatError(
            "input refers to an item this model's provider does not keep; "
            "send the item itself instead.",
            code="unsupported_parameter",
            param="input",
        )
    losses.add(f"messages.{part.type}")
    return None


def _result(part: ToolResult, caps: Capabilities, losses: Losses) -> ToolResult:
    """Leave unknown parts out of a result."""
    content: list[ResultPart] = []
    for each in part.content:
        kept = _known(each, caps, losses) if isinstance(each, Unknown) else each
        if kept is not None:
            content.append(kept)
    if len(content) == len(part.content):
        return part
    return replace(part, content=tuple(content))


def _proved(turn: Turn, target: Target, caps: Capabilities, losses: Losses) -> Turn:
    """Keep the reasoning this upstream can check, and ids it can find."""
    lost = False

    def change(part: Part) -> Part | None:
        nonlocal lost
        if isinstance(part, ToolCall) and part.opaque:
            return replace(part, opaque=_valid(part.opaque, target, caps))
        if not isinstance(part, Reasoning):
            return part
        kept = _reasoning(part, target, caps)
        if kept is None:
            lost = True
            losses.add("reasoning")
        return kept

    turn = turn_with_parts(turn, change)
    # An item's id pairs with the reasoning before it: one cannot stay alone.
    return turn if caps.item_ids and not lost else _without_ids(turn, caps)


def _reasoning(part: Reasoning, target: Target, caps: Capabilities) -> Reasoning | None:
    if caps.reasoning_history == "none":
        return None
    opaque = _valid(part.opaque, target, caps)
    has_words = caps.reasoning_history == "text" and part.text != ""
    if not opaque and not has_words:
        return None
    return part if opaque == part.opaque else replace(part, opaque=opaque)


def _valid(
    opaque: tuple[Opaque, ...], target: Target, caps: Capabilities
) -> tuple[Opaque, ...]:
    """Return the proof this upstream made itself, for this model and account."""
    mine = lineage(target.model)
    return tuple(
        each
        for each in opaque
        if each.family in caps.proof_families
        and (not each.model or lineage(each.model) == mine)
        and (
            not caps.proof_bound_to_scope
            or not each.scope
            or each.scope == target.scope
        )
    )


def lineage(model: str) -> str:
    """Return the model without its date, platform prefix or context suffix."""
    name = model.lower().rsplit("/", 1)[-1]
    name = name.rsplit("anthropic.", 1)[-1]
    while (shorter := _TRIMMED.sub("", name)) != name:
        name = shorter
    return name


def _without_ids(turn: Turn, caps: Capabilities) -> Turn:
    def change(part: Part) -> Part:
        if isinstance(part, ToolCall | Reasoning) and part.item_id:
            return replace(part, item_id="")
        return part

    turn = turn_with_parts(turn, change)
    keeps_phase = "responses" in caps.speaks
    if not turn.id and (keeps_phase or not turn.phase):
        return turn
    return replace(turn, id="", phase=turn.phase if keeps_phase else "")
