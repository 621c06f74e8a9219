"""Hosts at which no call ever arrives: nobody there, no name, no trust."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tests.providers.failover.certificates import Authority, Papers, server_context
from tests.rig.ports import closed_port


class Impostor:
    """A host nobody should trust; ``heard`` is what it was told all the same."""

    def __init__(self) -> None:
        self.heard = b""
        self.port = 0

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Keep whatever arrives, and answer nothing."""
        while data := await reader.read(65_536):
            self.heard += data
        writer.close()


@asynccontextmanager
async def impostor(context: ssl.SSLContext | None) -> AsyncIterator[Impostor]:
    """Listen on loopback; without a context nobody answers a handshake."""
    made = Impostor()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=context)
    async with server:
        made.port = server.sockets[0].getsockname()[1]
        yield made


@dataclass(frozen=True)
class DeadHosts:
    """Base URLs by the name of the fault, and the host that listens."""

    urls: dict[str, str]
    impostor: Impostor


@asynccontextmanager
async def dead_hosts() -> AsyncIterator[DeadHosts]:
    """Open what a call may run into before it arrives anywhere."""
    papers = Authority().issue(Papers())
    async with impostor(server_context(papers)) as false:
        urls = {
            "refused": f"http://127.0.0.1:{closed_port()}/v1",
            # A name that is never given to anybody (RFC 2606).
            "DNS": "https://nobody.invalid:443/v1",
            "TLS": f"https://127.0.0.1:{false.port}/v1",
        }
        yield DeadHosts(urls, false)
