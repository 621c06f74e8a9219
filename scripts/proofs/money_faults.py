"""Faults under load that must not cost a nano-dollar: for the money proof and tests.

Each trial loads the running product, lets something go wrong, and compares clients,
upstream and ledger call by call; then the key's budget with the ledger's sum.
"""

from __future__ import annotations

import asyncio
import random
import re
import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

from scripts.proofs.figure import Figure, at_most, equal
from scripts.proofs.setting import Stage, set_stage
from tests.rig.driver import Load, Outcome, Shape, run_closed
from tests.rig.ledger_check import Report
from tests.rig.plain import call

QUICK = "gpt-test"
STREAM = "fault-len-200-500+gap-4"
CUTS = (
    "fault-every-2+len-200-400+gap-1+cut-rst-chunk-20",
    "fault-every-2+len-200-400+gap-1+cut-fin-chunk-60",
    "fault-every-2+len-200-400+gap-1+cut-rst-bytes-3000",
    "fault-every-2+len-200-400+gap-1+error-mid-20",
)
BUDGET = 10**15
CLIENTS = 12
DOWN_S, SHORT_DOWN_S = 60.0, 3.0
KILLS, SHORT_KILLS = 20, 2
CALLS, SHORT_CALLS = 1_500, 80

Fault = Callable[[Stage], Awaitable[None]]


@dataclass
class Trial:
    """One fault, the mix it meets and how much of it.

    Shapes:  without a fault, ``calls`` end the load; with one, its end does.
    """

    name: str
    mix: list[Shape]
    calls: int = 1_000_000
    fault: Fault | None = None


def run_faults(seed: int, *, short: bool) -> list[Figure]:
    """Try every fault on one installation."""
    with open_town(seed) as scene:
        return [
            figure
            for trial in trials(seed, short=short)
            for figure in figures(scene, trial, seed)
        ]


@contextmanager
def open_town(seed: int) -> Iterator[Stage]:
    """Set the product up with a provider for each way to fail."""
    with set_stage(seed=seed, arguments=["--no-worker"]) as scene:
        scene.provider("up", models=[QUICK, STREAM])
        for number, model in enumerate(CUTS):
            scene.provider(f"cut-{number}", models=[model])
        scene.price("*", input_usd="3", output_usd="15")
        scene.key("load", concurrency=1_000, budget_nano=BUDGET)
        scene.open()
        yield scene


def trials(seed: int, *, short: bool) -> list[Trial]:
    """List the faults in their short or long form."""
    pick = random.Random(seed)
    calls = SHORT_CALLS if short else CALLS
    leaving = [
        Shape(STREAM, stream=True, leave_after_chunks=pick.randint(1, 200))
        for _ in range(40)
    ]
    plain = [Shape(QUICK, weight=2), Shape(STREAM, stream=True, weight=2)]
    kills = SHORT_KILLS if short else KILLS
    down_s = SHORT_DOWN_S if short else DOWN_S

    async def kill_keeper(scene: Stage) -> None:
        for _ in range(kills):
            await asyncio.sleep(pick.uniform(0.3, 1.5))
            await asyncio.to_thread(scene.product.kill, "keeper")

    async def lock_database(scene: Stage) -> None:
        await asyncio.to_thread(_lock, scene, down_s)

    return [
        Trial(f"{calls:,} streams, clients leave at any point", leaving, calls),
        Trial(
            f"{calls:,} streams, every second cut or broken",
            [Shape(model, stream=True) for model in CUTS],
            calls,
        ),
        Trial(
            f"{kills} kills of the process that ships",
            [*plain, *leaving[:2]],
            fault=kill_keeper,
        ),
        Trial(f"database away for {down_s:g} s", plain, fault=lock_database),
    ]


def figures(scene: Stage, trial: Trial, seed: int) -> list[Figure]:
    """Carry one trial out; say what was lost, doubled, and off."""
    load = Load(
        scene.product.url, scene.keys["load"], trial.mix, seed=seed, timeout_s=30
    )
    asyncio.run(_together(scene, load, trial))
    report = scene.check(load.outcomes, only=True, within_s=30, quiet_s=1.0)
    what, error = trial.name, report.estimate_error or 0.0
    return [
        Figure(what, report.line(), "see below", True),
        equal(f"{what}: lost", len(report.lost), 0),
        equal(f"{what}: double", len(report.double), 0),
        equal(f"{what}: difference, nano-USD", _difference(scene, report), 0),
        at_most(f"{what}: error of all estimates, %", round(abs(error) * 100, 2), 15),
        equal(f"{what}: answers refused or lost by us", _ours(load.outcomes), 0),
    ]


async def _together(scene: Stage, load: Load, trial: Trial) -> None:
    work = asyncio.create_task(
        run_closed(load, clients=CLIENTS, count=trial.calls, seconds=900)
    )
    if trial.fault is not None:
        await asyncio.sleep(0.5)
        await trial.fault(scene)
        await asyncio.sleep(1.0)
        load.sent = trial.calls
    await work


def _lock(scene: Stage, seconds: float) -> None:
    """Keep every other writer out of the database file."""
    with closing(
        sqlite3.connect(scene.product.database, timeout=30, isolation_level=None)
    ) as database:
        database.execute("begin immediate")
        time.sleep(seconds)
        database.execute("rollback")


def _difference(scene: Stage, report: Report) -> int:
    """Add the calls whose cost is off to what the budget holds beside the ledger."""
    spent = scene.product.wait_settled(quiet_s=1.0).cost_nano_usd
    body = {"model": QUICK, "messages": [{"role": "user", "content": "Hello."}]}
    reply = call(scene.product.url + "/chat/completions", scene.keys["load"], body)
    found = re.search(
        r"budget-nano-usd;.*remaining=(\d+)", reply.headers["x-pool-limits"]
    )
    assert found is not None
    ledger = scene.product.wait_settled(quiet_s=1.0).only({reply.request_id})
    own = ledger.attempts[0].reservation_nano_usd or 0
    return report.cost_diff_nano_usd + abs(BUDGET - int(found[1]) - spent - own)


def _ours(outcomes: list[Outcome]) -> int:
    """Count what no fault of a vendor or a client explains."""
    return sum(
        each.status != 200 and not each.left
        for each in outcomes
        if each.model not in CUTS
    )
