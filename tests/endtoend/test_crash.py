"""The short form of scripts/proofs/crash.py: kill -9 under load loses nothing."""

from __future__ import annotations

import pytest

from scripts.proofs import crash
from tests.rig.ledger_check import Report

pytestmark = pytest.mark.process


def assert_clean(report: Report) -> None:
    assert report.is_clean, report.findings()
    assert report.answered > 20, report.line()
    assert report.estimated > 0, "nothing was in flight at any kill"
    assert report.refused == 0, report.line()


def test_killing_the_data_process_under_load_loses_nothing() -> None:
    assert_clean(crash.kill_data(7, crash.SHORT))


def test_killing_every_process_under_load_loses_nothing() -> None:
    assert_clean(crash.kill_everything(8, crash.SHORT))
