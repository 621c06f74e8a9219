"""What is measured: peaks, latency, memory, and the keeper beside it."""

from __future__ import annotations

import asyncio
import statistics
import time
from dataclasses import dataclass, field
from threading import Event, Thread

import aiohttp

from bench.console_user import ConsoleUser
from bench.dialects import UPSTREAMS, asking
from bench.gateways import Running
from bench.plan_cost import PlanCost
from bench.tools import (
    HOLD_BODY,
    JSON_BODY,
    STREAM_BODY,
    cpu_seconds,
    latency,
    peak,
    rss_bytes,
)

ROUNDS = 3
CLIENTS = ("anthropic", "responses", "google")
OPEN_STREAMS = 300
MEMORY_REQUESTS = 100_000


@dataclass
class Figures:
    """Everything measured of one gateway.

    Units: requests and streams a second, latency in microseconds, memory in bytes,
           beside in processor seconds a second of JSON peak, translated in streams
           a second by the pair of dialects.
    """

    name: str
    json: list[float] = field(default_factory=list)
    streams: list[float] = field(default_factory=list)
    p50_us: float | None = None
    p99_us: float | None = None
    p50_console_us: float | None = None
    p99_console_us: float | None = None
    rss_start: int | None = None
    rss_end: int | None = None
    rss_stream: int | None = None
    rss_total: int | None = None
    requests: int = 0
    beside: dict[str, float] = field(default_factory=dict)
    translated: dict[str, float] = field(default_factory=dict)
    plan: PlanCost | None = None

    @property
    def json_median(self) -> float:
        """Return the median of the rounds."""
        return statistics.median(self.json)

    @property
    def stream_median(self) -> float:
        """Return the median of the rounds."""
        return statistics.median(self.streams)


def measure_peaks(gateways: list[Running], *, seconds: int) -> dict[str, Figures]:
    """Measure JSON and stream peaks, gateway after gateway, round after round."""
    found = {gateway.name: Figures(gateway.name) for gateway in gateways}
    for gateway in gateways:
        peak(gateway.root, gateway.key, JSON_BODY, seconds=2)
        found[gateway.name].rss_start = rss_bytes(gateway.data) or None
    for _ in range(ROUNDS):
        for gateway in gateways:
            figures = found[gateway.name]
            before = {k: cpu_seconds(v) for k, v in gateway.beside.items()}
            begun = time.monotonic()
            rate = peak(gateway.root, gateway.key, JSON_BODY, seconds=seconds)
            elapsed = time.monotonic() - begun
            figures.requests += int(rate * seconds)
            figures.json.append(rate)
            for kind, processes in gateway.beside.items():
                used = (cpu_seconds(processes) - before[kind]) / elapsed
                figures.beside[kind] = max(used, figures.beside.get(kind, 0.0))
        for gateway in gateways:
            rate = peak(gateway.root, gateway.key, STREAM_BODY, seconds=seconds)
            found[gateway.name].streams.append(rate)
            found[gateway.name].requests += int(rate * seconds)
    return found


def measure_translated(gateway: Running, figures: Figures, *, seconds: int) -> None:
    """Measure translated streams: chat from every upstream, every client on chat."""
    pairs = [("chat", dialect, f"bench-{dialect}") for dialect in UPSTREAMS]
    pairs += [(client, "chat", "bench") for client in CLIENTS]
    for client, upstream, model in pairs:
        path, body = asking(client, model)
        rates = [
            peak(gateway.root, gateway.key, body, seconds=seconds, path=path)
            for _ in range(ROUNDS)
        ]
        figures.translated[f"{client} on {upstream}"] = statistics.median(rates)


def measure_latency(
    gateways: list[Running], found: dict[str, Figures], *, rate: float, seconds: int
) -> None:
    """Measure every gateway in an open loop at one rate, median of the rounds."""
    for gateway in gateways:
        runs = [
            latency(gateway.root, gateway.key, rate=rate, seconds=seconds)
            for _ in range(ROUNDS)
        ]
        figures = found[gateway.name]
        figures.p50_us = statistics.median(run["p50_us"] for run in runs)
        figures.p99_us = statistics.median(run["p99_us"] for run in runs)


def measure_latency_with_console(
    gateway: Running, figures: Figures, *, rate: float, seconds: int
) -> int:
    """Measure again while somebody reloads the overview once a second.

    Returns: how many pages were loaded, so that an idle user is noticed.
    """
    assert gateway.product is not None
    user = ConsoleUser(gateway.product)
    user.sign_in()
    stop = Event()
    thread = Thread(target=user.reload_until, args=(stop,))
    thread.start()
    try:
        runs = [
            latency(gateway.root, gateway.key, rate=rate, seconds=seconds)
            for _ in range(ROUNDS)
        ]
    finally:
        stop.set()
        thread.join()
    figures.p50_console_us = statistics.median(run["p50_us"] for run in runs)
    figures.p99_console_us = statistics.median(run["p99_us"] for run in runs)
    return user.pages


def measure_memory(gateway: Running, figures: Figures) -> None:
    """Measure after 100,000 requests, then with streams held open."""
    while figures.requests < MEMORY_REQUESTS:
        rate = peak(gateway.root, gateway.key, JSON_BODY, seconds=5)
        figures.requests += int(rate * 5)
    time.sleep(2)
    figures.rss_end = rss_bytes(gateway.data)
    others = [p for group in gateway.beside.values() for p in group]
    if gateway.product is not None:
        others = gateway.product.processes("supervisor") + others
    figures.rss_total = figures.rss_end + rss_bytes(others)
    figures.rss_stream = asyncio.run(_per_open_stream(gateway))


async def _per_open_stream(gateway: Running) -> int:
    before = rss_bytes(gateway.data)
    connector = aiohttp.TCPConnector(limit=0)
    headers = {
        "authorization": f"Bearer {gateway.key}",
        "content-type": "application/json",
    }
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
        url = gateway.root + "/v1/chat/completions"
        calls = [session.post(url, data=HOLD_BODY) for _ in range(OPEN_STREAMS)]
        answers = await asyncio.gather(*calls)
        await asyncio.gather(*(answer.content.readany() for answer in answers))
        await asyncio.sleep(1)
        after = rss_bytes(gateway.data)
        for answer in answers:
            answer.close()
    return (after - before) // OPEN_STREAMS
