"""Open outbound connections of the data plane; the only module that does.

``poolsite.destinations`` holds the policy; this module puts it where it cannot be
passed by. Every socket of the client is made by a ``socket_factory`` that sees the
address really about to be connected, whatever the URL said: a name, a literal, hex,
circled digits or a mapped IPv6 address. The client itself skips name resolution for
literals, so a check in a resolver alone would miss them.

The factory does not see which request the socket is for, and the client shares idle
connections between requests. So a request that may reach a private address gets a
session, connector and idle pool of its own, keyed by that exact host and port; a
provider without the permission never finds a connection opened under another's.

``poolsite.egress_control`` is the same for the control plane, with httpx2; it stands
apart so that a data process does not load that library.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import aiohttp
from aiohttp.abc import AbstractStreamWriter

from poolsite.destinations import (
    Category,
    Destination,
    EgressError,
    EgressRefusedError,
    HostPort,
    OriginMismatchError,
    Scope,
    Vetter,
    require_origin,
)
from poolsite.egress_errors import (
    category_of,
    category_of_status,
    egress_error,
    inflate_capped,
    refusal_in,
    tls_context,
)

__all__ = [
    "Category",
    "Destination",
    "EgressError",
    "EgressRefusedError",
    "HostPort",
    "OriginMismatchError",
    "Timeouts",
    "UpstreamClient",
    "UpstreamResponse",
    "Vetter",
    "as_egress_error",
    "category_of",
    "category_of_status",
    "inflate_capped",
    "make_console_session",
    "read_capped",
    "require_origin",
    "tls_context",
]

UpstreamResponse = aiohttp.ClientResponse
Headers = Mapping[str, str] | Sequence[tuple[str, str]]

ANSWER_LIMIT_BYTES: Final = 64 * 1024 * 1024
_UNTYPED: Final = ("Content-Type",)
_KEEP_ALIVE_S: Final = 30
_DNS_CACHE_S: Final = 10
# The client stops reading from the socket at twice this: 256 KB a stream.
_READ_BUFFER_BYTES: Final = 128 * 1024
_HEADER_LIMIT_BYTES: Final = 32 * 1024
_WHOLE_BODY_BYTES: Final = 512 * 1024
_SLICE_BYTES: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long one upstream call may take, stage by stage.

    Units: seconds. ``first_byte_s`` runs from the call to the answer's headers;
        ``gap_s`` is the longest silence between bytes after them. None = the caller
        keeps that deadline itself and cancels: a timer for each call and each read
        costs a fifth of a relayed request.
    """

    connect_s: float = 5.0
    tls_s: float = 5.0
    pool_wait_s: float = 2.0
    first_byte_s: float | None = 120.0
    gap_s: float | None = 90.0
    total_s: float | None = 1_800.0


DEFAULT_TIMEOUTS: Final = Timeouts()


class UpstreamClient:
    """The data plane's HTTP client: vetted, without redirects, cookies or proxies.

    Make it inside the running loop and close it there. Connections are unlimited
    here: admission decides how many requests run.
    """

    def __init__(self, vetter: Vetter, *, tls: ssl.SSLContext | None = None) -> None:
        self.vetter = vetter
        self._tls = tls or tls_context()
        self._sessions: dict[tuple[Scope | None, str], aiohttp.ClientSession] = {}
        self._closed = False

    def prepare(
        self, url: str, allowed: frozenset[HostPort] = frozenset(), *, pool: str = ""
    ) -> Destination:
        """Judge a URL for one provider; send the result.

        Shapes: pool, when given, keeps this provider's idle connections apart.
        Errors: EgressRefusedError.
        Cost:   a few microseconds for a URL seen lately.
        """
        destination = self.vetter.check_url(url, allowed)
        return replace(destination, pool=pool) if pool else destination

    async def send(
        self,
        destination: Destination,
        *,
        headers: Headers,
        body: bytes | None = None,
        secret_origin: str | None,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        method: str = "POST",
    ) -> UpstreamResponse:
        """Send one request and return the answer, opened but not read.

        The caller closes the answer. Nothing is followed: a 3xx is an answer like any
        other. The body comes back as the upstream encoded it; identity is asked for.

        Shapes: secret_origin is the origin the credential in ``headers`` is bound to,
            None when the request carries no credential.
        Errors: OriginMismatchError before anything is opened; EgressRefusedError;
            EgressError with its category. Cancellation passes through.
        """
        if secret_origin is not None:
            require_origin(destination, secret_origin)
        call = self._session(destination.scope, destination.pool).request(
            method,
            destination.url,
            headers=headers,
            data=_payload(body),
            timeout=_client_timeout(timeouts),
            allow_redirects=False,
            ssl=self._tls,
            # The client would add one of its own; telling it not to costs 2 us.
            skip_auto_headers=None if "content-type" in headers else _UNTYPED,
        )
        with as_egress_error():
            if timeouts.first_byte_s is None:
                return await call
            async with asyncio.timeout(timeouts.first_byte_s):
                return await call

    async def aclose(self) -> None:
        """Close every connection; the client is not usable afterwards."""
        self._closed = True
        sessions, self._sessions = list(self._sessions.values()), {}
        for session in sessions:
            await session.close()

    def _session(self, scope: Scope | None, pool: str) -> aiohttp.ClientSession:
        session = self._sessions.get((scope, pool))
        if session is None:
            if self._closed:
                raise RuntimeError("The client is closed.")
            session = _make_session(self.vetter, scope)
            self._sessions[(scope, pool)] = session
        return session


