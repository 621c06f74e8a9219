"""Every fault with everybody who may be left: outcome, attempts, cooldown, error."""

from __future__ import annotations

import pytest

from tests.providers.failover.expected import CELLS, expected
from tests.providers.failover.jumping import run_jumping
from tests.providers.failover.page import render
from tests.providers.failover.table import Cell, Observed
from tests.providers.failover.trial import try_all
from tests.rig.processes import ROOT


@pytest.fixture(scope="module")
def observed() -> dict[str, Observed]:
    """Try the whole table once, with one server a vendor."""
    return run_jumping(try_all(CELLS))


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.id)
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


def test_the_page_is_what_the_table_expects() -> None:
    page = (ROOT / "docs/failover.md").read_text()
    assert page == render(expected), "run python -m scripts.failover_table"
