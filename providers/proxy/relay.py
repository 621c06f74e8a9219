"""Pass a call to the console over its Unix socket, streaming both ways.

The console sees the client's address and scheme in headers the door sets itself; what
a stranger sends under those names never arrives. Events stream through unbuffered,
and whoever leaves takes the other side along.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import aiohttp
import yarl

from poolsite.egress import make_console_session
from providers.proxy.exchange import Headers, Message, Receive, Send

BODY_LIMIT_BYTES: Final = 50 * 1024 * 1024
_START_WAIT_S: Final = 2.0
_START_PAUSE_S: Final = 0.1
_HOP_BY_HOP: Final = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
_OURS: Final = frozenset(
    {
        b"forwarded",
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-forwarded-port",
        b"x-forwarded-prefix",
        b"x-forwarded-proto",
        b"x-real-ip",
        b"expect",
    }
)
_REPEATABLE: Final = frozenset({"GET", "HEAD"})
_NO_CONNECTION: Final = (aiohttp.ClientConnectorError, FileNotFoundError)
_log: Final = logging.getLogger("providers.proxy.relay")


class _GoneError(Exception):
    """The client left while its body was being read."""


class _TooLargeError(Exception):
    """The client's body passed the limit."""


class ConsoleRelay:
    """The door's way to the console. Make it inside the running loop."""

    def __init__(
        self, socket_path: Path, *, start_wait_s: float = _START_WAIT_S
    ) -> None:
        self._session = make_console_session(socket_path)
        self._start_wait_s = start_wait_s
        self._running: set[asyncio.Task[None]] = set()

    async def aclose(self) -> None:
        """Close the connections to the console."""
        await self._session.close()

    def cut(self) -> None:
        """End what is still being relayed; event streams never end by themselves."""
        for task in self._running:
            task.cancel()

    @property
    def in_flight(self) -> int:
        """How many calls are being relayed."""
        return len(self._running)

    async def handle(
        self, scope: Message, receive: Receive, send: Send, *, peer: str, scheme: str
    ) -> None:
        """Relay one call.

        Shapes:  ``peer`` and ``scheme`` are the client's, trusted proxies seen through.
        Fails:   with a plain page when the console cannot be reached.
        """
        call = _Call(scope, receive, send, peer=peer, scheme=scheme)
        work = asyncio.ensure_future(self._forward(call))
        watch = asyncio.ensure_future(call.until_gone())
        self._running.add(work)
        try:
            await asyncio.wait({work, watch}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._running.discard(work)
            for task in (work, watch):
                task.cancel()
            done = await asyncio.gather(work, watch, return_exceptions=True)
        if isinstance(done[0], Exception):
            _log.error("relay_failed", exc_info=done[0])
            await call.page(502, "The console could not answer. Reload the page.")

    async def _forward(self, call: _Call) -> None:
        try:
            answer = await self._ask(call)
        except _TooLargeError:
            await call.page(413, "The upload is too large.")
            return
        except _GoneError:
            return
        except _NO_CONNECTION:
            await call.page(
                503, "The console is starting. This page reloads by itself.", again=True
            )
            return
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            _log.warning("console_broke", extra={"reason": type(error).__name__})
            await call.page(502, "The console broke off. Reload the page.", again=True)
            return
        try:
            await call.answer(answer)
        finally:
            answer.close()

    async def _ask(self, call: _Call) -> aiohttp.ClientResponse:
        """Send the request, waiting a little for a console that is starting."""
        loop = asyncio.get_running_loop()
        give_up = loop.time() + self._start_wait_s
        is_second = False
        while True:
            try:
                return await self._session.request(
                    call.method,
                    call.url,
                    headers=call.headers(),
                    data=call.body(),
                    allow_redirects=False,
                )
            except _NO_CONNECTION:
                # Nothing was sent, so nothing is lost by trying again.
                if loop.time() > give_up or call.is_body_touched:
                    raise
                await asyncio.sleep(_START_PAUSE_S)
            except (aiohttp.ServerDisconnectedError, ConnectionResetError):
                # An idle connection the console closed at that moment.
                if is_second or call.method not in _REPEATABLE:
                    raise
                is_second = True


class _Call:
    """One client call on its way through."""

    def __init__(
        self, scope: Message, receive: Receive, send: Send, *, peer: str, scheme: str
    ) -> None:
        self.method: str = scope["method"]
        self.is_body_touched = False
        self._scope = scope
        self._receive = receive
        self._send = send
        self._peer = peer
        self._scheme = scheme
        self._is_started = False
        self._body_read = asyncio.Event()
        raw = scope.get("raw_path") or scope["path"].encode()
        query = scope.get("query_string", b"")
        target = raw.split(b"?", 1)[0] + (b"?" + query if query else b"")
        self.url = yarl.URL("http://console" + target.decode("latin-1"), encoded=True)
        if not self._has_body():
            self._body_read.set()

    def headers(self) -> list[tuple[str, str]]:
        """Build the request's headers: the client's, less hops, plus what we know."""
        given: Headers = list(self._scope["headers"])
        named = _named_in_connection(given)
        kept = [
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in given
            if name not in _HOP_BY_HOP and name not in _OURS and name not in named
        ]
        kept.append(("x-forwarded-for", self._peer))
        kept.append(("x-forwarded-proto", self._scheme))
        return kept

    def body(self) -> AsyncIterator[bytes] | None:
        """Return the body as a stream, None where there is none."""
        return self._stream() if self._has_body() else None

    async def until_gone(self) -> None:
        """Wait for the client to leave, once its body has been read."""
        await self._body_read.wait()
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                return

    async def answer(self, answer: aiohttp.ClientResponse) -> None:
        """Pass the console's answer on, each piece as it comes."""
        named = _named_in_connection(
            [(name.lower(), value) for name, value in answer.raw_headers]
        )
        headers = [
            (name.lower(), value)
            for name, value in answer.raw_headers
            if name.lower() not in _HOP_BY_HOP and name.lower() not in named
        ]
        await self._start(answer.status, headers)
        try:
            async for piece in answer.content.iter_any():
                await self._send(
                    {"type": "http.response.body", "body": piece, "more_body": True}
                )
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            # The head is out: an answer cut short is all that can still be told.
            _log.warning("console_cut", extra={"reason": type(error).__name__})
        await self._send(
            {"type": "http.response.body", "body": b"", "more_body": False}
        )

    async def page(self, status: int, text: str, *, again: bool = False) -> None:
        """Answer with a line of text, unless an answer is already under way."""
        if self._is_started:
            return
        body = text.encode() + b"\n"
        headers = [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", b"%d" % len(body)),
            (b"cache-control", b"no-store"),
            (b"x-content-type-options", b"nosniff"),
        ]
        if again:
            headers += [(b"retry-after", b"2")]
            if self.method == "GET":
                headers += [(b"refresh", b"2")]
        await self._start(status, headers)
        sent = b"" if self.method == "HEAD" else body
        await self._send(
            {"type": "http.response.body", "body": sent, "more_body": False}
        )

    async def _start(self, status: int, headers: Headers) -> None:
        self._is_started = True
        await self._send(
            {"type": "http.response.start", "status": status, "headers": headers}
        )

    def _has_body(self) -> bool:
        for name, value in self._scope["headers"]:
            if name == b"transfer-encoding":
                return True
            if name == b"content-length":
                return bool(value.strip(b"0 "))
        return False

    async def _stream(self) -> AsyncIterator[bytes]:
        self.is_body_touched = True
        size = 0
        try:
            while True:
                message = await self._receive()
                if message["type"] == "http.disconnect":
                    raise _GoneError
                piece: bytes = message.get("body", b"")
                size += len(piece)
                if size > BODY_LIMIT_BYTES:
                    raise _TooLargeError
                if piece:
                    yield piece
                if not message.get("more_body", False):
                    return
        finally:
            self._body_read.set()


def _named_in_connection(headers: Headers) -> frozenset[bytes]:
    """Collect the header names that Connection declares to be for one hop."""
    named = [
        part.strip().lower()
        for name, value in headers
        if name == b"connection"
        for part in value.split(b",")
    ]
    return frozenset(named) - {b"close", b"keep-alive"}
