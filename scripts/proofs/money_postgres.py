"""PostgreSQL is killed and stays away for a minute: for the money proof.

The data plane does not need it; the journal keeps what was served until it is back.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from scripts.proofs.figure import Figure, at_least, equal
from scripts.proofs.setting import Stage, set_stage
from tests import servers
from tests.rig.driver import Load, Shape, run_closed
from tests.rig.postgres_server import PostgresServer

QUICK = "gpt-test"
STREAM = "fault-len-100-300+gap-4"
DOWN_S, SHORT_DOWN_S = 60.0, 4.0
KILLS, SHORT_KILLS = 3, 1
CLIENTS = 12


def run_postgres(seed: int, *, short: bool) -> list[Figure]:
    """Kill the server under load: shortly, and once for a minute."""
    down_s = SHORT_DOWN_S if short else DOWN_S
    kills = SHORT_KILLS if short else KILLS
    try:
        server = PostgresServer()
    except servers.MissingServerError as error:
        return [Figure("database down for a minute", str(error), "PostgreSQL", False)]
    with (
        server,
        set_stage(
            seed=seed, arguments=["--no-worker"], env={"DATABASE_URL": server.url}
        ) as scene,
    ):
        scene.provider("up", models=[QUICK, STREAM])
        scene.price("*", input_usd="3", output_usd="15")
        scene.key("load", concurrency=1_000, budget_nano=10**15)
        scene.open()
        load = Load(
            scene.product.url,
            scene.keys["load"],
            [Shape(QUICK, weight=2), Shape(STREAM, stream=True)],
            seed=seed,
            timeout_s=30,
        )
        downs = [*[0.5] * (kills - 1), down_s]
        asyncio.run(_under_load(server, load, downs))
        return _figures(scene, load, f"PostgreSQL killed {kills} x, down {down_s:g} s")


async def _under_load(server: PostgresServer, load: Load, downs: list[float]) -> None:
    work = asyncio.create_task(
        run_closed(load, clients=CLIENTS, count=1_000_000, seconds=900)
    )
    for down_s in downs:
        await asyncio.sleep(1.5)
        await asyncio.to_thread(server.kill)
        await asyncio.sleep(down_s)
        await asyncio.to_thread(server.start)
    await asyncio.sleep(1.5)
    load.sent = 1_000_000
    await work


def _figures(scene: Stage, load: Load, what: str) -> list[Figure]:
    scene.upstream.wait_idle(within_s=30)
    truth = [call for call in scene.upstream.truth() if call.path != "/v1/models"]
    cost = sum(
        scene.price_of(call.model).cost(
            call.prompt_tokens, call.cached_tokens, call.completion_tokens
        )
        for call in truth
    )
    totals = _settled(scene, len(truth))
    answered = sum(each.kind == "answered" for each in load.outcomes)
    share = round(answered / len(load.outcomes), 4)
    return [
        at_least(f"{what}: answered of {len(load.outcomes)}", share, 0.99),
        equal(f"{what}: lost", max(0, len(truth) - totals["attempts"]), 0),
        equal(f"{what}: double", max(0, totals["attempts"] - len(truth)), 0),
        equal(f"{what}: difference, nano-USD", abs(totals["cost_nano_usd"] - cost), 0),
    ]


def _settled(scene: Stage, expected: int, *, within_s: float = 30) -> dict[str, Any]:
    """Read the sums once everything has arrived, and again when nothing more came."""
    deadline = time.monotonic() + within_s
    while True:
        totals: dict[str, Any] = scene.product.usage()["totals"]
        if totals["attempts"] >= expected or time.monotonic() > deadline:
            break
        time.sleep(0.2)
    time.sleep(1.5)
    found: dict[str, Any] = scene.product.usage()["totals"]
    return found
