"""``pool worker``: started by ``pool serve``; Celery with its beat."""

from __future__ import annotations

import gc
import logging
import os
import signal
import threading
import time
import warnings
from types import FrameType
from typing import Any

from celery.beat import EmbeddedService
from celery.bootsteps import StartStopStep
from celery.signals import worker_process_init, worker_ready
from celery.worker import state
from django.core.management.base import BaseCommand

from poolsite.celery import app
from poolsite.supervisor.child import die_with_parent

_WATCH_S = 1.0
_A_PROCESS_WAS_KILLED = 70

_ARGUMENTS = (
    "--quiet", "worker", "--loglevel", "WARNING", "--pool", "prefork",
    "--concurrency", "2", "--without-gossip", "--without-mingle",
    "--without-heartbeat",
)  # fmt: skip


class BeatThread(StartStopStep):
    """Embed the beat as a thread: ``--beat`` would start one more process for it."""

    requires = ("celery.worker.components:Pool",)

    def create(self, parent: Any) -> Any:
        return EmbeddedService(parent.app, thread=True)


class Command(BaseCommand):
    help = "Internal: run background tasks."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        # Clients and the keeper come first.
        os.nice(15)
        # Containers run as root; messages are JSON, so that opens no door here.
        warnings.filterwarnings("ignore", message="(?s).*superuser privileges")
        # The file-system broker has no host, and says so at every start.
        logging.getLogger("kombu.connection").setLevel(logging.ERROR)
        # Checks would import every view; `make check` runs them.
        os.environ["CELERY_SKIP_CHECKS"] = "1"
        worker_process_init.connect(_in_pool_process, weak=False)
        worker_ready.connect(_end_quickly_when_idle, weak=False)
        worker_ready.connect(_leave_when_a_process_is_killed, weak=False)
        # What is loaded by now is shared with the pool's processes, and stays shared.
        app.loader.import_default_modules()
        gc.collect()
        gc.freeze()
        app.steps["worker"].add(BeatThread)
        app.worker_main([*_ARGUMENTS])


def _end_quickly_when_idle(**_: Any) -> None:
    """Spare an idle worker the four seconds its pool takes to be taken apart.

    Pool processes end with it; due rows and jobs, not messages, say what is to do.
    """
    warm = signal.getsignal(signal.SIGTERM)

    def stop(number: int, frame: FrameType | None) -> None:
        if not state.active_requests and not state.reserved_requests:
            os._exit(0)
        if callable(warm):
            warm(number, frame)

    signal.signal(signal.SIGTERM, stop)


def _leave_when_a_process_is_killed(sender: Any, **_: Any) -> None:
    """Watch the pool's processes; end the worker when one of them was killed.

    They share one queue and its lock. One that is killed while it waits there takes the
    lock with it: the others would wait for ever and the worker would look alive. The
    supervisor starts another; interrupted jobs go on there.
    """
    pool = sender.pool._pool
    threading.Thread(target=_watch, args=(pool,), name="watch", daemon=True).start()


def _watch(pool: Any) -> None:
    seen: dict[int, Any] = {}
    while True:
        time.sleep(_WATCH_S)
        seen |= {each.pid: each for each in list(pool._pool) if each.pid}
        for pid, process in list(seen.items()):
            status = process.exitcode
            if status is None:
                continue
            if status < 0:
                os._exit(_A_PROCESS_WAS_KILLED)
            del seen[pid]


def _in_pool_process(**_: Any) -> None:
    """Let a pool process end with the worker, also when that was killed."""
    die_with_parent()
    if os.getppid() == 1:
        os._exit(0)
