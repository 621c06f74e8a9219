"""Wake the worker for news that does not wait; at most one message a round.

The sweep would find it within a minute anyway, so nothing here may fail loudly.
"""

from __future__ import annotations

import logging
from typing import Final

from django.db import transaction
from kombu.exceptions import OperationalError

from poolsite.clock import Clock
from poolsite.models import DueTask

TASK: Final = "poolsite.deliver_news"
_log: Final = logging.getLogger(__name__)


def hurry(clock: Clock) -> None:
    """Let the sending task run as soon as this transaction commits.

    Cost:    one update; a message only when nobody has hurried since its last round.
    """
    now = clock.now()
    if DueTask.objects.filter(task=TASK, due_at__gt=now).update(due_at=now):
        transaction.on_commit(_send, robust=True)


def _send() -> None:
    from poolsite.celery import app

    try:
        app.send_task(TASK, expires=3_600, retry=False)
    except (OSError, OperationalError) as exc:
        _log.warning("could not send %s: %s", TASK, type(exc).__name__)
