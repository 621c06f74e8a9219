"""Two workers share their limits exactly, and go on when Redis is killed.

First a burst against each kind of limit, with both workers up. Then load while Redis
is killed and started again, in turns with old data and with none, and the long way now
and then a worker too: clients, upstream and ledger are compared call by call, and what
Redis holds with the ledger's sums.
"""

from __future__ import annotations

import asyncio
import math
import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis

from scripts.proofs.figure import Figure, at_most, equal
from scripts.proofs.setting import Stage, set_stage
from tests.rig.driver import Load, Outcome, Shape, run_burst, run_closed
from tests.rig.ledger_check import Report
from tests.rig.redis_server import RedisServer
from tests.rig.stage import NANO
from usage.limits.redis import PREFIX

name = "shared"
QUICK = "gpt-test"
SLOW = "fault-slow-first-900"
DEAR = "fault-slow-first-500"
CENT = "fault-slow-first-20"
STREAM = "fault-len-100-300+gap-4"
_SPENT_WITHIN_S = 90
SHARE_USED_UP = "budget_share_used_up"


@dataclass
class Town:
    """The product with two workers, and its Redis."""

    scene: Stage
    server: RedisServer


@dataclass(frozen=True)
class Plan:
    """How often to kill Redis, how long it is away, and how long it lives.

    Shapes:  the budget that is spent to its end meanwhile pays for ``calls``; a share
             of it for a hundredth. After so many kills of Redis ``worker_every`` kills
             a worker, 0 never.
    """

    kills: int
    calls: int
    away_s: tuple[float, float]
    alive_s: tuple[float, float]
    worker_every: int = 0


LONG = Plan(10, 5_000, (0.1, 8.0), (3.0, 12.0), worker_every=3)
SHORT = Plan(2, 400, (0.2, 0.8), (0.8, 1.2))


def run(seed: int, *, short: bool = False) -> list[Figure]:
    """Burst, then kill."""
    plan = SHORT if short else LONG
    with open_town(seed, plan) as town:
        return [*exact(town, seed), *killed(town, plan, seed)]


