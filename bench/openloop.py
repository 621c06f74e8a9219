"""Measure latency with requests sent at scheduled times, answered or not.

A closed loop waits for a slow server and so hides its stalls; this generator does not
(coordinated omission). Arrivals are Poisson from a seed. It runs as a process of its
own, pinned by the caller, and prints one JSON line:

    python -m bench.openloop --url URL --rate 1000 --seconds 5
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import selectors
import time
from collections import deque
from typing import cast
from urllib.parse import urlsplit

from bench.tools import first_in_line

CONNECTIONS = 200
GIVE_UP_S = 5.0


class Caller(asyncio.Protocol):
    """One keep-alive connection with at most one request under way."""

    transport: asyncio.Transport

    def __init__(self, run: Run) -> None:
        self.run = run
        self.buffer = b""
        self.sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Join the idle ones."""
        self.transport = cast("asyncio.Transport", transport)
        self.run.idle.append(self)

    def send(self, request: bytes, at: float) -> None:
        """Send one request, timed from a moment that may lie in the past."""
        self.buffer = b""
        self.sent_at = at
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Note the time once the answer is whole."""
        self.buffer += data
        if _is_whole(self.buffer):
            elapsed = time.perf_counter() - self.sent_at
            good = self.buffer.startswith(b"HTTP/1.1 200")
            self.run.note(elapsed, good)
            self.run.release(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Count a lost connection as an error."""
        self.run.errors += 1


class Run:
    """One measurement."""

    def __init__(self, request: bytes) -> None:
        self.request = request
        self.idle: deque[Caller] = deque()
        self.latencies: list[float] = []
        self.lateness: list[float] = []
        self.errors = 0
        self.waiting: deque[float] = deque()
        self.waited = 0

    def note(self, elapsed: float, good: bool) -> None:
        """Record one answer."""
        if good:
            self.latencies.append(elapsed)
        else:
            self.errors += 1

    def release(self, caller: Caller) -> None:
        """Give a free connection the oldest request that waits, if one does."""
        if self.waiting:
            caller.send(self.request, self.waiting.popleft())
        else:
            self.idle.append(caller)

    async def drive(self, rate: float, seconds: float) -> None:
        """Send at the scheduled times, then wait for the rest."""
        rng = random.Random(1)
        begun = time.perf_counter()
        due = begun
        while (due := due + rng.expovariate(rate)) < begun + seconds:
            wait = due - time.perf_counter()
            if wait > 0:
                await asyncio.sleep(wait)
            self.lateness.append(time.perf_counter() - due)
            if self.idle:
                self.idle.popleft().send(self.request, time.perf_counter())
            else:
                self.waited += 1
                self.waiting.append(due)
        stop = time.perf_counter() + GIVE_UP_S
        while len(self.idle) < CONNECTIONS and time.perf_counter() < stop:  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    def report(self) -> dict[str, float]:
        """Return the figures. Units: microseconds."""
        return {
            "answered": len(self.latencies),
            "errors": self.errors,
            "waited": self.waited,
            "p50_us": _percentile(self.latencies, 0.50),
            "p99_us": _percentile(self.latencies, 0.99),
            "late_p99_us": _percentile(self.lateness, 0.99),
        }


def _is_whole(answer: bytes) -> bool:
    head, mark, body = answer.partition(b"\r\n\r\n")
    if not mark:
        return False
    at = head.lower().find(b"content-length:")
    if at < 0:
        return body.endswith(b"0\r\n\r\n")
    return len(body) >= int(head[at + 15 :].split(b"\r\n", 1)[0])


def _percentile(values: list[float], share: float) -> float:
    if not values:
        return float("nan")
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1e6, 1)


async def _measure(url: str, rate: float, seconds: float) -> dict[str, float]:
    parts = urlsplit(url)
    body = os.environ["BENCH_BODY"].encode()
    key = os.environ.get("BENCH_KEY", "sk-none")
    head = (
        f"POST {parts.path} HTTP/1.1\r\nhost: {parts.netloc}\r\n"
        f"authorization: Bearer {key}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    run = Run(head.encode() + body)
    loop = asyncio.get_running_loop()
    host, port = parts.hostname or "127.0.0.1", parts.port or 80
    for _ in range(CONNECTIONS):
        await loop.create_connection(lambda: Caller(run), host, port)
    await run.drive(rate, min(1.0, seconds))
    measured = Run(run.request)
    measured.idle = run.idle
    for caller in measured.idle:
        caller.run = measured
    await measured.drive(rate, seconds)
    return measured.report()


def main() -> None:
    """Read the arguments, measure, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--seconds", type=float, default=5)
    arguments = parser.parse_args()
    first_in_line()
    # Epoll sleeps in whole milliseconds, select in microseconds.
    loop = asyncio.SelectorEventLoop(selectors.SelectSelector())
    measure = _measure(arguments.url, arguments.rate, arguments.seconds)
    print(json.dumps(loop.run_until_complete(measure)))


if __name__ == "__main__":
    main()
