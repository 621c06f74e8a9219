"""Raise the configuration version when something the data plane knows changes.

Every change happens in the same transaction as the row it describes, so a reader
that sees a version sees everything up to it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import TypeVar

from django.db import transaction
from django.db.models import F, QuerySet

from poolsite.clock import Clock, SystemClock
from poolsite.models import ConfigVersion, Tombstone, Versioned

_CLOCK = SystemClock()
_Row = TypeVar("_Row", bound=Versioned)


def current() -> int:
    """Return the version of the configuration; one query."""
    row = ConfigVersion.objects.filter(pk=1).values_list("version", flat=True).first()
    return row or 0


def bump(*objects: Versioned) -> int:
    """Raise the version and stamp the given rows with it; return the version.

    The rows must be saved already. Nothing else of them is written.

    Errors: TransactionManagementError outside a transaction.
    Cost:   one update for the counter, one for each model class.
    """
    version = _next()
    by_model: dict[type[Versioned], list[int]] = {}
    for row in objects:
        row.changed_at_version = version
        by_model.setdefault(type(row), []).append(row.pk)
    for model, keys in by_model.items():
        model._default_manager.filter(pk__in=keys).update(changed_at_version=version)
    return version


def bump_gone(kind: str, keys: Iterable[str], *, clock: Clock = _CLOCK) -> int:
    """Raise the version and leave a tombstone for each key of that kind."""
    version = _next()
    now = clock.now()
    Tombstone.objects.bulk_create(
        [Tombstone(kind=kind, key=key, version=version, at=now) for key in keys]
    )
    return version


def changed_since(model: type[_Row], version: int) -> QuerySet[_Row]:
    """Return the rows of a model that changed after a version, oldest change first.

    Read ``current`` before these: what changes meanwhile then comes twice, never not.
    """
    found = model._default_manager.filter(changed_at_version__gt=version)
    return found.order_by("changed_at_version", "pk")


def gone_since(version: int) -> dict[str, list[str]]:
    """Return the keys deleted after a version, per kind; one query."""
    gone: dict[str, list[str]] = {}
    found = Tombstone.objects.filter(version__gt=version).order_by("version", "id")
    for kind, key in found.values_list("kind", "key"):
        gone.setdefault(kind, []).append(key)
    return gone


def prune_tombstones(*, older_than: timedelta, clock: Clock = _CLOCK) -> int:
    """Forget deletions every snapshot has long seen; return how many.

    A reader whose version is older than what is kept loads everything anew:
    ``oldest_delta`` says which that is.
    """
    with transaction.atomic():
        last = Tombstone.objects.order_by("-version").values_list("version", flat=True)
        newest = last.first() or 0
        # The newest stays, so that what was pruned remains known to be missing.
        old = Tombstone.objects.filter(
            at__lt=clock.now() - older_than, version__lt=newest
        )
        return old.delete()[0]


def oldest_delta() -> int:
    """Return the version below which a delta may miss a pruned deletion.

    Shapes: 0 while nothing was ever deleted.
    """
    first = Tombstone.objects.order_by("version").values_list("version", flat=True)
    return first.first() or 0


def _next() -> int:
    # Without an open transaction a reader could see the version before the rows.
    transaction.get_connection().validate_no_broken_transaction()
    if not transaction.get_connection().in_atomic_block:
        raise transaction.TransactionManagementError(
            "A version is raised inside the transaction of its change."
        )
    row = ConfigVersion.objects.filter(pk=1)
    # The update locks the row, so versions become visible in the order they rise.
    if not row.update(version=F("version") + 1):
        ConfigVersion.objects.get_or_create(pk=1)
        row.update(version=F("version") + 1)
    return ConfigVersion.objects.values_list("version", flat=True).get(pk=1)