@contextmanager
def open_town(seed: int, plan: Plan) -> Iterator[Town]:
    """Set up two workers on one Redis."""
    with (
        tempfile.TemporaryDirectory(prefix="pool-redis-") as directory,
        RedisServer(Path(directory)) as server,
        set_stage(
            seed=seed,
            arguments=["--no-worker", "--workers", "2"],
            env={"REDIS_URL": server.url},
        ) as scene,
    ):
        scene.provider("up", models=[QUICK, SLOW, DEAR, CENT, STREAM])
        scene.price(DEAR, per_request_usd="0.05")
        scene.price(CENT, per_request_usd="0.01")
        scene.price("*", input_usd="3", output_usd="15")
        scene.key("rpm", rpm=60, concurrency=1_000)
        scene.key("tpm", tpm=10_000, concurrency=1_000)
        scene.key("slots", concurrency=5)
        scene.key("money", budget_nano=NANO, concurrency=1_000)
        scene.key("load", budget_nano=1_000 * NANO, concurrency=200)
        scene.key("tight", budget_nano=plan.calls * NANO // 100, concurrency=200)
        scene.open()
        yield Town(scene, server)


def exact(town: Town, seed: int) -> list[Figure]:
    """Send more than each limit lets through, at once and to both workers."""
    scene = town.scene
    workers = len(scene.product.processes("data"))
    begun = time.monotonic()
    rpm = _served(_burst(scene, "rpm", Shape(QUICK), 200, seed))
    # What drains while the burst lasts may be taken again: one request a second.
    most = 60 + math.ceil(time.monotonic() - begun)
    # 2,000 tokens asked for and some 80 estimated: four fit into 10,000, on one
    # worker each would let four through.
    tpm = _served(_burst(scene, "tpm", Shape(SLOW, max_tokens=2_000), 40, seed))
    slots = _served(_burst(scene, "slots", Shape(SLOW), 60, seed))
    money = _served(_burst(scene, "money", Shape(DEAR), 200, seed))
    return [
        equal("data workers", workers, 2),
        Figure(
            "200 requests at once against rpm 60: served",
            str(rpm),
            f"60, and what drained meanwhile: at most {most}",
            60 <= rpm <= most,
        ),
        equal("40 x 2,000 tokens at once against tpm 10,000: served", tpm, 4),
        equal("60 slow ones at once against 5 slots: served", slots, 5),
        equal("200 x 0.05 USD at once against 1.00 USD: served", money, 20),
    ]


def killed(town: Town, plan: Plan, seed: int) -> list[Figure]:
    """Kill Redis under load and start it again; compare everything afterwards."""
    scene = town.scene
    url, keys = scene.product.url, scene.keys
    mix = [Shape(QUICK, weight=3), Shape(STREAM, stream=True, weight=2)]
    load = Load(url, keys["load"], mix, seed=seed, timeout_s=30)
    tight = Load(url, keys["tight"], [Shape(CENT)], seed=seed, timeout_s=30)
    asyncio.run(_under_load(town, [load, tight], plan, seed))
    outcomes = [*load.outcomes, *tight.outcomes]
    report = scene.check(outcomes, within_s=20, quiet_s=1.5)
    return _figures(town, plan, report, load.outcomes, tight.outcomes)


async def _under_load(town: Town, loads: list[Load], plan: Plan, seed: int) -> None:
    pick = random.Random(seed)
    clients = (8, 4)
    work = [
        asyncio.create_task(
            run_closed(load, clients=number, count=1_000_000, seconds=900)
        )
        for load, number in zip(loads, clients, strict=True)
    ]
    for number in range(plan.kills):
        await asyncio.sleep(pick.uniform(*plan.alive_s))
        await asyncio.to_thread(town.server.kill)
        await asyncio.sleep(pick.uniform(*plan.away_s))
        town.server.is_kept = number % 2 == 1
        await asyncio.to_thread(town.server.start)
        if plan.worker_every and number % plan.worker_every == 1:
            town.scene.product.processes("data")[number % 2].kill()
    # Until the budget is spent to the end, which the shares held by others allow.
    for _ in range(_SPENT_WITHIN_S):
        if _served(loads[1].outcomes) >= plan.calls:
            break
        await asyncio.sleep(1)
    await asyncio.sleep(1)
    for load in loads:
        load.sent = 1_000_000
    await asyncio.gather(*work)


def _figures(
    town: Town,
    plan: Plan,
    report: Report,
    load: list[Outcome],
    tight: list[Outcome],
) -> list[Figure]:
    what = f"{plan.kills} kills of Redis"
    alone = sum(each.error == SHARE_USED_UP for each in [*load, *tight])
    failed = [each for each in [*load, *tight] if each.kind == "failed"]
    # A killed worker ends its calls without an answer, or in the middle of one.
    others = [
        each
        for each in failed
        if each.error != SHARE_USED_UP
        and not (plan.worker_every and each.status in (0, 200))
    ]
    refused = [each for each in load if each.kind == "refused"]
    limit, spent = plan.calls * NANO // 100, _by_key(town.scene)["tight"]
    return [
        Figure(what, report.line(), "see below", True),
        equal(f"{what}: lost", len(report.lost), 0),
        equal(f"{what}: double", len(report.double), 0),
        equal(f"{what}: cost difference, nano-USD", report.cost_diff_nano_usd, 0),
        Figure(
            f"{what}: refused because a share was used up", str(alone), "counted", True
        ),
        equal(f"{what}: failed for another reason", len(others), 0),
        equal(f"{what}: refused with room in every limit", len(refused), 0),
        at_most(
            f"{what}: spent of {limit / NANO:g} USD, USD", spent / NANO, limit / NANO
        ),
        at_most(f"{what}: of it left unused, USD", (limit - spent) / NANO, 0.01),
        equal(
            f"{what}: spent in Redis beside the ledger, nano-USD",
            _difference(town),
            0,
        ),
    ]


def _difference(town: Town, *, within_s: float = 10) -> int:
    """Compare what Redis says was spent of every budget with the ledger's sum."""
    scene = town.scene
    deadline = time.monotonic() + within_s
    while True:
        ledger = scene.product.wait_settled(quiet_s=1.0)
        found = abs(_in_redis(town) - ledger.cost_nano_usd + _unlimited(scene))
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.5)


def _unlimited(scene: Stage) -> int:
    """Return what keys without a budget spent."""
    limited = {"money", "load", "tight"}
    return sum(cost for key, cost in _by_key(scene).items() if key not in limited)


def _by_key(scene: Stage) -> dict[str, int]:
    groups = scene.product.usage("--by", "key")["groups"]
    return {each["name"]: each["cost_nano_usd"] for each in groups}


def _in_redis(town: Town) -> int:
    client = redis.Redis(port=town.server.port)
    run = str(client.info("server")["run_id"])[:16]
    total = 0
    for key in client.scan_iter(match=f"{PREFIX}{run}:b:*"):
        known, unseen = client.hmget(key, "total", "x")
        total += int(known or 0) + int(unseen or 0)
    client.close()
    return total


def _burst(
    scene: Stage, key: str, shape: Shape, count: int, seed: int
) -> list[Outcome]:
    load = Load(scene.product.url, scene.keys[key], [shape], seed=seed)
    return asyncio.run(run_burst(load, count=count))


def _served(outcomes: list[Outcome]) -> int:
    return sum(each.kind == "answered" for each in outcomes)
