"""Speak HTTP/1.1 over one connection to an upstream.

The parser is llhttp (through httptools), which reads framing strictly; this module
only writes a request and hands out the answer's bytes as they come. A general client
spends more on one call than the rest of the proxy does: 75 us of a relayed request,
where this spends under 20.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Final, Protocol, cast

import httptools

from poolsite.destinations import Destination, Scope

Headers = Mapping[str, str] | Sequence[tuple[str, str]]
Key = tuple[Scope | None, str, str]
"""Connections are shared within one of these: scope, pool name, origin."""

HEAD_LIMIT_BYTES: Final = 64 * 1024
BUFFER_BYTES: Final = 256 * 1024
"""Read ahead of the reader at most this much, then let TCP hold the upstream back."""
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


class BadAnswerError(ConnectionResetError):
    """The upstream does not speak HTTP, or answered what nobody asked."""


class WireAnswer:
    """An answer with its head read; its body is read from here.

    Shapes:  header names are lower case, repeated ones joined by a comma.
    """

    __slots__ = (
        "_connection",
        "_error",
        "_is_whole",
        "_parts",
        "_size",
        "_waiter",
        "gap_s",
        "headers",
        "status",
    )

    def __init__(
        self, status: int, headers: dict[str, str], connection: WireConnection
    ) -> None:
        self.status = status
        self.headers = headers
        self.gap_s: float | None = None
        self._connection: WireConnection | None = connection
        self._parts: list[bytes] = []
        self._size = 0
        self._waiter: asyncio.Future[None] | None = None
        self._is_whole = False
        self._error: BaseException | None = None

    @property
    def content(self) -> WireAnswer:
        """The body's reader: this very object."""
        return self

    def at_eof(self) -> bool:
        """Say whether everything was read."""
        return self._is_whole and not self._parts

    async def readany(self) -> bytes:
        """Return what has come, waiting for something; empty at the end.

        Errors: OSError when the connection broke before the end.
        """
        if not self._parts:
            if self._is_whole:
                return b""
            if self._error is not None:
                raise self._error
            await self._wait()
            if self._error is not None and not self._parts:
                raise self._error
        parts, self._parts = self._parts, []
        size, self._size = self._size, 0
        if size >= BUFFER_BYTES and self._connection is not None:
            self._connection.resume()
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def iter_any(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes."""
        while part := await self.readany():
            yield part

    def close(self) -> None:
        """Give the answer up; a connection still in use is cut at once."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abort()

    release = close

    def feed(self, data: bytes) -> None:
        """Take bytes from the connection."""
        self._parts.append(data)
        self._size += len(data)
        if self._size >= BUFFER_BYTES and self._connection is not None:
            self._connection.pause()
        self._wake()

    def finish(self, error: BaseException | None = None) -> None:
        """Take the end: whole, or broken."""
        self._connection = None
        self._error = error
        self._is_whole = error is None
        self._wake()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    async def _wait(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        if self.gap_s is None:
            await self._waiter
            return
        async with asyncio.timeout(self.gap_s):
            await self._waiter


class Pool(Protocol):
    """What a connection needs of the pool that made it."""

    loop: asyncio.AbstractEventLoop

    def keep(self, connection: WireConnection) -> None:
        """Take a connection back whose answer ended cleanly."""


class WireConnection(asyncio.Protocol):
    """One connection: asked one thing at a time, kept while its framing is clean."""

    __slots__ = (
        "_answer",
        "_fields",
        "_has_length",
        "_head_bytes",
        "_is_interim",
        "_is_over",
        "_is_paused",
        "_is_spoilt",
        "_may_stay",
        "_parser",
        "_pool",
        "_transport",
        "_waiter",
        "idle_since",
        "is_closed",
        "key",
    )

    def __init__(self, pool: Pool, key: Key) -> None:
        self.key = key
        self.idle_since = 0.0
        self.is_closed = False
        self._pool = pool
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[WireAnswer] | None = None
        self._answer: WireAnswer | None = None
        self._fields: dict[str, str] = {}
        self._head_bytes = 0
        self._has_length = False
        self._is_interim = False
        self._is_over = False
        self._is_paused = False
        self._is_spoilt = False
        self._may_stay = False

    def ask(self, head: bytes, body: bytes | None) -> asyncio.Future[WireAnswer]:
        """Write a request; the future holds the answer once its head is here."""
        waiter = self._pool.loop.create_future()
        transport = self._transport
        if transport is None or self.is_closed:
            waiter.set_exception(ConnectionResetError("closed"))
            return waiter
        self._waiter = waiter
        self._fields = {}
        self._head_bytes = 0
        self._has_length = False
        if body:
            transport.writelines((head, body))
        else:
            transport.write(head)
        return waiter

    def abort(self) -> None:
        """Cut the connection at once."""
        self.is_closed = True
        if self._transport is not None:
            self._transport.abort()

    def pause(self) -> None:
        """Stop reading until somebody takes what is here."""
        if not self._is_paused and self._transport is not None and not self.is_closed:
            self._is_paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if self._is_paused and self._transport is not None and not self.is_closed:
            self._is_paused = False
            self._transport.resume_reading()

    # Called by the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way out."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Parse what came; what nobody asked for ends the connection."""
        if self._waiter is None:
            self.abort()
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(BadAnswerError("The answer is not HTTP."), error)
            return
        if self._is_over:
            self._end()
        elif self._answer is None:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_LIMIT_BYTES:
                self._fail(BadAnswerError("The answer's head is too long."), None)

    def connection_lost(self, error: Exception | None) -> None:
        """End what was under way: a body without a length ends like this."""
        self.is_closed = True
        answer, self._answer = self._answer, None
        waiter, self._waiter = self._waiter, None
        if answer is not None:
            is_whole = error is None and not self._has_length
            answer.finish(None if is_whole else ConnectionResetError("cut short"))
        elif waiter is not None and not waiter.done():
            lost = ConnectionResetError("closed before an answer")
            lost.__cause__ = error
            waiter.set_exception(lost)

    # Called by the parser

    def on_message_begin(self) -> None:
        """Notice an answer that follows the one asked for."""
        if self._is_over:
            self._is_spoilt = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect one header."""
        key = name.decode("latin-1").lower()
        text = value.decode("latin-1")
        known = self._fields.get(key)
        self._fields[key] = text if known is None else f"{known}, {text}"

    def on_headers_complete(self) -> None:
        """Hand the answer out, unless this is only an interim one."""
        status = self._parser.get_status_code()
        if status < 200:
            self._fields = {}
            self._is_interim = True
            return
        fields = self._fields
        self._has_length = "content-length" in fields or "transfer-encoding" in fields
        answer = WireAnswer(status, fields, self)
        waiter = self._waiter
        if self._is_over or waiter is None or waiter.done():
            return
        self._answer = answer
        waiter.set_result(answer)

    def on_body(self, data: bytes) -> None:
        """Pass a part of the body on."""
        if self._answer is not None and not self._is_over:
            self._answer.feed(data)

    def on_message_complete(self) -> None:
        """Note the end; bytes behind it are looked at before it counts."""
        if self._is_interim:
            self._is_interim = False
        else:
            self._is_over = True
            # Only true here: the parser forgets the head behind this call.
            self._may_stay = self._parser.should_keep_alive()

    def _end(self) -> None:
        answer, self._answer = self._answer, None
        self._waiter = None
        self._is_over = False
        transport = self._transport
        is_clean = (
            answer is not None
            and not self._is_spoilt
            and not self.is_closed
            and transport is not None
            and self._may_stay
            and not transport.get_write_buffer_size()
        )
        if answer is not None:
            self.resume()
            answer.finish()
        if is_clean:
            self._pool.keep(self)
        else:
            self.abort()

    def _fail(self, error: OSError, cause: BaseException | None) -> None:
        error.__cause__ = cause
        answer, self._answer = self._answer, None
        waiter, self._waiter = self._waiter, None
        if answer is not None:
            answer.finish(error)
        elif waiter is not None and not waiter.done():
            waiter.set_exception(error)
        self.abort()


def request_prefix(method: str, destination: Destination) -> str:
    """Return the request line and Host header of a destination."""
    url = destination.url
    host = f"[{url.host}]" if ":" in (url.host or "") else url.raw_host or ""
    if url.port not in (None, _DEFAULT_PORTS.get(url.scheme)):
        host = f"{host}:{url.port}"
    return f"{method} {url.raw_path_qs} HTTP/1.1\r\nHost: {host}\r\n"


def request_head(prefix: str, headers: Headers, body: bytes | None) -> bytes:
    """Write a request's head; names and values must not break out of their line.

    Errors: ValueError for a line break or NUL inside a header.
    """
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    lines = [f"{name}: {value}\r\n" for name, value in pairs]
    length = 0 if body is None else len(body)
    fields = "".join(lines)
    if fields.count("\n") != len(lines) or fields.count("\r") != len(lines):
        raise ValueError("A header holds a line break.")
    if "\0" in fields:
        raise ValueError("A header holds a NUL.")
    named = fields.lower()
    own = "" if "user-agent:" in named else "User-Agent: provider-pool\r\n"
    if "accept:" not in named:
        own += "Accept: */*\r\n"
    if "accept-encoding:" not in named:
        own += "Accept-Encoding: identity\r\n"
    return f"{prefix}{own}{fields}Content-Length: {length}\r\n\r\n".encode()
