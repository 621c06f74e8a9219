"""Money and limits: races, replays, window edges, dearer fallbacks, deserted streams.

Races, replays and window edges run inside this process, on the store of limits and
through the proxy's pipeline against an upstream on loopback; late and doubled rows in a
database of their own; what goes wrong under load, and sessions, on the running product.
"""

from __future__ import annotations

import asyncio
import time

import aiohttp

from poolsite.clock import SystemClock
from scripts.proofs.apart import measured
from scripts.proofs.figure import Figure, at_least, at_most, equal
from scripts.proofs.money_faults import run_faults
from scripts.proofs.money_postgres import run_postgres
from scripts.proofs.setting import Stage, set_stage
from tests.providers.proxy.money_trials import desert, fall_back_dearer
from tests.upstream.server import FaultUpstream
from tests.usage.limits import trials
from tests.usage.limits.trials import AUTUMN, BERLIN, KATHMANDU, SPRING
from usage.limits.memory import MemoryLimits

name = "money"
CALLS, CLIENTS = 100, 64
RACES, SHORT_RACES = 200, 20
TICKETS, SHORT_TICKETS = 5_000, 500
STEPS, SHORT_STEPS = 20_000, 1_000
STREAMS, SHORT_STREAMS = 1_000, 60
ROWS, SHORT_ROWS = 20_000, 300
MODEL = "fault-slow-first-200"
NEWS_S = 3.0
"""Longer than a change of configuration takes to reach a worker."""
PLACES = (
    ("day, +05:45", KATHMANDU, "day", SPRING),
    ("day, spring night", BERLIN, "day", SPRING),
    ("day, autumn night", BERLIN, "day", AUTUMN),
    ("hour, spring night", BERLIN, "hour", SPRING),
    ("hour, autumn night", BERLIN, "hour", AUTUMN),
    ("month, +05:45", KATHMANDU, "month", SPRING),
)


def run(seed: int, *, short: bool = False) -> list[Figure]:
    """Run each trial of the catalogue's money part, T45 to T54."""
    return [
        *asyncio.run(_run(seed, short=short)),
        *_rows(seed, SHORT_ROWS if short else ROWS),
        *run_faults(seed, short=short),
        *run_postgres(seed, short=short),
        *_sessions(seed),
    ]


async def _run(seed: int, *, short: bool) -> list[Figure]:
    return [
        *await _races(seed, SHORT_RACES if short else RACES),
        *await _replays(seed, SHORT_TICKETS if short else TICKETS),
        *await _edges(seed, SHORT_STEPS if short else STEPS),
        *await _fallbacks(seed, 40 if short else 200),
        *await _deserted(seed, SHORT_STREAMS if short else STREAMS),
    ]


async def _races(seed: int, races: int) -> list[Figure]:
    store = MemoryLimits(SystemClock(), origin="proof")
    least, overshoot, difference = CALLS, 0, 0
    for number in range(races):
        seen = await trials.race(
            [store], calls=CALLS, clients=CLIENTS, seed=seed + number
        )
        least = min(least, seen.served)
        overshoot = max(overshoot, seen.peak - trials.LIMIT)
        difference += abs(seen.difference)
    what = f"T45: {races} races of {CLIENTS} clients for {CALLS} calls"
    return [
        at_least(f"{what}: fewest served", least, 98),
        equal(f"{what}: most beyond the budget, nano-USD", max(0, overshoot), 0),
        equal(f"{what}: settled beside counted, nano-USD", difference, 0),
    ]


async def _replays(seed: int, tickets: int) -> list[Figure]:
    store = MemoryLimits(SystemClock(), origin="proof")
    seen = await trials.replay([store], tickets=tickets, seed=seed)
    what = f"T49: {seen.settles:,} settles of {tickets:,} tickets in any order"
    return [
        equal(f"{what}: lost, nano-USD", seen.lost, 0),
        equal(f"{what}: double, nano-USD", seen.double, 0),
        equal(f"{what}: still held", seen.held, 0),
    ]


