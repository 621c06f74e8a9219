"""Hard budgets and slots hold on the running product, whatever comes at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest

from scripts.proofs import budget as budgets
from tests.endtoend.asking import Asker, Town
from tests.rig.driver import Load, Outcome, Shape, run_burst
from tests.rig.stage import NANO, open_stage

pytestmark = pytest.mark.process

SLOW = "fault-slow-first-600"


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    directory = tmp_path_factory.mktemp("limits")
    with open_stage(directory, arguments=["--no-worker"]) as scene:
        scene.provider("up", models=["gpt-test", SLOW, "gpt-dear"])
        scene.price("gpt-dear", per_request_usd="0.05")
        scene.price("*", input_usd="3", output_usd="15")
        scene.key("slots", concurrency=5)
        scene.key("slow-down", rpm=6)
        scene.key("tokens", tpm=10_000)
        scene.key("told", rpm=60, budget_nano=NANO)
        scene.key("saver", budget_nano=NANO // 4, window="day")
        scene.open()
        yield scene


def burst(town: Town, key: str, shape: Shape, count: int) -> list[Outcome]:
    load = Load(town.product.url, town.keys[key], [shape])
    return asyncio.run(run_burst(load, count=count))


def served(outcomes: list[Outcome]) -> int:
    return [each.kind for each in outcomes].count("answered")


def test_exactly_what_a_budget_pays_for_is_served_in_parallel() -> None:
    figures = budgets.run(11, short=True)
    assert all(figure.ok for figure in figures), figures


def test_slots_are_exact_and_come_back(town: Town) -> None:
    for _ in range(2):
        outcomes = burst(town, "slots", Shape(SLOW), 20)
        assert served(outcomes) == 5
        refused = [each for each in outcomes if each.status == 429]
        assert len(refused) == 15
        assert {each.error for each in refused} == {"rate_limit_exceeded"}
        assert all(each.retry_after for each in refused)


def test_slots_of_clients_that_left_come_back(town: Town) -> None:
    leaving = Shape("gpt-test", stream=True, leave_after_chunks=1)
    burst(town, "slots", leaving, 5)
    deadline = time.monotonic() + 3
    while served(burst(town, "slots", Shape("gpt-test"), 5)) < 5:
        assert time.monotonic() < deadline


def test_requests_per_minute_are_counted_exactly(town: Town) -> None:
    outcomes = burst(town, "slow-down", Shape("gpt-test"), 30)
    assert served(outcomes) == 6
    waits = [int(each.retry_after) for each in outcomes if each.status == 429]
    assert len(waits) == 24
    assert all(1 <= wait <= 60 for wait in waits)


def test_tokens_per_minute_count_what_was_asked_for(town: Town) -> None:
    # Slow answers: a settled one gives back what it did not use.
    outcomes = burst(town, "tokens", Shape(SLOW, max_tokens=2_000), 10)
    assert 1 <= served(outcomes) <= 5


def test_budget_survives_a_restart(town: Town) -> None:
    asker = Asker(town, "saver")
    assert [asker.ask("gpt-dear").status for _ in range(3)] == [200] * 3
    town.product.restart()
    statuses = [asker.ask("gpt-dear").status for _ in range(4)]
    assert statuses == [200, 200, 429, 429]


def test_what_is_left_of_a_limit_is_told_in_a_header(town: Town) -> None:
    told = Asker(town, "told").ask("gpt-test").headers["x-pool-limits"]
    requests, budget = (part.strip().split(";") for part in told.split(","))
    assert requests[:2] == ["requests", "limit=60"]
    assert requests[2] in ("remaining=59", "remaining=58")
    assert budget[:3] == ["budget-nano-usd", "of=key", f"limit={NANO}"]
    assert 0 < int(budget[3].removeprefix("remaining=")) < NANO
