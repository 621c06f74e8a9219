"""A revoked key stops in every worker within two seconds."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import aiohttp

from scripts.proofs.figure import Figure, at_least, at_most
from scripts.proofs.setting import set_stage
from tests.rig.product import Product

name = "revocation"
MODEL = "gpt-test"
WORKERS = 2
RATE = 80


def run(seed: int, *, short: bool = False) -> list[Figure]:
    """Revoke a key in use while every request opens a connection of its own."""
    arguments = ["--workers", str(WORKERS)]
    env = {"POOL_LIMITS": "approximate"}
    with set_stage(seed=seed, arguments=arguments, env=env) as scene:
        scene.provider("up", models=[MODEL])
        scene.key("short-lived")
        scene.open()
        key = scene.keys["short-lived"]
        workers = len(scene.product.processes("data"))
        answers = asyncio.run(_while_revoking(scene.product, key, short=short))
        revoked = _revoked_at(scene.product.database)
    # Enough to have met both workers many times over; a busy machine sends fewer.
    enough = RATE // 2
    accepted = [at for at, status in answers if status == 200]
    refused = [at for at, status in answers if status == 401]
    return [
        at_least("data workers", workers, WORKERS),
        at_least("requests accepted before the revocation", len(accepted), enough),
        at_least("requests refused after it", len(refused), enough),
        at_most(
            "last acceptance after the revocation",
            round(max(0.0, max(accepted) - revoked), 2),
            2,
            "s",
        ),
    ]


async def _while_revoking(
    product: Product, key: str, *, short: bool
) -> list[tuple[float, int]]:
    answers: list[tuple[float, int]] = []
    stop = asyncio.Event()
    load = asyncio.create_task(_hammer(product.url, key, answers, stop))
    await asyncio.sleep(1 if short else 2)
    await asyncio.to_thread(product.pool, "key", "revoke", "short-lived")
    await asyncio.sleep(2.5 if short else 4)
    stop.set()
    await load
    return answers


async def _hammer(
    url: str, key: str, answers: list[tuple[float, int]], stop: asyncio.Event
) -> None:
    """Send at a steady rate; a fresh connection each lands on any worker."""
    connector = aiohttp.TCPConnector(force_close=True, limit=0)
    headers = {"authorization": f"Bearer {key}"}
    body = {"model": MODEL, "messages": [{"role": "user", "content": "Hello."}]}
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:

        async def once() -> None:
            at = time.time()
            async with session.post(url + "/chat/completions", json=body) as response:
                await response.read()
                answers.append((at, response.status))

        async with asyncio.TaskGroup() as group:
            while not stop.is_set():
                group.create_task(once())
                await asyncio.sleep(1 / RATE)


def _revoked_at(database: Path) -> float:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        query = "select revoked_at from usage_clientkey where name = 'short-lived'"
        text: str = connection.execute(query).fetchone()[0]
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()
