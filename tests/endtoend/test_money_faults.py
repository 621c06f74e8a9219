"""Clients leave, streams are cut, the shipper dies, the database is away: no nano lost."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from scripts.proofs import money_faults, money_postgres
from scripts.proofs.setting import Stage

pytestmark = pytest.mark.process
SEED = 4
TRIALS = money_faults.trials(SEED, short=True)
NAMES = ["disconnects", "cut streams", "shipper killed", "database away"]


@pytest.fixture(scope="module")
def scene() -> Iterator[Stage]:
    with money_faults.open_town(SEED) as opened:
        yield opened


@pytest.mark.parametrize("trial", TRIALS, ids=NAMES)
def test_faults_under_load_change_no_sum(
    scene: Stage, trial: money_faults.Trial
) -> None:
    figures = money_faults.figures(scene, trial, SEED)
    for figure in figures:
        print(f"{figure.name}: {figure.value}")
    assert [figure for figure in figures if not figure.ok] == []


@pytest.mark.long
@pytest.mark.postgres
def test_t35_postgresql_killed_under_load_loses_nothing() -> None:
    figures = money_postgres.run_postgres(SEED, short=True)
    assert [figure for figure in figures if not figure.ok] == []
