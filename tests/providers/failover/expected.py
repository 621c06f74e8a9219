"""What shall come of each call: the few rules that turn a fault into its twelve cells."""

from __future__ import annotations

from typing import Final

from tests.providers.failover.faults import FAULTS
from tests.providers.failover.table import (
    FIRST,
    LEFT,
    Cell,
    Cooling,
    Left,
    Outcome,
    Patience,
)

CELLS: Final = tuple(
    Cell(fault, left, is_stream)
    for fault in FAULTS
    for left in LEFT
    for is_stream in (False, True)
)

_SAME_MODEL: Final[frozenset[Left]] = frozenset({"other key", "other account"})
_STEP: Final[dict[Left, str]] = {
    "other key": "next_credential",
    "other account": "next_credential",
    "other provider": "next_provider",
    "other model": "next_model",
    "other model elsewhere": "next_provider",
}


_COOLS_AFTER: Final = {
    "connect": 3,
    "server_error": 3,
    "timeout": 3,
    "unavailable": 5,
    "overloaded": 5,
}
"""Failures in a row after which a candidate is left alone; others are so at once."""

_TRIED_ALL_THE_SAME: Final = frozenset({"model"})
"""What is asked although it is cooling when nobody else is left: it may be over."""


def expected(cell: Cell) -> Outcome:
    """Return what a cell shall come to."""
    fault = cell.fault
    alone = _patience(cell)
    cooling = () if alone is not None else _cooling(cell)
    status, code, wait, served_by = _told(cell)
    return Outcome(
        status=status,
        code=code,
        retry_after=wait,
        served_by=served_by,
        trail=_trail(cell, fault.asked),
        cooling=cooling,
        seconds=fault.seconds if alone is None else alone.seconds,
        again=_again(cell, cooling),
    )


def _told(cell: Cell) -> tuple[int, str, str, str]:
    """Return what the client is told: status, code, wait, and by whom it is served."""
    fault = cell.fault
    if cell.is_stream and fault.is_midway:
        # The client holds a part of the answer: the error is told inside the stream.
        return 200, fault.error[1], "", ""
    if _patience(cell) is not None:
        return 200, "", "", FIRST
    if cell.left in fault.helped_by:
        return 200, "", "", cell.left
    return *fault.error, fault.retry_after, ""


def _patience(cell: Cell) -> Patience | None:
    alone = cell.fault.alone if cell.left == "none" else None
    return alone if alone is not None and (alone.is_for_all or cell.is_stream) else None


def _trail(cell: Cell, asked: int) -> tuple[tuple[str, str], ...]:
    """Return the attempts of a call whose first candidate is not cooling."""
    fault = cell.fault
    alone = _patience(cell)
    if alone is not None:
        return alone.trail
    if cell.is_stream and fault.is_midway:
        return ((FIRST, f"{fault.kind}: fail_fast"),)
    repeated = ((FIRST, f"{fault.kind}: retry_same"),) * (asked - 1)
    if cell.left in fault.helped_by:
        step = _STEP[cell.left]
        return (*repeated, (FIRST, f"{fault.kind}: {step}"), (cell.left, "served"))
    last = "fail_fast" if fault.is_final else "exhausted"
    return (*repeated, (FIRST, f"{fault.kind}: {last}"))


def _again(cell: Cell, cooling: tuple[Cooling, ...]) -> tuple[tuple[str, str], ...]:
    """Return the attempts of the same call made once more."""
    fault = cell.fault
    if cooling and cell.left in fault.helped_by:
        return ((cell.left, "served"),)
    if cooling and fault.kind not in _TRIED_ALL_THE_SAME:
        return ()
    if _patience(cell) is not None:
        return ((FIRST, "served"),)
    # The failure that opens a cooldown is not repeated.
    is_last = fault.asked + 1 >= _COOLS_AFTER.get(fault.kind, fault.asked + 2)
    return _trail(cell, 1 if is_last else fault.asked)


def _cooling(cell: Cell) -> tuple[Cooling, ...]:
    """Return what is left alone after the call; a success forgives what it disproves."""
    cools = cell.fault.cools
    if cools is None:
        return ()
    is_there_after_all = cools.subject == "model" and cell.left in _SAME_MODEL
    return () if is_there_after_all else (cools,)
