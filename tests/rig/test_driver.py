"""The load client records what really happened, and stops when it should."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.rig.driver import Load, Shape, run_burst, run_closed, run_open
from tests.rig.ports import closed_port
from tests.rig.upstream import UpstreamProcess
from tests.upstream.server import FaultUpstream

KEY = "sk-good"


async def test_closed_loop_stops_at_the_count() -> None:
    async with FaultUpstream() as upstream:
        mix = [Shape("gpt-test"), Shape("gpt-test", stream=True)]
        load = Load(upstream.base_url, KEY, mix, seed=3)
        outcomes = await run_closed(load, clients=4, count=40, seconds=20)
        assert len(outcomes) == len(upstream.served) == 40
    assert {outcome.kind for outcome in outcomes} == {"answered"}


async def test_closed_loop_stops_at_the_time() -> None:
    async with FaultUpstream() as upstream:
        load = Load(upstream.base_url, KEY, [Shape("gpt-test")])
        begun = time.monotonic()
        await run_closed(load, clients=2, count=10**9, seconds=0.3)
    assert time.monotonic() - begun < 5


async def test_open_loop_does_not_wait_for_answers() -> None:
    async with FaultUpstream() as upstream:
        load = Load(upstream.base_url, KEY, [Shape("fault-slow-first-300")])
        begun = time.monotonic()
        outcomes = await run_open(load, rate=100, count=30, seconds=10)
    assert time.monotonic() - begun < 2
    assert [outcome.kind for outcome in outcomes] == ["answered"] * 30


@pytest.mark.parametrize(
    ("shape", "kind", "complete"),
    [
        (Shape("fault-len-200+cut-rst-chunk-5", stream=True), "failed", False),
        (Shape("fault-no-done", stream=True), "failed", False),
        (Shape("fault-error-mid-3", stream=True), "failed", False),
        (Shape("fault-429-retry-after-7"), "refused", True),
        (Shape("fault-503"), "failed", True),
        (
            Shape("fault-len-300+gap-5", stream=True, leave_after_chunks=4),
            "failed",
            False,
        ),
    ],
)
async def test_outcome_says_how_it_ended(
    shape: Shape, kind: str, complete: bool
) -> None:
    async with FaultUpstream() as upstream:
        load = Load(upstream.base_url, KEY, [shape])
        (outcome,) = await run_burst(load, count=1)
    assert (outcome.kind, outcome.complete) == (kind, complete)
    assert outcome.left is (shape.leave_after_chunks is not None)


async def test_dead_server_is_an_outcome_not_an_error() -> None:
    load = Load(f"http://127.0.0.1:{closed_port()}/v1", KEY, [Shape("gpt-test")])
    (outcome,) = await run_burst(load, count=1)
    assert (outcome.status, outcome.kind) == (0, "failed")


def test_upstream_process_answers_orders_and_keeps_its_truth(tmp_path: Path) -> None:
    with UpstreamProcess(tmp_path) as upstream:
        upstream.order("gpt-test", "503")
        assert upstream.calls()["orders"] == {"gpt-test": "503"}
        upstream.reset()
        upstream.wait_idle()
        assert upstream.truth() == []
