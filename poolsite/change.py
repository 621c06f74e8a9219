"""Run a service as one change: in one transaction, and one at a time.

Changes of the configuration wait for each other anyway where they raise its version.
Taking that lock first means that what a change looks at (the last owner, a name still
free, a key not yet revoked) stays true until it is written, and that two changes which
touch the same rows in another order cannot wait for each other in a circle.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from django.db import connection, transaction

from poolsite.models import ConfigVersion

_P = ParamSpec("_P")
_R = TypeVar("_R")


def one_change(service: Callable[_P, _R]) -> Callable[_P, _R]:
    """Decorate a service whose change is whole or does not happen.

    Rows it was handed may be old: a service reads them anew before it decides.

    Cost: one query on PostgreSQL, none on SQLite.
    """

    @wraps(service)
    def change(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        with transaction.atomic():
            wait_for_turn()
            return service(*args, **kwargs)

    return change


def wait_for_turn() -> None:
    """Let no other change run from here to the end of this transaction.

    On SQLite the transaction, begun IMMEDIATE, is that lock already.
    """
    if connection.vendor == "postgresql":
        ConfigVersion.objects.get_or_create(pk=1)
        ConfigVersion.objects.select_for_update().get(pk=1)
