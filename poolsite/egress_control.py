"""Open outbound connections of the control plane, with httpx2.

Discovery, token endpoints, price lists, balances and webhooks go through here. The
network backend below httpx2 resolves, vets every address and connects to the vetted
address itself, then asks the socket where it really ended up. ``poolsite.egress`` is
the data plane's twin.
"""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, Final, Self

import httpcore2
import httpx2

from poolsite.destinations import (
    Category,
    Destination,
    EgressError,
    EgressRefusedError,
    HostPort,
    Scope,
    Vetter,
    require_origin,
)
from poolsite.egress_errors import (
    category_of,
    egress_error,
    inflate_capped,
    tls_context,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Answer", "ControlClient", "EgressError", "EgressRefusedError", "Vetter"]

ANSWER_LIMIT_BYTES: Final = 32 * 1024 * 1024
_CONNECT_S: Final = 5.0
_READ_S: Final = 20.0
_DEADLINE_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer, read and inflated.

    Shapes: header names are lower case.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    elapsed_ms: int

    def json(self) -> Any:
        """Parse the body as JSON.

        Errors: ValueError when it is none.
        """
        try:
            return json.loads(self.body)
        except RecursionError as exc:
            raise ValueError("nested too deeply") from exc


class ControlClient:
    """A guarded, synchronous HTTP client: no redirects, cookies, proxies or netrc.

    Safe to share between threads. Use it as a context manager or close it.
    """

    def __init__(
        self,
        vetter: Vetter,
        *,
        read_timeout_s: float = _READ_S,
        tls: ssl.SSLContext | None = None,
        limit_bytes: int = ANSWER_LIMIT_BYTES,
        deadline_s: float = _DEADLINE_S,
    ) -> None:
        self.vetter = vetter
        self._deadline_s = deadline_s
        self.limit_bytes = limit_bytes
        self._read_timeout_s = read_timeout_s
        self._tls = tls or tls_context()
        self._clients: dict[Scope | None, httpx2.Client] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def prepare(
        self, url: str, allowed: frozenset[HostPort] = frozenset()
    ) -> Destination:
        """Judge a URL for one provider; send the result.

        Errors: EgressRefusedError.
        """
        return self.vetter.check_url(url, allowed)

    def send(
        self,
        destination: Destination,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        secret_origin: str | None,
        method: str = "GET",
    ) -> Answer:
        """Send one request and return the whole answer, whatever its status.

        Shapes: secret_origin is the origin the credential in ``headers`` is bound to,
            None when the request carries none.
        Errors: OriginMismatchError before anything is opened; EgressRefusedError;
            EgressError with its category, too_large past ``limit_bytes``.
        """
        if secret_origin is not None:
            require_origin(destination, secret_origin)
        client = self._client(destination.scope)
        started = time.monotonic()
        with _as_egress_error():
            request = client.build_request(
                method, str(destination.url), headers=headers, content=body
            )
            # The two URL parsers must agree on where this goes.
            require_origin(destination, _origin_seen_by_client(request.url))
            with client.stream(
                method, request.url, headers=request.headers, content=body
            ) as response:
                data = self._read(response, started + self._deadline_s)
        encoding = response.headers.get("content-encoding", "")
        return Answer(
            status=response.status_code,
            headers=dict(response.headers),
            body=inflate_capped(data, encoding, self.limit_bytes),
            elapsed_ms=round((time.monotonic() - started) * 1_000),
        )

    def close(self) -> None:
        """Close every connection."""
        with self._lock:
            clients, self._clients = list(self._clients.values()), {}
        for client in clients:
            client.close()

    def _client(self, scope: Scope | None) -> httpx2.Client:
        with self._lock:
            client = self._clients.get(scope)
            if client is None:
                client = _make_client(
                    self.vetter, scope, self._tls, self._read_timeout_s
                )
                self._clients[scope] = client
            return client

    def _read(self, response: httpx2.Response, deadline: float) -> bytes:
        parts: list[bytes] = []
        size = 0
        for part in response.iter_raw():
            size += len(part)
            if size > self.limit_bytes:
                raise egress_error(Category.TOO_LARGE)
            if time.monotonic() > deadline:
                raise egress_error(Category.TIMEOUT)
            parts.append(part)
        return b"".join(parts)


class _VettedBackend(httpcore2.SyncBackend):
    """Resolve, judge each address, connect to it, and look where it ended up."""

    def __init__(self, vetter: Vetter, scope: Scope | None) -> None:
        self._vetter = vetter
        self._scope = scope

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        """Connect to the first address of the host that passes and answers."""
        last: Exception | None = None
        for address in _addresses(host, port):
            try:
                self._vetter.check_address(address, port, self._scope)
                stream = super().connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
                self._check_peer(stream)
            except (
                EgressRefusedError,
                httpcore2.ConnectError,
                httpcore2.ConnectTimeout,
            ) as exc:
                last = exc
            else:
                return stream
        if last is None:
            raise httpcore2.ConnectError("no address")
        raise last

    def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        """Refuse: no outbound call of the control plane goes to a Unix socket."""
        raise EgressRefusedError("This address is never reached.")

    def _check_peer(self, stream: httpcore2.NetworkStream) -> None:
        peer = stream.get_extra_info("server_addr")
        try:
            self._vetter.check_address(peer[0], peer[1], self._scope)
        except EgressRefusedError:
            stream.close()
            raise


class _VettedTransport(httpx2.HTTPTransport):
    """httpx2's own transport over a pool that connects through the backend above."""

    def __init__(
        self, vetter: Vetter, scope: Scope | None, tls: ssl.SSLContext
    ) -> None:
        super().__init__(verify=tls, trust_env=False)
        self._pool.close()
        self._pool = httpcore2.ConnectionPool(
            ssl_context=tls,
            max_connections=20,
            max_keepalive_connections=4,
            keepalive_expiry=15,
            network_backend=_VettedBackend(vetter, scope),
        )


def _make_client(
    vetter: Vetter, scope: Scope | None, tls: ssl.SSLContext, read_timeout_s: float
) -> httpx2.Client:
    return httpx2.Client(
        transport=_VettedTransport(vetter, scope, tls),
        timeout=httpx2.Timeout(read_timeout_s, connect=_CONNECT_S, pool=_CONNECT_S),
        headers={"Accept-Encoding": "identity", "User-Agent": "provider-pool"},
        cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=[])),
        follow_redirects=False,
        trust_env=False,
    )


def _addresses(host: str, port: int) -> list[str]:
    """Return the distinct addresses of a host in the resolver's order."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as exc:
        raise egress_error(Category.DNS) from exc
    return list(dict.fromkeys(str(info[4][0]) for info in found))


def _origin_seen_by_client(url: httpx2.URL) -> str:
    host = url.raw_host.decode("ascii")
    shown = f"[{host}]" if ":" in host else host
    port = url.port or {"http": 80, "https": 443}[url.scheme]
    return f"{url.scheme}://{shown}:{port}"


@contextmanager
def _as_egress_error() -> Iterator[None]:
    try:
        yield
    except EgressError:
        raise
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as exc:
        raise egress_error(category_of(exc)) from exc
