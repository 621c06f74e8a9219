"""Make connections to judged addresses, and keep the ones that may be used again.

Every address a name leads to is judged before a socket is made, and the socket connects
to exactly the address that was judged: one forbidden address refuses the name.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Any, Final

from poolsite.destinations import Destination, Vetter
from poolsite.egress_wire import Key, WireConnection

Address = tuple[int, int, int, tuple[Any, ...]]
_IDLE_S: Final = 30.0
MOST_IDLE: Final = 1_000
MOST_IDLE_OF_ONE: Final = 256
"""How many connections wait for another call, in all and at one provider's origin."""

_DNS_CACHE_S: Final = 10.0
_DNS_ENTRIES: Final = 1_000


class WirePool:
    """Make connections to judged addresses, and keep the ones that may be used again.

    Connections are shared only between calls of the same scope, pool and origin. A
    stream has its connection to itself until it ends, so streams never keep a short
    call waiting. How many are open at once is for admission to say; what is kept idle
    is bounded here.
    """

    def __init__(self, vetter: Vetter, tls: ssl.SSLContext) -> None:
        self.loop = asyncio.get_running_loop()
        self._vetter = vetter
        self._tls = tls
        self._idle: dict[Key, list[WireConnection]] = {}
        self._kept = 0
        self._names: dict[tuple[str, int], tuple[float, list[Address]]] = {}
        self._sweeper: asyncio.TimerHandle | None = None

    async def acquire(
        self, destination: Destination, *, connect_s: float, tls_s: float
    ) -> WireConnection:
        """Return an idle connection, or open one.

        Errors: EgressRefusedError; OSError and ssl.SSLError of the attempt.
        """
        key = (destination.scope, destination.pool, destination.origin)
        idle = self._idle.get(key)
        while idle:
            connection = idle.pop()
            self._kept -= 1
            if not connection.is_closed:
                return connection
        return await self._open(key, destination, connect_s, tls_s)

    def keep(self, connection: WireConnection) -> None:
        """Take a connection back whose answer ended cleanly."""
        idle = self._idle.setdefault(connection.key, [])
        if self._kept >= MOST_IDLE or len(idle) >= MOST_IDLE_OF_ONE:
            connection.abort()
            return
        connection.idle_since = self.loop.time()
        self._kept += 1
        idle.append(connection)
        if self._sweeper is None:
            self._sweeper = self.loop.call_later(_IDLE_S, self._sweep)

    def close(self) -> None:
        """Close what is idle; connections in use end with their answers."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        for connections in self._idle.values():
            for connection in connections:
                connection.abort()
        self._idle.clear()
        self._kept = 0

    def _sweep(self) -> None:
        self._sweeper = None
        oldest = self.loop.time() - _IDLE_S
        for key, connections in list(self._idle.items()):
            fresh = [
                c for c in connections if c.idle_since > oldest and not c.is_closed
            ]
            for connection in connections:
                if connection.idle_since <= oldest:
                    connection.abort()
            if fresh:
                self._idle[key] = fresh
            else:
                del self._idle[key]
        self._kept = sum(len(connections) for connections in self._idle.values())
        if self._idle:
            self._sweeper = self.loop.call_later(_IDLE_S / 2, self._sweep)

    async def _open(
        self, key: Key, destination: Destination, connect_s: float, tls_s: float
    ) -> WireConnection:
        async with asyncio.timeout(connect_s):
            sock = await self._connect(destination)
        is_tls = destination.url.scheme == "https"
        try:
            _, connection = await self.loop.create_connection(
                lambda: WireConnection(self, key),
                sock=sock,
                ssl=self._tls if is_tls else None,
                server_hostname=destination.url.host if is_tls else None,
                ssl_handshake_timeout=tls_s if is_tls else None,
            )
        except ConnectionAbortedError as error:  # how the loop words a slow handshake
            sock.close()
            raise TimeoutError("The TLS handshake took too long.") from error
        except BaseException:
            sock.close()
            raise
        return connection

    async def _connect(self, destination: Destination) -> socket.socket:
        # The URL itself says where to go, so that no other field can disagree.
        host, port = destination.url.host or "", destination.url.port or 0
        addresses = await self._lookup(host, port)
        for *_, address in addresses:
            self._vetter.check_address(address[0], port, destination.scope)
        failure: OSError | None = None
        for family, kind, protocol, address in addresses:
            sock = socket.socket(family, kind, protocol)
            sock.setblocking(False)
            try:
                await self.loop.sock_connect(sock, address)
            except OSError as error:
                sock.close()
                failure = error
            except BaseException:
                sock.close()
                raise
            else:
                return sock
        raise failure or OSError("The name has no address.")

    async def _lookup(self, host: str, port: int) -> list[Address]:
        known = self._names.get((host, port))
        now = self.loop.time()
        if known is not None and known[0] > now:
            return known[1]
        found = await self.loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses: list[Address] = [
            (family, kind, protocol, address)
            for family, kind, protocol, _, address in found
        ]
        if len(self._names) >= _DNS_ENTRIES:
            self._names.clear()
        self._names[host, port] = (now + _DNS_CACHE_S, addresses)
        return addresses
