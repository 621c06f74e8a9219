"""The Celery app: file-system broker when embedded, Redis in a fleet.

Delivery is at most once over the file system, so nothing depends on a message:
every task has a due row or a Job, and a sweep re-sends what is late.
"""

from __future__ import annotations

import os
from typing import Any

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "poolsite.settings")

from django.conf import settings

from poolsite import broker

app = Celery("pool")


def _broker() -> dict[str, Any]:
    if settings.CONFIG.redis_url:
        return {
            "broker_url": settings.CONFIG.redis_url,
            "broker_transport_options": {
                "visibility_timeout": 3600,
                "socket_keepalive": True,
                "health_check_interval": 30,
            },
        }
    root = settings.DATA_DIR / "broker"
    for name in ("queue", "processed", "control"):
        (root / name).mkdir(parents=True, exist_ok=True)
    return {
        "broker_url": f"{broker.SCHEME}://",
        "broker_transport_options": {
            "data_folder_in": str(root / "queue"),
            "data_folder_out": str(root / "queue"),
            "processed_folder": str(root / "processed"),
            "control_folder": str(root / "control"),
            "store_processed": False,
            "polling_interval": 0.2,
        },
    }


app.conf.update(
    accept_content=["json"],
    task_serializer="json",
    result_serializer="json",
    task_ignore_result=True,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    task_soft_time_limit=50,
    task_time_limit=60,
    worker_max_tasks_per_child=500,
    worker_hijack_root_logger=False,
    worker_send_task_events=False,
    broker_connection_retry_on_startup=True,
    worker_cancel_long_running_tasks_on_connection_loss=True,
    timezone="UTC",
    beat_schedule={
        "sweep": {
            "task": "poolsite.sweep",
            "schedule": 30.0,
            "options": {"expires": 25},
        }
    },
    beat_schedule_filename=str(settings.DATA_DIR / "run" / "beat"),
    **_broker(),
)
app.autodiscover_tasks(["poolsite", "usage", "pricing", "oauth", "providers"])
