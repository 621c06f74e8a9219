"""Every fault with everybody who may be left: outcome, attempts, cooldown, error."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.providers.failover.expected import CELLS, expected
from tests.providers.failover.jumping import run_jumping
from tests.providers.failover.table import Cell, Observed
from tests.providers.failover.trial import try_all

AHEAD = "who was looked up ahead is asked although the failure condemned it too"
AWAITED: dict[str, str] = {
    r"(refused|DNS|TLS)-other_(key|account|model)-stream": AHEAD,
    r"(401|402|403|429_quota)-other_model-stream": AHEAD,
    r"429-none-(whole|stream)": "the wait told is not yet that of the cooldown",
}
"""What is still to be mended, by the names of cells."""


def _each() -> list[Any]:
    return [pytest.param(cell, id=cell.id, marks=_marks(cell)) for cell in CELLS]


def _marks(cell: Cell) -> list[pytest.MarkDecorator]:
    reasons = [told for name, told in AWAITED.items() if re.fullmatch(name, cell.id)]
    return [pytest.mark.xfail(reason=reason, strict=True) for reason in reasons]


@pytest.fixture(scope="module")
def observed() -> dict[str, Observed]:
    """Try the whole table once, with one server a vendor."""
    return run_jumping(try_all(CELLS))


@pytest.mark.parametrize("cell", _each())
def test_fault_is_met_as_the_table_says(
    cell: Cell, observed: dict[str, Observed]
) -> None:
    assert observed[cell.id].outcome == expected(cell)


def test_no_call_fails_that_somebody_could_have_served(
    observed: dict[str, Observed],
) -> None:
    failed = [
        cell.id
        for cell in CELLS
        if observed[cell.id].could_serve
        and not observed[cell.id].outcome.served_by
        and not (cell.is_stream and cell.fault.is_midway)
    ]
    assert not failed


def test_the_table_knows_who_could_have_served(observed: dict[str, Observed]) -> None:
    wrong = [
        cell.id
        for cell in CELLS
        if (cell.left in cell.fault.helped_by) != observed[cell.id].could_serve
    ]
    assert not wrong


def test_no_broken_answer_looks_clean(observed: dict[str, Observed]) -> None:
    served = [each.outcome for each in observed.values() if each.outcome.served_by]
    assert served
    assert not [outcome for outcome in served if outcome.broken]
