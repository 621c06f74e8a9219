"""Open outbound connections of the data plane; with its pool, the only way out.

``poolsite.destinations`` holds the policy; ``poolsite.egress_pool`` puts it where it
cannot be passed by: every address a name leads to is judged, whatever the URL said (a
name, a literal, hex, circled digits, a mapped IPv6 address), and the socket connects to
the judged address itself.

Idle connections are shared between requests. So a request that may reach a private
address has connections of its own, kept under that exact host and port; a provider
without the permission never finds one opened under another's.

``poolsite.egress_control`` is the same for the control plane, with httpx2; it stands
apart so that a data process does not load that library. The door's way to the console
is aiohttp over the product's own Unix socket.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Final

import aiohttp
from yarl import URL

from poolsite.destinations import (
    Category,
    Destination,
    EgressError,
    EgressRefusedError,
    HostPort,
    NotConnectedError,
    OriginMismatchError,
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
from poolsite.egress_pool import WirePool
from poolsite.egress_wire import Headers, WireAnswer, request_head, request_prefix

__all__ = [
    "Category",
    "Destination",
    "EgressError",
    "EgressRefusedError",
    "HostPort",
    "NotConnectedError",
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

UpstreamResponse = WireAnswer

ANSWER_LIMIT_BYTES: Final = 64 * 1024 * 1024
_PREFIXES: Final = 10_000
_KEEP_ALIVE_S: Final = 30
# The client stops reading from the socket at twice this: 256 KB a stream.
_READ_BUFFER_BYTES: Final = 128 * 1024
_HEADER_LIMIT_BYTES: Final = 32 * 1024


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
        self._pool: WirePool | None = None
        self._prefixes: dict[tuple[str, URL], str] = {}
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
        Cost:   under 20 us on a connection that is open.
        """
        if secret_origin is not None:
            require_origin(destination, secret_origin)
        with as_egress_error():
            head = request_head(self._prefix(method, destination), headers, body)
            if timeouts.first_byte_s is None:
                answer = await self._ask(destination, head, body, timeouts)
            else:
                async with asyncio.timeout(timeouts.first_byte_s):
                    answer = await self._ask(destination, head, body, timeouts)
        answer.gap_s = timeouts.gap_s
        return answer

    async def aclose(self) -> None:
        """Close every idle connection; the client is not usable afterwards."""
        self._closed = True
        if self._pool is not None:
            self._pool.close()

    async def _ask(
        self,
        destination: Destination,
        head: bytes,
        body: bytes | None,
        timeouts: Timeouts,
    ) -> UpstreamResponse:
        if self._closed:
            raise RuntimeError("The client is closed.")
        if self._pool is None:
            self._pool = WirePool(self.vetter, self._tls)
        try:
            connection = await self._pool.acquire(
                destination, connect_s=timeouts.connect_s, tls_s=timeouts.tls_s
            )
        except TimeoutError as error:
            raise NotConnectedError(Category.TIMEOUT, _NO_CONNECTION) from error
        except OSError as error:
            # Nobody was told anything yet; from here on a break may have cost something.
            if category_of(error) is not Category.RESET:
                raise
            raise NotConnectedError(Category.RESET, _BROKE_OFF) from error
        try:
            return await connection.ask(head, body)
        except BaseException:
            connection.abort()
            raise

    def _prefix(self, method: str, destination: Destination) -> str:
        key = (method, destination.url)
        known = self._prefixes.get(key)
        if known is None:
            known = request_prefix(method, destination)
            if len(self._prefixes) >= _PREFIXES:
                self._prefixes.clear()
            self._prefixes[key] = known
        return known


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
    encoding = response.headers.get("content-encoding", "")
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


_NO_CONNECTION: Final = "The host did not accept a connection in time."
_BROKE_OFF: Final = "The host broke the connection off before it was usable."
_AS_EGRESS_ERROR: Final = _AsEgressError()


def as_egress_error() -> _AsEgressError:
    """Turn what a client raises into EgressError; cancellation is left alone."""
    return _AS_EGRESS_ERROR
