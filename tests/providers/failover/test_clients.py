"""A client of any dialect meets the fate of the table, told in its own words."""

from __future__ import annotations

import pytest

from tests.providers.failover.clients import CROSSINGS, Crossing, Fate, fate
from tests.providers.failover.clients import try_crossings as try_all
from tests.providers.failover.jumping import run_jumping


@pytest.fixture(scope="module")
def observed() -> dict[str, Fate]:
    """Try every crossing once, with one server a vendor."""
    return run_jumping(try_all(CROSSINGS))


@pytest.mark.parametrize("crossing", CROSSINGS, ids=lambda crossing: crossing.id)
def test_client_of_another_dialect_meets_the_same_fate(
    crossing: Crossing, observed: dict[str, Fate]
) -> None:
    assert observed[crossing.id] == fate(crossing)