def make_console_session(socket_path: Path) -> aiohttp.ClientSession:
    """Make the door's session to the console over its Unix socket.

    The path is fixed by the product, so nothing is vetted. Bodies pass as they are
    and no header is added; the caller passes ``allow_redirects=False``.
    """
    return aiohttp.ClientSession(
        connector=aiohttp.UnixConnector(
            path=str(socket_path), limit=0, keepalive_timeout=_KEEP_ALIVE_S
        ),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=120),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
        skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent", "Content-Type"),
        read_bufsize=_READ_BUFFER_BYTES,
        max_line_size=_HEADER_LIMIT_BYTES,
        max_field_size=_HEADER_LIMIT_BYTES,
    )


async def read_capped(
    response: UpstreamResponse, limit: int = ANSWER_LIMIT_BYTES
) -> bytes:
    """Read a whole answer, inflated if it came compressed, up to a size.

    Errors: EgressError too_large, or the category of a broken read.
    """
    parts: list[bytes] = []
    size = 0
    with as_egress_error():
        async for part in response.content.iter_any():
            size += len(part)
            if size > limit:
                response.close()
                raise egress_error(Category.TOO_LARGE)
            parts.append(part)
    encoding = response.headers.get("Content-Encoding", "")
    return inflate_capped(b"".join(parts), encoding, limit)


class _AsEgressError:
    """A context without state: entering one made by a generator costs five times it."""

    __slots__ = ()

    def __enter__(self) -> None:
        """Begin to listen."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Word what the client raised; what is no fault of a call passes.

        Errors: EgressError.
        """
        if error is None or isinstance(error, EgressError):
            return
        if isinstance(error, aiohttp.ClientError | OSError):
            refusal = refusal_in(error)
            if refusal is not None:
                raise refusal from error
            raise egress_error(category_of(error)) from error


_AS_EGRESS_ERROR: Final = _AsEgressError()


def as_egress_error() -> _AsEgressError:
    """Turn what a client raises into EgressError; cancellation is left alone."""
    return _AS_EGRESS_ERROR


class _SlicedBody(aiohttp.Payload):
    """A large body written piece by piece, so that other requests get their turn."""

    _autoclose = True

    def __init__(self, value: bytes) -> None:
        super().__init__(value)
        self._size = len(value)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Return the body as text, which the client asks of every payload."""
        return bytes(self._value).decode(encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Write the body; each piece waits for the socket to take the last."""
        view = memoryview(self._value)
        for start in range(0, len(view), _SLICE_BYTES):
            await writer.write(view[start : start + _SLICE_BYTES])


def _payload(body: bytes | None) -> bytes | _SlicedBody | None:
    if body is None or len(body) <= _WHOLE_BODY_BYTES:
        return body
    return _SlicedBody(body)


def _make_session(vetter: Vetter, scope: Scope | None) -> aiohttp.ClientSession:
    def vetted_socket(info: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, _, address = info
        vetter.check_address(address[0], address[1], scope)
        return socket.socket(family=family, type=kind, proto=protocol)

    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            socket_factory=vetted_socket,
            resolver=aiohttp.ThreadedResolver(),
            ttl_dns_cache=_DNS_CACHE_S,
            limit=0,
            keepalive_timeout=_KEEP_ALIVE_S,
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
        headers={"Accept-Encoding": "identity", "User-Agent": "provider-pool"},
        read_bufsize=_READ_BUFFER_BYTES,
        max_line_size=_HEADER_LIMIT_BYTES,
        max_field_size=_HEADER_LIMIT_BYTES,
    )


@lru_cache(maxsize=256)
def _client_timeout(timeouts: Timeouts) -> aiohttp.ClientTimeout:
    opening = timeouts.connect_s + timeouts.tls_s
    silence: float | None = None
    if timeouts.first_byte_s is not None and timeouts.gap_s is not None:
        # Armed before the headers too, so it must not undercut the first byte.
        silence = max(timeouts.first_byte_s, timeouts.gap_s)
    return aiohttp.ClientTimeout(
        total=timeouts.total_s,
        # Of no use without a limit of connections: nobody waits for one.
        connect=None if silence is None else timeouts.pool_wait_s + opening,
        sock_connect=opening,
        sock_read=silence,
    )
