"""Background work goes on when the processes that do it are killed."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.rig.product import Product

pytestmark = [pytest.mark.process, pytest.mark.long]
TASK = "poolsite.survey_secrets"


def asked(product: Product, sql: str) -> list[tuple[str]]:
    with closing(sqlite3.connect(product.database, timeout=5)) as database:
        rows = database.execute(sql).fetchall()
        database.commit()
        return rows


def ran_at(product: Product, *, after: str, within_s: float) -> str:
    """Wait until the task finished later than a moment."""
    end = time.monotonic() + within_s
    sql = f"SELECT finished_at FROM poolsite_duetask WHERE task = '{TASK}'"
    while time.monotonic() < end:
        found = [row[0] for row in asked(product, sql) if row[0]]
        if found and found[0] > after:
            return found[0]
        time.sleep(0.5)
    raise AssertionError(f"{TASK} did not run within {within_s} s")


def test_pool_processes_killed_alone_are_no_end_of_background_work(
    tmp_path: Path,
) -> None:
    with Product(tmp_path) as product:
        product.start()
        before = ran_at(product, after="", within_s=90)
        product.kill("worker")
        sql = "UPDATE poolsite_duetask SET due_at = '2020-01-01', sent_at = NULL"
        asked(product, sql)
        assert ran_at(product, after=before, within_s=90) > before
