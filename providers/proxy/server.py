"""The granian main of the data workers, with what it lacks for us.

Three changes: the workers share one listening socket, which outlives each of them;
workers that are killed over and over are replaced over and over, where granian takes
the second death within 5.5 s for a crash loop and leaves; and before workers are
stopped they are given the time to finish.

Source: granian 2.8, ``server/common.py`` and ``server/mp.py``; the names below are its
own and are covered by tests with real processes.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from granian._granian import SocketHolder
from granian.constants import HTTPModes, Interfaces, Loops, RuntimeModes
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.mp import MPServer

from poolsite.config import Config
from providers.proxy import metrics
from providers.proxy.runtime import METRICS_DIRECTORY
from providers.proxy.worker import DRAIN_SIGNAL

_HEADER_TIMEOUT_MS: Final = 10_000
_BACKLOG: Final = 2048
_KILL_TIMEOUT_S: Final = 10
_LONGEST_DRAIN_S: Final = 3600.0
_STEP_S: Final = 0.02
_FAILED_FAST_S: Final = 5.0
_MOST_FAILURES: Final = 8
_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 2.0


class _Forgetful(dict[int, float]):
    """Where granian notes respawns; what is not noted is no crash loop."""

    def __setitem__(self, key: int, value: float) -> None:
        """Note nothing."""


class DataServer(MPServer):
    """The main of the data workers.

    Shapes:  ``drained`` is the reading end of the pipe in which each worker says that
             nothing runs any more.
    """

    def __init__(self, listener: socket.socket, *, workers: int, drained: int) -> None:
        host, port = listener.getsockname()[:2]
        super().__init__(
            "providers.proxy.worker:make_worker",
            address=host,
            port=port,
            interface=Interfaces.ASGI,
            workers=workers,
            loop=Loops.uvloop,
            # One thread either way; the other kind had twice the p99 at half load.
            runtime_mode=RuntimeModes.mt,
            http=HTTPModes.http1,
            websockets=False,
            backlog=_BACKLOG,
            http1_settings=HTTP1Settings(header_read_timeout=_HEADER_TIMEOUT_MS),
            log_level=LogLevels.warning,
            respawn_failed_workers=True,
            respawn_interval=0.2,
            workers_kill_timeout=_KILL_TIMEOUT_S,
        )
        self.respawned_wrks = _Forgetful()
        self._listener = listener
        self._drained = drained
        self._interrupts = 0
        self._failures = 0
        os.set_blocking(drained, False)

    def run(self, make: Callable[[], Any], config: Config) -> int:
        """Serve until told to stop; return the exit status."""
        metrics.clear(config.run_path / METRICS_DIRECTORY)
        try:
            self.serve(target_loader=make, wrap_loader=False)
        except SystemExit as end:
            return end.code if isinstance(end.code, int) else 1
        return 0

    def signal_handler_interrupt(self, *args: Any, **kwargs: Any) -> None:
        """Count the signals: the second one makes the end fast."""
        self._interrupts += 1
        super().signal_handler_interrupt(*args, **kwargs)  # type: ignore[no-untyped-call]

    def _init_shared_socket(self) -> None:
        self._ssp = None
        descriptor = self._listener.fileno()
        self._shd = SocketHolder(descriptor, False, _BACKLOG)  # type: ignore[call-arg, assignment]
        self._sfd = descriptor  # type: ignore[assignment]
        self._sso = self._listener

    def _respawn_workers(
        self,
        workers: Sequence[int],
        spawn_target: Any,
        target_loader: Any,
        delay: float = 0,
    ) -> None:
        """Replace dead workers at once; those that end by themselves with a pause."""
        if any(self._failed_by_itself(idx) for idx in workers):
            self._failures += 1
            if self._failures >= _MOST_FAILURES:
                self.interrupt_children = list(workers)
                self.interrupt_signal = True
                self.main_loop_interrupt.set()
                return
            pause = _FIRST_PAUSE_S * 2 ** (self._failures - 1)
            time.sleep(min(pause, _LONGEST_PAUSE_S))
        else:
            self._failures = 0
        super()._respawn_workers(workers, spawn_target, target_loader, delay)

    def _failed_by_itself(self, idx: int) -> bool:
        worker = self.wrks[idx]
        lived_s = time.monotonic() - worker.birth
        status = worker.inner.exitcode
        return lived_s < _FAILED_FAST_S and status is not None and status >= 0

    def _stop_workers(self) -> None:
        self._drain_workers()
        super()._stop_workers()  # type: ignore[no-untyped-call]

    def _drain_workers(self) -> None:
        """Ask every worker to finish and wait until all have, or have died.

        How long they take is theirs to decide: the deadline is a setting of the pool.
        """
        told = 0
        finished = 0
        end = time.monotonic() + _LONGEST_DRAIN_S
        while time.monotonic() < end:
            alive = [worker for worker in self.wrks if worker.inner.is_alive()]
            if finished >= len(alive):
                return
            if told < max(self._interrupts, 1):
                told += 1
                for worker in alive:
                    _signal(worker.inner.pid)
            finished += self._read_drained()
            time.sleep(_STEP_S)

    def _read_drained(self) -> int:
        try:
            return len(os.read(self._drained, 64))
        except BlockingIOError:
            return 0


def _signal(pid: int | None) -> None:
    if pid is not None:
        try:
            os.kill(pid, DRAIN_SIGNAL)
        except ProcessLookupError:
            return
