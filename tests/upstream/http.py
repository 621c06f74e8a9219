"""Speak HTTP/1.1 by hand, so that every byte and every reset is ours to decide.

A web framework would correct most of the faults this upstream exists for: wrong
lengths, cut chunks, resets in the middle of a header. One `Connection` serves requests
one after another; `Exchange` is one request and the pen to answer it with.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import cast

_LARGEST_WRITE = 65_536
_PHRASES = {int(status): status.phrase for status in HTTPStatus}


class ClientGoneError(ConnectionError):
    """The peer closed while the answer was being written."""


@dataclass
class Exchange:
    """One request and its answer in progress."""

    connection: Connection
    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes
    chunked: bool = field(default=False, init=False)
    open_ended: bool = field(default=False, init=False)

    @property
    def path(self) -> str:
        """Return the target without its query."""
        return self.target.partition("?")[0]

    def header(self, name: str) -> str:
        """Return the first header of this name, lower case, or an empty string."""
        return next((v for n, v in self.headers if n == name), "")

    async def start(
        self, status: int, headers: list[tuple[str, str]], *, length: int | None
    ) -> None:
        """Send the head of the answer.

        Shapes: length None means chunked, a number is sent as Content-Length.
        """
        phrase = _PHRASES.get(status, "Unknown")
        lines = [f"HTTP/1.1 {status} {phrase}"]
        lines += [f"{name}: {value}" for name, value in headers]
        self.chunked = length is None
        framing = "transfer-encoding: chunked"
        lines.append(framing if length is None else f"content-length: {length}")
        await self.connection.write("\r\n".join([*lines, "", ""]).encode())

    async def send(self, data: bytes) -> None:
        """Send a part of the body and wait until the kernel has all of it."""
        for start in range(0, len(data), _LARGEST_WRITE):
            part = data[start : start + _LARGEST_WRITE]
            if self.chunked:
                part = b"%x\r\n%b\r\n" % (len(part), part)
            await self.connection.write(part)

    async def finish(self) -> None:
        """End the body."""
        if self.chunked:
            await self.connection.write(b"0\r\n\r\n")

    async def sleep(self, seconds: float) -> None:
        """Wait, but not past the client's departure.

        Errors: ClientGoneError.
        """
        try:
            await asyncio.wait_for(self.connection.lost.wait(), seconds)
        except TimeoutError:
            return
        raise ClientGoneError

    async def wait_gone(self) -> None:
        """Stay silent until the client leaves, then raise ClientGoneError."""
        await self.connection.lost.wait()
        raise ClientGoneError


class Connection(asyncio.Protocol):
    """Read requests from one socket and hand them to `serve` one at a time."""

    def __init__(
        self,
        serve: Callable[[Exchange], Awaitable[None]],
        forget: Callable[[Connection], None],
    ) -> None:
        self._serve = serve
        self._forget = forget
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._task: asyncio.Task[None] | None = None
        self.lost = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Make `write` wait for the kernel: what was sent must be known exactly."""
        # uvloop's transport is not an asyncio.Transport by class.
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=0)

    def data_received(self, data: bytes) -> None:
        """Collect a request; start serving it when it is whole."""
        self._buffer += data
        if self._task is None:
            self._take()

    def eof_received(self) -> bool:
        """Treat a closed read side as a departed client."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Wake whoever waits."""
        self._forget(self)
        self.lost.set()
        self._writable.set()

    def pause_writing(self) -> None:
        """Note that the kernel's buffer is full."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Note that the kernel took everything."""
        self._writable.set()

    async def write(self, data: bytes) -> None:
        """Write and wait until nothing of it is left in this process.

        Errors: ClientGoneError.
        """
        if self.lost.is_set() or self._transport is None:
            raise ClientGoneError
        self._transport.write(data)
        if not self._writable.is_set():
            await self._writable.wait()
        if self.lost.is_set() or self._transport.is_closing():
            raise ClientGoneError

    def reset(self) -> None:
        """Drop the connection with RST."""
        if self._transport is not None:
            sock = self._transport.get_extra_info("socket")
            linger = struct.pack("ii", 1, 0)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self._transport.abort()

    def close(self) -> None:
        """Close the connection with FIN after what was written."""
        if self._transport is not None:
            self._transport.close()

    def _take(self) -> None:
        try:
            exchange = self._parse()
        except ValueError:
            self.reset()
            return
        if exchange is not None:
            self._task = asyncio.get_running_loop().create_task(self._run(exchange))

    async def _run(self, exchange: Exchange) -> None:
        try:
            with contextlib.suppress(ClientGoneError):
                await self._serve(exchange)
        finally:
            self._task = None
        if self._transport is not None and not self._transport.is_closing():
            self._take()

    def _parse(self) -> Exchange | None:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return None
        lines = bytes(self._buffer[:end]).decode("latin-1").split("\r\n")
        method, target, _ = lines[0].split(" ", 2)
        headers: list[tuple[str, str]] = []
        length, chunked = 0, False
        for line in lines[1:]:
            name, _, value = line.partition(":")
            name, value = name.lower(), value.strip()
            headers.append((name, value))
            if name == "content-length":
                length = int(value)
            elif name == "transfer-encoding":
                chunked = "chunked" in value
        taken = self._chunked_body(end + 4) if chunked else None
        if chunked:
            if taken is None:
                return None
            body, stop = taken
        else:
            stop = end + 4 + length
            if len(self._buffer) < stop:
                return None
            body = bytes(self._buffer[end + 4 : stop])
        del self._buffer[:stop]
        return Exchange(self, method, target, headers, body)

    def _chunked_body(self, at: int) -> tuple[bytes, int] | None:
        body = bytearray()
        while True:
            line_end = self._buffer.find(b"\r\n", at)
            if line_end < 0:
                return None
            size = int(bytes(self._buffer[at:line_end]).split(b";")[0], 16)
            at = line_end + 2 + size + 2
            if len(self._buffer) < at:
                return None
            if size == 0:
                return bytes(body), at
            body += self._buffer[line_end + 2 : line_end + 2 + size]
