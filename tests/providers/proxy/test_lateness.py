"""The worst stall is remembered for a while, then forgotten."""

from __future__ import annotations

import asyncio
import time

from poolsite.clock import ManualClock, SystemClock
from providers.proxy.lateness import Lateness


def test_worst_stall_is_kept_for_one_window_and_forgotten_after_two() -> None:
    clock = ManualClock()
    lateness = Lateness(clock)
    lateness.note(0.03, 0.5)
    lateness.note(0.01, 0.0)
    assert lateness.worst_s == lateness.worst_own_s == 0.03
    clock.advance(11)
    lateness.note(0.002, 0.001)
    assert lateness.worst_s == 0.03
    clock.advance(10)
    assert (lateness.worst_s, lateness.worst_own_s) == (0.002, 0.001)
    clock.advance(60)
    assert (lateness.worst_s, lateness.worst_own_s) == (0.0, 0.0)


async def test_blocking_the_loop_is_seen_and_told_from_waiting() -> None:
    lateness = Lateness(SystemClock())
    watching = asyncio.create_task(lateness.run())
    await asyncio.sleep(0.03)
    time.sleep(0.06)  # noqa: ASYNC251 - somebody else has the processor
    await asyncio.sleep(0.03)
    assert lateness.worst_s > 0.04
    assert lateness.worst_own_s < 0.04
    used = time.process_time()
    while time.process_time() - used < 0.06:
        pass
    await asyncio.sleep(0.03)
    watching.cancel()
    assert lateness.worst_own_s > 0.04
