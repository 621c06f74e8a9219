"""A hundred thousand client keys load and change without stalling an event loop."""

from __future__ import annotations

import asyncio
import re
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field

import aiohttp

from poolsite.clock import SystemClock
from providers.proxy.lateness import TICK_S as WORKER_TICK_S
from providers.proxy.lateness import WINDOW_S
from providers.snapshot.store import SnapshotStore
from scripts.proofs.figure import Figure, at_most, equal
from scripts.proofs.setting import set_stage
from tests.rig.product import Product

name = "many-keys"
MODEL = "gpt-test"
KEYS, SHORT_KEYS = 100_000, 2_000
CHANGED, SHORT_CHANGED = 2_000, 500
TICK_S = 0.001
LIMIT_MS = 20
_GAUGE = re.compile(rb"^pool_loop_late_own_seconds (\S+)$", re.MULTILINE)


@dataclass
class Stalls:
    """The longest stall of each phase, in the worker and in a follower of our own.

    A stall is what the process itself worked meanwhile: waiting for a processor that
    others use is no fault of the loop.

    Units: seconds; the worker measures in ticks of 10 ms, the follower of 1 ms.
    """

    worker: dict[str, float] = field(default_factory=dict)
    follower: dict[str, float] = field(default_factory=dict)


def run(seed: int, *, short: bool = False) -> list[Figure]:
    """Read the worker's own gauge, and follow the snapshot beside a heartbeat."""
    count, changed = (SHORT_KEYS, SHORT_CHANGED) if short else (KEYS, CHANGED)
    with set_stage(seed=seed, arguments=["--no-worker"]) as scene:
        scene.provider("up", models=[MODEL])
        scene.arrange()
        product = scene.product
        last = product.bulk("keys", count)
        ready = product.start(within_s=60)
        status = asyncio.run(_ask(product, last))
        stalls = asyncio.run(_phases(product, count, changed))
        seen = asyncio.run(_time_until_accepted(product))
    figures = [
        equal(f"the last of {count:,} keys is answered", status, 200),
        Figure("ready after start", f"{ready:.1f} s", "see below", True),
    ]
    for who, found in (("worker", stalls.worker), ("follower", stalls.follower)):
        figures += [
            at_most(f"longest stall of the {who}, {what}", ms(stall), LIMIT_MS, "ms")
            for what, stall in found.items()
        ]
    figures.append(at_most("a new key is accepted after", round(seen, 2), 2, "s"))
    return figures


def ms(seconds: float) -> float:
    """Return milliseconds with one digit."""
    return round(seconds * 1e3, 1)


async def _phases(product: Product, count: int, changed: int) -> Stalls:
    is_short = count == SHORT_KEYS
    rest_s = 0.5 if is_short else 2.0
    stalls = Stalls()
    gaps: list[float] = []
    beat = asyncio.create_task(_heartbeat(gaps))
    store = SnapshotStore(product.data_dir / "snapshot", SystemClock())

    async def phase(what: str, act: Callable[[], str] | None) -> None:
        gaps.clear()
        if act is not None:
            await asyncio.to_thread(act)
        await _wait_for(store, rest_s)
        stalls.follower[what] = max(gaps)
        worst = await asyncio.to_thread(_worst_of_worker, product)
        # A stall may have begun up to a tick before it was noticed.
        stalls.worker[what] = worst + WORKER_TICK_S if worst > TICK_S else worst

    await phase(f"loading {count:,} keys", None)
    for what, act in (
        ("one key created", lambda: product.create_key("single")),
        ("one key revoked", lambda: product.pool("key", "revoke", "single")),
        (f"{changed:,} keys changed", lambda: product.bulk("change-keys", changed)),
    ):
        # What an earlier phase did must be out of the worker's window.
        await asyncio.sleep(0 if is_short else 2 * WINDOW_S)
        await phase(what, act)
    beat.cancel()
    return stalls


def _worst_of_worker(product: Product) -> float:
    with urllib.request.urlopen(product.root + "/metrics", timeout=5) as reply:
        found = _GAUGE.search(reply.read())
    assert found is not None, "the worker does not report its lateness"
    return float(found[1])


async def _wait_for(store: SnapshotStore, rest_s: float) -> None:
    """Poll as a data worker does until something new is in force, then rest."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if await store.poll():
            break
        await asyncio.sleep(0.25)
    else:
        raise TimeoutError(f"no change arrived: {store.stats}")
    rest = time.monotonic() + rest_s
    while time.monotonic() < rest:
        await store.poll()
        await asyncio.sleep(0.25)


async def _heartbeat(gaps: list[float]) -> None:
    last, used = time.perf_counter(), time.process_time()
    while True:
        await asyncio.sleep(TICK_S)
        now, now_used = time.perf_counter(), time.process_time()
        gaps.append(min(now - last - TICK_S, now_used - used))
        last, used = now, now_used


async def _ask(product: Product, key: str) -> int:
    headers = {"authorization": f"Bearer {key}"}
    body = {"model": MODEL, "messages": [{"role": "user", "content": "Hello."}]}
    url = product.url + "/chat/completions"
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(url, json=body) as response,
    ):
        return response.status


async def _time_until_accepted(product: Product) -> float:
    key = await asyncio.to_thread(product.create_key, "late-comer")
    begun = time.monotonic()
    while time.monotonic() - begun < 10:
        if await _ask(product, key) == 200:
            break
        await asyncio.sleep(0.05)
    return time.monotonic() - begun
