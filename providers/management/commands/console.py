"""``pool console``: started by ``pool serve``; Django behind the door."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.urls import get_resolver
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.embed import Server

from poolsite.health import with_health
from poolsite.lock import REASON_VARIABLE
from poolsite.ui import sse

_HEADER_TIMEOUT_MS = 10_000


class Command(BaseCommand):
    help = "Internal: serve the console on its socket, or on an address."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="")
        parser.add_argument("--port", type=int, default=0)
        parser.add_argument("--locked", default="", help="why nothing may be served")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["locked"]:
            os.environ[REASON_VARIABLE] = options["locked"]
        # Imported now: the middleware chain reads whether the product is locked.
        from poolsite import asgi

        application: Any = asgi.application

        where: dict[str, Any] = {"address": options["host"], "port": options["port"]}
        if not options["port"]:
            where = {"uds": _free(settings.CONFIG.console_socket)}
        else:
            application = with_health(application, is_locked=bool(options["locked"]))
        server = Server(
            application,
            **where,
            interface=Interfaces.ASGINL,
            http=HTTPModes.http1,
            http1_settings=HTTP1Settings(header_read_timeout=_HEADER_TIMEOUT_MS),
            websockets=False,
            # The server calls itself experimental at every start; its errors matter.
            log_level=LogLevels.error,
        )
        if not options["locked"]:
            threading.Thread(target=_warm, name="warm", daemon=True).start()
        asyncio.run(_serve(server))


async def _serve(server: Server) -> None:
    loop = asyncio.get_running_loop()

    def stop() -> None:
        # The server waits for open streams, and these end only when told to.
        sse.close_all()
        server.stop()  # type: ignore[no-untyped-call] # ships no types

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    await server.serve()


def _warm() -> None:
    """Import every view before the first person waits for it."""
    # What is wrong with a view is for its own request to say.
    with contextlib.suppress(Exception):
        get_resolver().url_patterns  # noqa: B018 - reading it imports the views


def _free(path: Path) -> Path:
    """Remove the socket a killed console left behind."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    return path
