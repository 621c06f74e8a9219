"""Raise the configuration version when something the data plane knows changes.

Every change happens in the same transaction as the row it describes, so a reader
that sees a version sees everything up to it.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.db import transaction
from django.db.models import F

from poolsite.clock import Clock, SystemClock
from poolsite.models import ConfigVersion, Tombstone, Versioned

_CLOCK = SystemClock()


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


def _next() -> int:
    # Without an open transaction a reader could see the version before the rows.
    transaction.get_connection().validate_no_broken_transaction()
    if not transaction.get_connection().in_atomic_block:
        raise transaction.TransactionManagementError(
            "A version is raised inside the transaction of its change."
        )
    ConfigVersion.objects.get_or_create(pk=1)
    ConfigVersion.objects.filter(pk=1).update(version=F("version") + 1)
    return ConfigVersion.objects.values_list("version", flat=True).get(pk=1)
