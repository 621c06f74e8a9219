"""Put turns into the order and the shape an upstream insists on.

Source: reference wire 2.1, P1, P11 to P16, P19, T28 to T34.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from providers.formats.capabilities import Capabilities
from providers.formats.neutral.fit.losses import Losses
from providers.formats.neutral.fit.walk import turn_with_parts
from providers.formats.neutral.types import Part, Request, Text, ToolCall, Turn

BEGIN: Final = "."
EMPTY: Final = "(empty)"
GO_ON: Final = "Continue."
_BILLING: Final = "x-anthropic-billing-header:"


def fit_turns(request: Request, caps: Capabilities, losses: Losses) -> Request:
    """Fit instructions and turns."""
    turns = [
        kept
        for turn in request.turns
        if (kept := _tidied(turn, caps, losses)) is not None
    ]
    lead, turns = _hoisted(turns)
    instructions = _instructions([*request.instructions, *lead], caps, losses)
    if not caps.system_in_middle:
        turns = _folded(turns, losses)
    if caps.merges_turns:
        turns = _merged(turns)
    if caps.user_first and (not turns or turns[0].role not in ("user", "instruction")):
        turns.insert(0, Turn(role="user", parts=(Text(text=BEGIN),)))
    turns = _ended(turns, caps, losses)
    return replace(request, instructions=tuple(instructions), turns=tuple(turns))


def _hoisted(turns: list[Turn]) -> tuple[list[Turn], list[Turn]]:
    """Split the instructions before the first turn off: they lead too."""
    start = 0
    while start < len(turns) and turns[start].role == "instruction":
        start += 1
    return turns[:start], turns[start:]


def _instructions(turns: list[Turn], caps: Capabilities, losses: Losses) -> list[Turn]:
    """Fit the leading instructions; each stays a block of its own."""
    kept: list[Turn] = []
    for turn in turns:
        tidied = _without_billing(_tidied_parts(turn, caps), caps, losses)
        if tidied.parts:
            kept.append(_with_authority(tidied, caps))
    return kept


def _without_billing(turn: Turn, caps: Capabilities, losses: Losses) -> Turn:
    """Leave out a client's accounting line: it changes and defeats prefix caches."""
    if "anthropic" in caps.speaks:
        return turn

    def change(part: Part) -> Part | None:
        if isinstance(part, Text) and part.text.startswith(_BILLING):
            losses.add("system", "drop", "billing header")
            return None
        return part

    return turn_with_parts(turn, change)


def _with_authority(turn: Turn, caps: Capabilities) -> Turn:
    if turn.authority == "developer" and not caps.developer_role:
        return replace(turn, authority="system")
    return turn


def _tidied(turn: Turn, caps: Capabilities, losses: Losses) -> Turn | None:
    """Return a turn without empty text; None when nothing is left of it."""
    if turn.name and not caps.names:
        losses.add("messages.name")
        turn = replace(turn, name="")
    turn = _tidied_parts(turn, caps)
    if turn.parts:
        return _with_authority(turn, caps) if turn.role == "instruction" else turn
    # A user who said nothing still took a turn.
    return replace(turn, parts=(Text(text=EMPTY),)) if turn.role == "user" else None


def _tidied_parts(turn: Turn, caps: Capabilities) -> Turn:
    def change(part: Part) -> Part | None:
        if isinstance(part, Text):
            is_empty = not part.text if caps.blank_text else not part.text.strip()
            return None if is_empty else part
        return part

    return turn_with_parts(turn, change)


def _folded(turns: list[Turn], losses: Losses) -> list[Turn]:
    """Fold instructions in the middle into the user's turn after or before them."""
    out: list[Turn] = []
    held: list[Part] = []
    for turn in turns:
        if turn.role == "instruction":
            losses.add("messages.system", "fold")
            held += _reminders(turn)
        elif held and turn.role == "user":
            out.append(replace(turn, parts=(*turn.parts, *held)))
            held = []
        else:
            _settle(out, held)
            held = []
            out.append(turn)
    _settle(out, held)
    return out


def _settle(out: list[Turn], held: list[Part]) -> None:
    """Put what no user's turn followed behind the one before, or on its own."""
    if not held:
        return
    if out and out[-1].role == "user":
        out[-1] = replace(out[-1], parts=(*out[-1].parts, *held))
    else:
        out.append(Turn(role="user", parts=tuple(held)))


def _reminders(turn: Turn) -> list[Part]:
    return [
        replace(part, text=f"<system-reminder>\n{part.text}\n</system-reminder>")
        if isinstance(part, Text)
        else part
        for part in turn.parts
    ]


def _merged(turns: list[Turn]) -> list[Turn]:
    """Join neighbours of one role, their parts in order."""
    groups: list[list[Turn]] = []
    for turn in turns:
        first = groups[-1][0] if groups else None
        if (
            first is not None
            and turn.role == first.role != "tool"
            and turn.authority == first.authority
        ):
            groups[-1].append(turn)
        else:
            groups.append([turn])
    return [
        group[0]
        if len(group) == 1
        else replace(
            group[0], parts=tuple(part for turn in group for part in turn.parts)
        )
        for group in groups
    ]


def _ended(turns: list[Turn], caps: Capabilities, losses: Losses) -> list[Turn]:
    """Fit an answer the client began itself."""
    if not turns or turns[-1].role != "assistant":
        return turns
    last = turns[-1]
    if not caps.prefill:
        losses.add("messages.prefill", "emulate")
        return [*turns, Turn(role="user", parts=(Text(text=GO_ON),))]
    end = last.parts[-1]
    if not caps.trims_prefill or not isinstance(end, Text):
        return turns
    trimmed = end.text.rstrip()
    if trimmed == end.text or any(isinstance(part, ToolCall) for part in last.parts):
        return turns
    last = replace(last, parts=(*last.parts[:-1], replace(end, text=trimmed)))
    return [*turns[:-1], last]
