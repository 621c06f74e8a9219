"""Speak to the client: one answer, in order, and nothing after it has left."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from providers.proxy import watch as watches
from providers.proxy.bodies import Copy
from providers.proxy.errors import ClientGoneError
from providers.proxy.exchange import Headers, Send
from providers.proxy.watch import Watch


class Reply:
    """The client's side of one call.

    A keep-alive may be under way in a task of its own when the answer comes; every
    write waits for it, so frames never interleave.

    Errors:  ClientGoneError from every write once the client has left.
    """

    __slots__ = (
        "_pulse",
        "_send",
        "_stall_s",
        "_watch",
        "copy",
        "is_finished",
        "is_started",
        "is_writing",
        "status",
        "writes",
    )

    def __init__(self, send: Send, watch: Watch, stall_s: float) -> None:
        self._send = send
        self._watch = watch
        self._stall_s = stall_s
        self._pulse: asyncio.Task[None] | None = None
        self.copy: Copy | None = None
        self.is_started = False
        self.is_finished = False
        self.is_writing = False
        self.status: int | None = None
        self.writes = 0

    async def whole(self, status: int, headers: Headers, body: bytes) -> None:
        """Send a complete answer."""
        headers.append((b"content-length", b"%d" % len(body)))
        self.is_started = self.is_finished = True
        self.status = status
        await self._write(
            {"type": "http.response.start", "status": status, "headers": headers},
            {"type": "http.response.body", "body": body, "more_body": False},
        )

    async def start(self, status: int, headers: Headers) -> None:
        """Send the head; from here on the status is decided."""
        self.is_started = True
        self.status = status
        await self._write(
            {"type": "http.response.start", "status": status, "headers": headers}
        )

    def piece(self, data: bytes) -> Coroutine[Any, Any, None]:
        """Send a part of the body and wait until the server took it."""
        return self._write(
            {"type": "http.response.body", "body": data, "more_body": True}
        )

    async def end(self, data: bytes = b"") -> None:
        """Send the last part of the body."""
        self.is_finished = True
        await self._write(
            {"type": "http.response.body", "body": data, "more_body": False}
        )

    def pulse(self, headers: Headers, worded: Callable[[], bytes]) -> None:
        """Send a keep-alive beside the call, opening the answer when need be.

        Skipped while anything is being written: then the client is not idle. It is
        worded only if it is sent, because wording it may open the client's stream; a
        dialect that has none says nothing.
        """
        if self.is_writing or self.is_finished or self._watch.gone:
            return
        if self._pulse is None or self._pulse.done():
            frame = worded()
            if frame:
                loop = asyncio.get_running_loop()
                self._pulse = loop.create_task(self._pulsate(headers, frame))

    async def settle_pulse(self) -> None:
        """Wait for a keep-alive that is under way."""
        pulse = self._pulse
        if pulse is not None:
            if not pulse.done():
                await asyncio.wait([pulse])
            self._pulse = None

    async def _pulsate(self, headers: Headers, frame: bytes) -> None:
        try:
            if not self.is_started:
                self.is_started = True
                self.status = 200
                await self._send(
                    {"type": "http.response.start", "status": 200, "headers": headers}
                )
            await self._send(
                {"type": "http.response.body", "body": frame, "more_body": True}
            )
        except OSError:
            self._watch.trip(watches.GONE)

    async def _write(self, *messages: dict[str, object]) -> None:
        self._watch.expect(watches.CLIENT_STALL, self._stall_s)
        if self._pulse is not None:
            await self.settle_pulse()
        if self._watch.gone:
            raise ClientGoneError
        self.is_writing = True
        self.writes += 1
        if self.copy is not None:
            self.copy.add(messages[-1])
        try:
            for message in messages:
                await self._send(message)
        except OSError as error:
            # granian never raises here; other servers tell of a closed socket so.
            self._watch.gone = True
            raise ClientGoneError from error
        finally:
            self.is_writing = False
