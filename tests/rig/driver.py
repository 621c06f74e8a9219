"""Load the product and write down what every single client saw.

Every run is bounded by a count and by seconds, whichever comes first; a request that
is in flight at the end is waited for, up to its own time-out.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.upstream.text import make_text


@dataclass(frozen=True)
class Shape:
    """One kind of request in a mix.

    Units: prompt_tokens by the upstream's rule; max_tokens as asked, None = not asked.
    """

    model: str
    stream: bool = False
    weight: int = 1
    prompt_tokens: int = 60
    max_tokens: int | None = None
    include_usage: bool = False
    leave_after_chunks: int | None = None


@dataclass
class Outcome:
    """What one client saw.

    Shapes: status 0 means no answer at all; complete says the body ended as the
            dialect says it must; error names the exception or the error code.
    """

    model: str
    stream: bool
    status: int = 0
    request_id: str = ""
    complete: bool = False
    left: bool = False
    bytes: int = 0
    error: str = ""
    retry_after: str = ""
    message: str = ""
    started_s: float = 0.0
    first_byte_s: float | None = None
    seconds: float = 0.0

    @property
    def kind(self) -> str:
        """Return answered, refused (4xx) or failed."""
        if self.complete and self.status == 200:
            return "answered"
        return "refused" if 400 <= self.status < 500 else "failed"


@dataclass
class Load:
    """What to ask, of whom, as whom."""

    url: str
    key: str
    mix: list[Shape]
    seed: int = 0
    timeout_s: float = 60.0
    outcomes: list[Outcome] = field(default_factory=list)
    sent: int = 0

    def next_shape(self, rng: random.Random) -> Shape:
        """Draw the next kind of request."""
        return rng.choices(self.mix, [shape.weight for shape in self.mix])[0]


async def run_closed(
    load: Load, *, clients: int, count: int, seconds: float
) -> list[Outcome]:
    """Run clients that each send the next request when the last one has ended."""
    deadline = time.monotonic() + seconds

    async def client(session: aiohttp.ClientSession, number: int) -> None:
        rng = random.Random(f"{load.seed}:{number}")
        while load.sent < count and time.monotonic() < deadline:
            load.sent += 1
            outcome = await send(session, load, load.next_shape(rng), rng)
            if outcome.status == 0:
                # A dead server answers at once; do not spin through the count.
                await asyncio.sleep(0.05)

    return await _with_session(
        load, clients, lambda session: _all(client(session, n) for n in range(clients))
    )


async def run_open(
    load: Load, *, rate: float, count: int, seconds: float
) -> list[Outcome]:
    """Send at scheduled times, however slow the answers are.

    Units: rate in requests a second; an outcome's seconds count from the scheduled
           time, so that a stalled server is not excused (coordinated omission).
    """
    total = min(count, int(rate * seconds))

    async def arrivals(session: aiohttp.ClientSession) -> None:
        rng = random.Random(load.seed)
        start = time.monotonic()
        running: set[asyncio.Task[Outcome]] = set()
        for number in range(total):
            due = start + number / rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            load.sent += 1
            call = send(session, load, load.next_shape(rng), rng, due)
            task = asyncio.create_task(call)
            running.add(task)
            task.add_done_callback(running.discard)
        if running:
            await asyncio.wait(running)

    return await _with_session(load, 10_000, arrivals)


async def run_burst(load: Load, *, count: int) -> list[Outcome]:
    """Send all requests at the same moment."""

    async def burst(session: aiohttp.ClientSession) -> None:
        rng = random.Random(load.seed)
        load.sent += count
        await _all(send(session, load, load.next_shape(rng), rng) for _ in range(count))

    return await _with_session(load, count, burst)


async def send(
    session: aiohttp.ClientSession,
    load: Load,
    shape: Shape,
    rng: random.Random,
    due: float | None = None,
) -> Outcome:
    """Send one request, record what came of it, never raise."""
    outcome = Outcome(shape.model, shape.stream, started_s=time.time())
    begun = time.monotonic() if due is None else due
    try:
        async with session.post(
            load.url + "/chat/completions",
            data=_body(shape, rng),
            headers={
                "authorization": f"Bearer {load.key}",
                "content-type": "application/json",
            },
        ) as response:
            outcome.status = response.status
            outcome.request_id = response.headers.get("x-pool-request-id", "")
            outcome.retry_after = response.headers.get("retry-after", "")
            await _read(response, shape, outcome, begun)
    except (aiohttp.ClientError, TimeoutError, OSError) as exc:
        outcome.error = outcome.error or type(exc).__name__
    outcome.seconds = time.monotonic() - begun
    load.outcomes.append(outcome)
    return outcome


async def _read(
    response: aiohttp.ClientResponse, shape: Shape, outcome: Outcome, begun: float
) -> None:
    tail, chunks = b"", 0
    streamed = response.content_type == "text/event-stream"
    async for data in response.content.iter_any():
        if outcome.first_byte_s is None:
            outcome.first_byte_s = time.monotonic() - begun
        outcome.bytes += len(data)
        tail = (tail + data)[-4_096:] if streamed else tail + data
        chunks += data.count(b"\n\n")
        leave = shape.leave_after_chunks
        if leave is not None and chunks >= leave:
            outcome.left = True
            response.close()
            return
    if streamed:
        outcome.complete = b"data: [DONE]" in tail and b'"error"' not in tail
        return
    _read_document(tail, outcome)


def _read_document(body: bytes, outcome: Outcome) -> None:
    try:
        document: Any = json.loads(body)
    except ValueError:
        outcome.error = "not JSON"
        return
    outcome.complete = True
    if outcome.status != 200 and isinstance(document, dict):
        error = document.get("error") or {}
        outcome.error = str(error.get("code") or error.get("type") or "")
        outcome.message = str(error.get("message") or "")


def _body(shape: Shape, rng: random.Random) -> bytes:
    body: dict[str, Any] = {
        "model": shape.model,
        "messages": [{"role": "user", "content": make_text(rng, shape.prompt_tokens)}],
    }
    if shape.max_tokens is not None:
        body["max_tokens"] = shape.max_tokens
    if shape.stream:
        body["stream"] = True
        if shape.include_usage:
            body["stream_options"] = {"include_usage": True}
    return json.dumps(body).encode()


async def _with_session(
    load: Load,
    connections: int,
    run: Callable[[aiohttp.ClientSession], Awaitable[None]],
) -> list[Outcome]:
    timeout = aiohttp.ClientTimeout(total=load.timeout_s, sock_connect=5)
    connector = aiohttp.TCPConnector(limit=connections)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
        await run(session)
    return load.outcomes


async def _all(calls: Any) -> None:
    await asyncio.gather(*calls)
