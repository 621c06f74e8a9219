"""``pool worker``: started by ``pool serve``; Celery with its beat."""

from __future__ import annotations

import logging
import os
import warnings
from typing import Any

from celery.signals import worker_process_init
from django.core.management.base import BaseCommand

from poolsite.celery import app
from poolsite.supervisor.child import die_with_parent

_ARGUMENTS = (
    "--quiet", "worker", "--beat", "--loglevel", "WARNING", "--pool", "prefork",
    "--concurrency", "2", "--without-gossip", "--without-mingle",
    "--without-heartbeat",
)  # fmt: skip


class Command(BaseCommand):
    help = "Internal: run background tasks."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        # Containers run as root; messages are JSON, so that opens no door here.
        warnings.filterwarnings("ignore", message="(?s).*superuser privileges")
        # The file-system broker has no host, and says so at every start.
        logging.getLogger("kombu.connection").setLevel(logging.ERROR)
        # Checks would import every view; `make check` runs them.
        os.environ["CELERY_SKIP_CHECKS"] = "1"
        worker_process_init.connect(_in_pool_process, weak=False)
        app.worker_main([*_ARGUMENTS])


def _in_pool_process(**_: Any) -> None:
    """Let a pool process end with the worker, also when that was killed."""
    die_with_parent()
    if os.getppid() == 1:
        os._exit(0)
