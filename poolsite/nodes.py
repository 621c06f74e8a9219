"""One row for each running node: its heartbeat, its keys, its lease.

A node is a data directory; its id is a file there, so it survives restarts and moves
with the directory.
"""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Sequence
from datetime import timedelta
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from django.db import transaction
from django.db.models import Q

from poolsite.clock import Clock
from poolsite.ids import uuid7
from poolsite.models import Node

LEASE: Final = timedelta(seconds=20)
_FILE: Final = "node_id"


def node_id(data_dir: Path, clock: Clock) -> uuid.UUID:
    """Return this data directory's node id, making it once."""
    path = data_dir / _FILE
    try:
        return uuid.UUID(path.read_text(encoding="ascii").strip())
    except FileNotFoundError:
        fresh = uuid7(clock)
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return node_id(data_dir, clock)
    with os.fdopen(fd, "w", encoding="ascii") as stream:
        stream.write(f"{fresh}\n")
    return fresh


def product_version() -> str:
    """Return the installed release, or ``dev`` in a bare checkout."""
    try:
        return version("provider-pool")
    except PackageNotFoundError:
        return "dev"


@transaction.atomic
def register(
    me: uuid.UUID, *, planes: str, key_ids: Sequence[str], clock: Clock
) -> Node:
    """Say that this node starts now."""
    now = clock.now()
    row, _ = Node.objects.update_or_create(
        id=me,
        defaults={
            "name": socket.gethostname()[:120],
            "planes": planes,
            "product_version": product_version(),
            "key_ids": list(key_ids),
            "started_at": now,
            "heartbeat_at": now,
        },
    )
    return row


def heartbeat(
    me: uuid.UUID,
    *,
    snapshot_version: int,
    key_ids: Sequence[str],
    has_lease: bool,
    clock: Clock,
) -> None:
    """Say that this node lives, what it has loaded, and keep its lease; one update."""
    now = clock.now()
    Node.objects.filter(pk=me).update(
        heartbeat_at=now,
        snapshot_version=snapshot_version,
        key_ids=list(key_ids),
        data_lease_until=now + LEASE if has_lease else None,
    )


@transaction.atomic
def take_lease(me: uuid.UUID, clock: Clock) -> str:
    """Take the lease of the only data plane; return the holder's name if refused.

    Without Redis limits and budgets live in one process, so a second data plane on
    the same database would let everybody spend twice.
    """
    now = clock.now()
    # Locks every node's row, in one order: two that start at once cannot both win.
    others = list(
        Node.objects.select_for_update()
        .filter(Q(data_lease_until__gt=now) | Q(pk=me))
        .order_by("pk")
    )
    for other in others:
        if other.pk != me:
            return other.name
    Node.objects.filter(pk=me).update(data_lease_until=now + LEASE)
    return ""


def release_lease(me: uuid.UUID) -> None:
    """Give the lease back, so that another node need not wait for its end."""
    Node.objects.filter(pk=me).update(data_lease_until=None)
