"""Kill the writing process: every acknowledged record is there."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from poolsite.clock import SystemClock
from tests.usage.journal.factories import make_intent, make_settle
from usage.journal.directory import directories, try_adopt
from usage.journal.orphans import orphans
from usage.journal.reader import JournalReader
from usage.journal.writer import Journal, JournalOptions

ROOT = Path(__file__).parents[3]

CHILD = """
import asyncio, os, sys
from pathlib import Path
from poolsite.clock import SystemClock
from tests.usage.journal.factories import make_intent, make_settle
from usage.journal.writer import Journal, JournalOptions

async def main():
    journal = Journal.open(
        Path(sys.argv[1]), clock=SystemClock(), durability=sys.argv[2],
        options=JournalOptions(segment_bytes=200_000, reserve_bytes=0),
    )
    number = 0
    while True:
        name = f"{number:06}"
        await journal.append_durable(make_intent(name, name))
        os.write(1, b"i" + name.encode())
        if number % 3:
            await journal.append_durable(make_settle(name, name))
            os.write(1, b"s" + name.encode())
        number += 1

asyncio.run(main())
"""


def run_and_kill(root, mode, delay):
    """Let a child write for a while, kill it, and return what it acknowledged."""
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(root), mode],
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    try:
        first = child.stdout.read(7)
        os.set_blocking(child.stdout.fileno(), False)
        deadline = time.monotonic() + delay
        acknowledged = first
        while time.monotonic() < deadline:
            acknowledged += child.stdout.read() or b""
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    os.set_blocking(child.stdout.fileno(), True)
    acknowledged += child.stdout.read()
    child.stdout.close()
    return {acknowledged[i : i + 7].decode() for i in range(0, len(acknowledged), 7)}


def kill_often(tmp_path, kills):
    pick = random.Random(kills)
    total = 0
    for number in range(kills):
        root = tmp_path / str(number)
        mode = ("os", "group", "always")[number % 3]
        acknowledged = run_and_kill(root, mode, pick.uniform(0.01, 0.15))
        (path,) = directories(root)
        held = try_adopt(path)
        assert held is not None
        reader = JournalReader(path, is_final=True)
        found = []
        while batch := reader.read():
            found += [each.record for each in batch]
        reader.close()
        intents = {each.attempt_id for each in found if hasattr(each, "target")}
        settled = {
            each.attempt.attempt_id
            for each in found
            if hasattr(each, "head") and hasattr(each, "request")
        }
        present = {f"i{each}" for each in intents} | {f"s{each}" for each in settled}
        assert acknowledged <= present
        crashed = {each.attempt.attempt_id for each in orphans(found)}
        assert crashed == intents - settled
        assert len(found) == len(intents) + len(settled)
        held.delete()
        total += len(acknowledged)
    return total


@pytest.mark.process
def test_killed_writer_loses_nothing_it_acknowledged(tmp_path):
    assert kill_often(tmp_path, 5) > 100


@pytest.mark.long
@pytest.mark.process
def test_writer_killed_fifty_times_loses_nothing_it_acknowledged(tmp_path):
    total = kill_often(tmp_path, 50)
    print(f"journal kill -9: 50 kills, {total} records acknowledged, 0 lost")


@pytest.mark.long
@pytest.mark.parametrize("mode", ["os", "group", "always"])
async def test_records_per_second_are_printed(tmp_path, mode):
    journal = Journal.open(
        tmp_path, clock=SystemClock(), durability=mode, options=JournalOptions()
    )
    count = 3_000 if mode == "always" else 100_000
    pairs = [make_intent(), make_settle()]
    start = time.perf_counter()
    for number in range(count):
        await journal.append_durable(pairs[number % 2])
    spent = time.perf_counter() - start
    journal.close()
    print(
        f"journal {mode}: {count / spent:,.0f} records/s, {spent / count * 1e6:.2f} us"
    )
    if mode != "always":
        assert spent / count < 50e-6
