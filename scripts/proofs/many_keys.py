"""A hundred thousand client keys load and change without stalling an event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import aiohttp

from poolsite.clock import SystemClock
from providers.snapshot.store import SnapshotStore
from scripts.proofs.figure import Figure, at_most, equal
from scripts.proofs.setting import set_stage
from tests.rig.product import Product

name = "many-keys"
MODEL = "gpt-test"
KEYS, SHORT_KEYS = 100_000, 5_000
CHANGED = 2_000
TICK_S = 0.001


def run(seed: int, *, short: bool = False) -> list[Figure]:
    """Follow the keeper's snapshot with the product's own store beside a heartbeat."""
    count = SHORT_KEYS if short else KEYS
    with set_stage(seed=seed) as scene:
        scene.provider("up", models=[MODEL])
        scene.arrange()
        product = scene.product
        last = product.bulk("keys", count)
        ready = product.start(within_s=60)
        status = asyncio.run(_ask(product, last))
        stalls = asyncio.run(_follow(product, count))
        seen = asyncio.run(_time_until_accepted(product))
    figures = [
        equal(f"the last of {count:,} keys is answered", status, 200),
        Figure("ready after start", f"{ready:.1f} s", "see below", True),
    ]
    figures += [
        at_most(f"longest loop stall, {what}", round(stall * 1e3, 1), 20, "ms")
        for what, stall in stalls.items()
    ]
    figures.append(at_most("a new key is accepted after", round(seen, 2), 2, "s"))
    return figures


async def _follow(product: Product, count: int) -> dict[str, float]:
    """Return the longest gap between two heartbeats in each phase. Units: seconds."""
    gaps: list[float] = []
    beat = asyncio.create_task(_heartbeat(gaps))
    store = SnapshotStore(product.data_dir / "snapshot", SystemClock())
    found: dict[str, float] = {}

    async def phase(what: str, act: Callable[[], str] | None, done: str) -> None:
        gaps.clear()
        if act is not None:
            await asyncio.to_thread(act)
        await _wait_for(store, done)
        found[what] = max(gaps)

    await phase(f"loading {count:,} keys", None, "full_loads")
    for what, act in (
        ("one key created", lambda: product.create_key("single")),
        ("one key revoked", lambda: product.pool("key", "revoke", "single")),
        (f"{CHANGED:,} keys changed", lambda: product.bulk("change-keys", CHANGED)),
    ):
        await phase(what, act, "version")
    beat.cancel()
    return found


async def _wait_for(store: SnapshotStore, what: str) -> None:
    """Poll as a data worker does until something new is in force, then rest 2 s."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if await store.poll():
            break
        await asyncio.sleep(0.25)
    else:
        raise TimeoutError(f"no change arrived: {what}: {store.stats}")
    rest = time.monotonic() + 2
    while time.monotonic() < rest:
        await store.poll()
        await asyncio.sleep(0.25)


async def _heartbeat(gaps: list[float]) -> None:
    last = time.perf_counter()
    while True:
        await asyncio.sleep(TICK_S)
        now = time.perf_counter()
        gaps.append(now - last - TICK_S)
        last = now


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
