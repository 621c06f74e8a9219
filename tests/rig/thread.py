"""Run the fault upstream in a thread of the test's own process.

Synchronous tests look into it as they please: `upstream.control`, `upstream.served`.
A test that kills processes takes `tests.rig.upstream.UpstreamProcess` instead, whose
clock does not depend on this process.
"""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path
from typing import Self

from tests.upstream.control import Control, Seen
from tests.upstream.server import FaultUpstream
from tests.upstream.truth import Served, read_truth


class UpstreamThread:
    """A fault upstream on a loop of its own."""

    def __init__(self, directory: Path, *, seed: int = 0) -> None:
        self.truth_path = directory / "truth-thread.jsonl"
        self._upstream = FaultUpstream(log=self.truth_path, seed=seed)
        self._started = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="fault-upstream")

    def __enter__(self) -> Self:
        """Start it and wait until it listens."""
        self._thread.start()
        self._started.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    @property
    def base_url(self) -> str:
        """Return the base URL in the OpenAI spelling, with /v1."""
        return self._upstream.base_url

    @property
    def control(self) -> Control:
        """Return counts, orders and the requests as they arrived."""
        return self._upstream.control

    @property
    def last(self) -> Seen:
        """Return the request that arrived last."""
        return self.control.seen[-1]

    def seen_of(self, request_id: str) -> list[Seen]:
        """Return the requests that carried one of the pool's request ids."""
        seen = list(self.control.seen)
        return [each for each in seen if each.header("x-pool-request-id") == request_id]

    def truth(self) -> list[Served]:
        """Return every call so far, in order of arrival."""
        return list(read_truth(self.truth_path))

    def order(self, target: str, spec: str | None) -> None:
        """Make every call with this key or model follow a scenario."""
        if spec is None:
            self.control.orders.pop(target, None)
        else:
            self.control.orders[target] = spec

    def wait_idle(self, *, within_s: float = 10) -> None:
        """Wait until it serves nobody. Errors: TimeoutError."""
        deadline = time.monotonic() + within_s
        while self.control.open:
            if time.monotonic() > deadline:
                raise TimeoutError("the upstream still serves calls")
            time.sleep(0.01)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        async with self._upstream:
            self._started.set()
            await self._stop.wait()
