"""What shall come of each call: the few rules that turn a fault into its twelve cells."""

from __future__ import annotations

from typing import Final

from tests.providers.failover.faults import FAULTS
from tests.providers.failover.table import FIRST, LEFT, Cell, Cooling, Left, Outcome

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


def expected(cell: Cell) -> Outcome:
    """Return what a cell shall come to."""
    fault = cell.fault
    cooling = _cooling(cell)
    status, code = fault.error
    if cell.is_stream and fault.is_midway:
        # The client holds a part of the answer: the error is told inside the stream.
        told = ((FIRST, f"{fault.kind}: fail_fast"),)
        return Outcome(200, code, "", "", told, cooling, fault.seconds)
    alone = fault.alone if cell.left == "none" else None
    if alone is not None and (alone.is_for_all or cell.is_stream):
        return Outcome(200, "", "", FIRST, alone.trail, (), alone.seconds)
    repeated = ((FIRST, f"{fault.kind}: retry_same"),) * (fault.asked - 1)
    if cell.left in fault.helped_by:
        step = _STEP[cell.left]
        served = (*repeated, (FIRST, f"{fault.kind}: {step}"), (cell.left, "served"))
        return Outcome(200, "", "", cell.left, served, cooling, fault.seconds)
    last = "fail_fast" if fault.is_final else "exhausted"
    trail = (*repeated, (FIRST, f"{fault.kind}: {last}"))
    wait = fault.retry_after
    return Outcome(status, code, wait, "", trail, cooling, fault.seconds)


def _cooling(cell: Cell) -> tuple[Cooling, ...]:
    """Return what is left alone after the call; a success forgives what it disproves."""
    cools = cell.fault.cools
    if cools is None:
        return ()
    is_there_after_all = cools.subject == "model" and cell.left in _SAME_MODEL
    return () if is_there_after_all else (cools,)
