"""What one forked data worker does before it serves, and how it hears of the end."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import resource
import signal
from typing import Final

from msgspec import Struct

from poolsite.config import Config, Roots
from providers.proxy.asgi import Door
from providers.proxy.exchange import Receive, Send
from providers.proxy.runtime import Runtime

DRAIN_SIGNAL: Final = signal.SIGUSR1
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_DUMPABLE: Final = 4
_GC_THRESHOLDS: Final = (10_000, 20, 50)
"""A request makes no circles, so the collector seldom finds anything to do."""
_libc: Final = ctypes.CDLL(None, use_errno=True)


class WorkerSettings(Struct, frozen=True):
    """What a worker inherits from the main.

    Shapes:  ``main_pid`` is its parent; ``drained_fd`` takes one byte when nothing
             runs any more.
    """

    config: Config
    secrets: Roots
    main_pid: int
    drained_fd: int


class WorkerDoor(Door):
    """The door, and the signal by which the main says that the end is near."""

    def __init__(self, runtime: Runtime, drained_fd: int) -> None:
        super().__init__(runtime)
        self._drained_fd = drained_fd
        self._drains: set[asyncio.Task[None]] = set()

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(DRAIN_SIGNAL, self._begin_drain)
        await super()._lifespan(receive, send)

    def _begin_drain(self) -> None:
        is_first = not self._drains
        task = asyncio.ensure_future(self._drain(is_first=is_first))
        self._drains.add(task)

    async def _drain(self, *, is_first: bool) -> None:
        try:
            await self._runtime.drain()
        finally:
            if is_first:
                os.write(self._drained_fd, b".")


def make_worker(settings: WorkerSettings) -> Door:
    """Make a worker of this process, just forked."""
    _harden(settings.main_pid)
    # Until the loop listens for it, being asked to drain must not be fatal.
    signal.signal(DRAIN_SIGNAL, signal.SIG_IGN)
    gc.set_threshold(*_GC_THRESHOLDS)
    return WorkerDoor(Runtime(settings.config, settings.secrets), settings.drained_fd)


def _harden(main_pid: int) -> None:
    """End with the main, however it ends, and leave no secrets in core files.

    The kernel's own kill, because a worker that outlives its main would keep the port.
    """
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != main_pid:
        os.kill(os.getpid(), signal.SIGKILL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
