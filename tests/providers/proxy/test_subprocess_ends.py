"""Programs in the place of upstreams: nothing outlives its call."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from providers.proxy import subprocesses
from providers.snapshot.types import Timeouts
from tests.providers.proxy.pool import Pool, chat
from tests.providers.proxy.standin import (
    add,
    bury,
    claude,
    dead,
    family,
    is_alive,
    read_ids,
    wait_for_family,
    write_program,
)

HANGS = "import time\ntime.sleep(600)"


@pytest.fixture
def pool(program_pool: Pool) -> Pool:
    """Take the pool that may run programs."""
    return program_pool


async def test_one_that_hangs_is_killed_at_its_time_limit_with_all_it_started(
    pool: Pool, tmp_path: Path
) -> None:
    executable = write_program(tmp_path, "claude", family(tmp_path))
    add(pool, executable, timeouts=Timeouts(total_s=1.5))
    began = time.monotonic()
    answer = await pool.call()
    assert answer.status == 504
    assert time.monotonic() - began < 4
    pids = wait_for_family(tmp_path)
    try:
        await dead(pids)
    finally:
        bury(pids)
    assert [attempt.outcome for attempt in pool.attempts] == ["timeout"]


async def test_after_a_time_out_another_provider_is_asked(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocesses, "TIMEOUT_S", 0.5)
    add(pool, write_program(tmp_path / "a", "claude", HANGS), priority=90)
    add(pool, claude(tmp_path / "b"), priority=10)
    assert (await pool.call()).status == 200
    assert pool.decisions[0] == "next_provider"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_leaves_ends_everything_at_once(
    pool: Pool, tmp_path: Path, stream: bool
) -> None:
    add(pool, write_program(tmp_path, "claude", family(tmp_path)))
    client, task = pool.start(chat(stream=stream))
    pids = await asyncio.to_thread(wait_for_family, tmp_path)
    try:
        assert all(map(is_alive, pids))
        client.left.set()
        assert await dead(pids) < 1.0
    finally:
        bury(pids)
    async with asyncio.timeout(5):
        await task
    assert pool.request.request.outcome == "client_closed"
    assert len(pool.attempts) == 1


async def test_the_end_of_the_pool_ends_everything(pool: Pool, tmp_path: Path) -> None:
    add(pool, write_program(tmp_path, "claude", family(tmp_path)))
    _, task = pool.start(chat())
    pids = await asyncio.to_thread(wait_for_family, tmp_path)
    try:
        pool.pipeline.cut()
        assert await dead(pids) < 1.0
    finally:
        bury(pids)
    async with asyncio.timeout(5):
        await task
    assert pool.request.request.status == 503


async def test_closing_kills_what_nobody_waits_for(pool: Pool, tmp_path: Path) -> None:
    add(pool, write_program(tmp_path, "claude", family(tmp_path)))
    client, task = pool.start(chat())
    pids = await asyncio.to_thread(wait_for_family, tmp_path)
    try:
        await pool.pipeline.finish(0.1)
        await dead(pids)
    finally:
        bury(pids)
    async with asyncio.timeout(5):
        await task
    assert client.answer.status in (502, 503)


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
async def test_a_flood_is_cut_off(
    pool: Pool, tmp_path: Path, stream: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocesses, "OUTPUT_LIMIT_BYTES", 100_000)
    code = f"import sys\nwhile True:\n    sys.{stream}.write('x' * 10000)"
    add(pool, write_program(tmp_path, "claude", code))
    answer = await pool.call()
    assert answer.status == 502
    assert "too large" in pool.attempts[0].reason


async def test_a_child_that_holds_the_pipe_does_not_hold_the_answer(
    pool: Pool, tmp_path: Path
) -> None:
    place = str(tmp_path / "child")
    left = f"""
import os, time
if os.fork() == 0:
    open({place!r}, "w").write(str(os.getpid()))
    time.sleep(600)
while not os.path.exists({place!r}):
    time.sleep(0.01)
"""
    add(pool, claude(tmp_path, before=left))
    began = time.monotonic()
    assert (await pool.call()).status == 200
    assert time.monotonic() - began < 5
    await dead(read_ids(Path(place)))


async def test_a_crowd_waits_for_its_turn(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool.pipeline._sender._programs, "_slots", asyncio.Semaphore(1))
    place = tmp_path / "running"
    alone = f"""
import os, time
fd = os.open({str(place)!r}, os.O_CREAT | os.O_EXCL)
time.sleep(0.05)
os.remove({str(place)!r})
"""
    add(pool, claude(tmp_path, before=alone))
    calls = [pool.start(chat()) for _ in range(4)]
    await asyncio.gather(*(task for _, task in calls))
    assert [client.answer.status for client, _ in calls] == [200] * 4
