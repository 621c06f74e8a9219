"""Every fault is survived by the running product if anybody at all could serve."""

from __future__ import annotations

import asyncio
import random
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from scripts.proofs.figure import Figure, equal
from scripts.proofs.setting import set_stage
from tests.providers.failover.expected import CELLS, expected
from tests.providers.failover.hosts import DeadHosts, dead_hosts
from tests.providers.failover.jumping import run_jumping
from tests.providers.failover.product import Tried, arrange, try_streets, without_times
from tests.providers.failover.table import Observed
from tests.providers.failover.trial import try_all
from tests.rig.ledger import Ledger
from tests.rig.ledger_check import Report

name = "failover"
_SHORT = 30


def run(seed: int, *, short: bool = False) -> list[Figure]:
    """Try the table in the pipeline, then on the whole product."""
    observed = run_jumping(try_all(CELLS))
    cells = list(CELLS)
    # In any order: ten cells of one fault in a row would look like an outage of ours.
    random.Random(seed).shuffle(cells)
    cells = cells[:_SHORT] if short else cells
    with (
        open_dead_hosts() as dead,
        set_stage(seed=seed, arguments=["--no-worker"]) as scene,
    ):
        streets = arrange(scene, cells, dead.urls)
        scene.open(within_s=60)
        tried = try_streets(scene, streets)
        report = scene.check([each.seen for each in tried], only=True)
        ledger = scene.product.ledger()
    heard = equal("bytes told to an untrusted host", len(dead.impostor.heard), 0)
    figures = [*_of_pipeline(observed), *_of_product(tried)]
    return [*figures, *_of_ledger(report, ledger), heard]


def _of_pipeline(observed: dict[str, Observed]) -> list[Figure]:
    right = [cell for cell in CELLS if observed[cell.id].outcome == expected(cell)]
    failed = [
        cell
        for cell in CELLS
        if observed[cell.id].could_serve
        and not observed[cell.id].outcome.served_by
        and not (cell.is_stream and cell.fault.is_midway)
    ]
    return [
        equal("pipeline: calls as the table says", len(right), len(CELLS)),
        equal("pipeline: failures somebody could have served", len(failed), 0),
    ]


def _of_product(tried: list[Tried]) -> list[Figure]:
    differing = [
        each for each in tried if each.outcome != without_times(expected(each.cell))
    ]
    for each in differing:
        print(f"{each.cell.id}\n  {each.outcome}\n  {expected(each.cell)}")
    unclean = [each for each in tried if each.outcome.broken]
    right = len(tried) - len(differing)
    return [
        equal("product: calls as the table says", right, len(tried)),
        equal("product: broken answers that look clean, secrets told", len(unclean), 0),
    ]


def _of_ledger(report: Report, ledger: Ledger) -> list[Figure]:
    spent: dict[str, int] = defaultdict(int)
    for row in ledger.attempts:
        spent[row.request_id] += row.cost_nano_usd or 0
    uneven = [
        row for row in ledger.requests if (row.cost_nano_usd or 0) != spent[row.id]
    ]
    return [
        equal("ledger: lost", len(report.lost), 0),
        equal("ledger: double", len(report.double), 0),
        equal("ledger: calls that cost not what their attempts cost", len(uneven), 0),
    ]


@contextmanager
def open_dead_hosts() -> Iterator[DeadHosts]:
    """Run the hosts that listen on a loop of their own."""
    loop = asyncio.new_event_loop()
    started, stop = threading.Event(), asyncio.Event()
    made: list[DeadHosts] = []

    async def serve() -> None:
        async with dead_hosts() as one:
            made.append(one)
            started.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        started.wait(10)
        yield made[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()
