"""Nothing is lost, doubled or mispriced when processes are killed under load."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from scripts.proofs.figure import Figure, at_most, equal
from scripts.proofs.setting import Stage, set_stage
from tests.rig.driver import Load, Shape, run_burst, run_closed
from tests.rig.ledger_check import Report
from tests.rig.plain import call

name = "crash"
QUICK_JSON = "gpt-test"
SLOW_JSON = "fault-len-100-300+slow-first-200"
STREAM = "fault-len-100-600+gap-6"
BURST_STREAM = "fault-len-300"
MODELS = [QUICK_JSON, SLOW_JSON, STREAM, BURST_STREAM]
CLIENTS = 24
# More slots than clients: one that left comes back before its slot is free again.
SLOTS = 2 * CLIENTS
BUDGET = 10**14
DURABILITIES = ("group", "os", "always")


@dataclass(frozen=True)
class Plan:
    """How often to kill, and how long to load between two kills. Units: seconds."""

    data: int
    everything: int
    pause_s: tuple[float, float]


LONG = Plan(20, 10, (0.5, 4.0))
SHORT = Plan(3, 2, (0.5, 1.5))
Killer = Callable[[random.Random], Awaitable[None]]


def run(seed: int, *, short: bool = False) -> list[Figure]:
    """Kill the data process and everything, in each durability the long way."""
    plan = SHORT if short else LONG
    figures: list[Figure] = []
    for durability in DURABILITIES[:1] if short else DURABILITIES:
        data = kill_data(seed, plan, durability)
        figures += _figures(f"data process ({durability})", plan.data, data)
        rest = kill_everything(seed, plan, durability)
        figures += _figures(f"every process ({durability})", plan.everything, rest)
    return figures


def kill_data(seed: int, plan: Plan, durability: str = "group") -> Report:
    """Kill the data process at random moments; the supervisor brings it back."""
    with set_stage(seed=seed, env={"POOL_DURABILITY": durability}) as scene:

        async def killer(rng: random.Random) -> None:
            product = scene.product
            for number in range(plan.data):
                await asyncio.sleep(rng.uniform(*plan.pause_s))
                # In turns the worker alone and with the process that watches it.
                with_parent = number % 2 == 1
                await asyncio.to_thread(product.kill, "data", with_parent=with_parent)
                await asyncio.to_thread(product.wait_ready, within_s=30)

        return _under_load(scene, seed, killer)


def kill_everything(seed: int, plan: Plan, durability: str = "group") -> Report:
    """Kill every process at the same moment and start the product again."""
    with set_stage(seed=seed, env={"POOL_DURABILITY": durability}) as scene:

        async def killer(rng: random.Random) -> None:
            for _ in range(plan.everything):
                await asyncio.sleep(rng.uniform(*plan.pause_s))
                await asyncio.to_thread(scene.product.kill_everything)
                await asyncio.to_thread(scene.product.start)

        return _under_load(scene, seed, killer)


def _under_load(scene: Stage, seed: int, killer: Killer) -> Report:
    scene.provider("up", models=MODELS)
    scene.price("*", input_usd="3", output_usd="15")
    scene.key("load", concurrency=SLOTS, budget_nano=BUDGET)
    scene.open()
    load = Load(scene.product.url, scene.keys["load"], _mix(), seed=seed, timeout_s=30)

    async def together() -> None:
        work = asyncio.create_task(
            run_closed(load, clients=CLIENTS, count=1_000_000, seconds=600)
        )
        await killer(random.Random(seed))
        await asyncio.sleep(1.5)
        load.sent = 1_000_000
        await work

    asyncio.run(together())
    # Orphans of the last kill are settled within 5 s, rows visible within 2 s more.
    report = scene.check(load.outcomes, within_s=20, quiet_s=2.5)
    report.slots_left = SLOTS - asyncio.run(_free_slots(scene))
    report.reservations_left = _reserved_nano(scene)
    return report


async def _free_slots(scene: Stage) -> int:
    """Count how many slots of the key are free by filling all of them at once."""
    probe = Load(
        scene.product.url, scene.keys["load"], [Shape(SLOW_JSON)], timeout_s=10
    )
    outcomes = await run_burst(probe, count=SLOTS)
    return sum(outcome.kind == "answered" for outcome in outcomes)


def _reserved_nano(scene: Stage) -> int:
    """Return what the key's budget holds beside what the ledger says was spent.

    Zero says two things: no reservation was left behind, and the budget that decides
    about requests agrees with the ledger to the nano-dollar.
    """
    spent = scene.product.wait_settled(quiet_s=1.5).cost_nano_usd
    body = {"model": QUICK_JSON, "messages": [{"role": "user", "content": "Hello."}]}
    reply = call(scene.product.url + "/chat/completions", scene.keys["load"], body)
    found = re.search(
        r"budget-nano-usd;.*remaining=(\d+)", reply.headers["x-pool-limits"]
    )
    assert found is not None
    ledger = scene.product.wait_settled(quiet_s=1.0).only({reply.request_id})
    own = ledger.attempts[0].reservation_nano_usd or 0
    return BUDGET - int(found[1]) - spent - own


def _mix() -> list[Shape]:
    return [
        Shape(QUICK_JSON, weight=3),
        Shape(SLOW_JSON, weight=2, prompt_tokens=400),
        Shape(STREAM, stream=True, weight=4),
        Shape(STREAM, stream=True, weight=1, leave_after_chunks=60),
        Shape(BURST_STREAM, stream=True, include_usage=True, weight=2),
    ]


def _figures(what: str, kills: int, report: Report) -> list[Figure]:
    error = report.estimate_error
    return [
        Figure(f"{kills} kills of {what}", report.line(), "see below", True),
        equal(f"{what}: lost", len(report.lost), 0),
        equal(f"{what}: double", len(report.double), 0),
        equal(
            f"{what}: cost difference where usage arrived, nano-USD",
            report.cost_diff_nano_usd,
            0,
        ),
        at_most(
            f"{what}: error of all estimates together, %",
            round(abs(error or 0.0) * 100, 2),
            15,
        ),
        Figure(
            f"{what}: other findings",
            "; ".join(report.wrong[:3]) or "none",
            "none, among them no estimate above its reservation",
            not report.wrong,
        ),
        equal(f"{what}: slots left", report.slots_left, 0),
        equal(
            f"{what}: budget held beside the ledger's sum, nano-USD",
            report.reservations_left,
            0,
        ),
        equal(f"{what}: requests refused", report.refused, 0),
    ]