async def _edges(seed: int, steps: int) -> list[Figure]:
    figures: list[Figure] = []
    for words, zone, kind, start in PLACES:
        seen = await trials.walk(zone, kind, start, steps=steps, seed=seed)
        what = f"T53: {kind} windows in {zone} ({words}), {len(seen.windows)} walked"
        waits = seen.negative_waits + seen.wrong_resets
        figures += [
            equal(f"{what}: lost, nano-USD", seen.lost, 0),
            equal(f"{what}: double", seen.over_limit + seen.doubled, 0),
            equal(f"{what}: waits and resets that are wrong", waits, 0),
        ]
    return figures


async def _fallbacks(seed: int, calls: int) -> list[Figure]:
    async with FaultUpstream(seed=seed) as upstream:
        seen = await fall_back_dearer(upstream, calls=calls)
    what = f"{calls} calls that fall back to a ten times dearer model"
    return [
        at_least(f"{what}: served", seen.served, 1),
        at_most(f"{what}: spent, nano-USD", seen.spent, seen.limit),
        equal(f"{what}: lost", seen.lost, 0),
        equal(f"{what}: double", seen.double, 0),
        equal(
            f"{what}: difference of budget and journal, nano-USD", seen.difference, 0
        ),
    ]


async def _deserted(seed: int, streams: int) -> list[Figure]:
    async with FaultUpstream(seed=seed) as upstream:
        seen = await desert(upstream, streams=streams)
    what = f"T54: {streams:,} streams left just before their usage"
    return [
        equal(f"{what}: left early", seen.streams, streams),
        at_least(f"{what}: billed of true output tokens", round(seen.share, 4), 0.95),
        equal(f"{what}: attempts not settled, or twice", seen.unsettled, 0),
    ]


def _rows(seed: int, count: int) -> list[Figure]:
    """Ship rows that are late, told again, or interrupted by a kill."""
    seen = measured("money_rig", count, seed, within_s=3_600)
    late, killed = seen["late"], seen["killed"]
    told = f"T49: {late['copies']:,} rows of {count:,} calls, late and told again"
    kills = f"T34: shipper killed at {killed['kills']} steps, {count:,} calls"
    return [
        figure
        for what, rows in ((told, late), (kills, killed))
        for figure in (
            equal(f"{what}: lost", rows["lost"], 0),
            equal(f"{what}: double", rows["double"], 0),
            equal(f"{what}: difference, nano-USD", rows["difference"], 0),
        )
    ]


def _sessions(seed: int) -> list[Figure]:
    """Hold two sessions to 0.50 USD each while a request costs 0.05."""
    with set_stage(seed=seed, arguments=["--no-worker"]) as scene:
        scene.provider("up", models=[MODEL])
        scene.price(MODEL, per_request_usd="0.05")
        scene.key("bot", concurrency=1_000)
        scene.open()
        product = scene.product
        product.pool("budget", "set", "--session", "*", "--usd", "0.5")
        time.sleep(NEWS_S)
        first = asyncio.run(_burst(scene, "bot:a:1", 40))
        second = asyncio.run(_burst(scene, "bot:a:2", 40))
        ledger = product.wait_settled(within_s=15, quiet_s=1.0)
        product.restart()
        late = asyncio.run(_burst(scene, "bot:a:1", 3))
        product.pool("budget", "raise", "1", "--usd", "0.1")
        time.sleep(NEWS_S)
        raised = asyncio.run(_burst(scene, "bot:a:1", 10))
    return [
        equal("session of 0.50 USD, 40 x 0.05 at once: served", first.count(200), 10),
        equal("the session beside it: served", second.count(200), 10),
        equal("both settled, nano-USD", ledger.cost_nano_usd, trials.LIMIT),
        equal("the first after a restart: served", late.count(200), 0),
        equal("raised by 0.10 USD: served", raised.count(200), 2),
    ]


async def _burst(scene: Stage, session: str, count: int) -> list[int]:
    """Call at the same time in one session; return the statuses."""
    url = f"{scene.product.url}/chat/completions"
    headers = {
        "authorization": f"Bearer {scene.keys['bot']}",
        "x-pool-session": session,
    }
    body = {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}]}

    async def one(client: aiohttp.ClientSession) -> int:
        async with client.post(url, json=body, headers=headers) as answer:
            await answer.read()
            return answer.status

    async with aiohttp.ClientSession() as client:
        return list(await asyncio.gather(*(one(client) for _ in range(count))))
