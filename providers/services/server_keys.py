"""Offer keys that are in the server's own environment, by name and never by value.

Only names the catalogue lists for that provider can be used: nobody may read another
variable of the server by asking for it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import Final

from providers.catalogue.spec import CatalogueEntry
from providers.services.errors import ServiceError

_OWN: Final = re.compile(r"POOL_|DATABASE_URL$|REDIS_URL$|DJANGO_")
_KEYLIKE: Final = re.compile(r"[A-Z][A-Z0-9_]{2,60}")


def offered(entry: CatalogueEntry | None) -> list[str]:
    """Return the variables with a key for this provider that the server has."""
    return [name for name in _listed(entry) if os.environ.get(name, "").strip()]


def read(entry: CatalogueEntry | None, names: Iterable[str]) -> list[str]:
    """Return the values of chosen variables.

    Errors:  ServiceError for a name the catalogue does not list, or that is not set.
    """
    known = offered(entry)
    values = []
    for name in names:
        if name not in known:
            raise ServiceError(
                "This variable is none of this provider's on the server.",
                field="environment",
            )
        values.append(os.environ[name].strip())
    return values


def _listed(entry: CatalogueEntry | None) -> list[str]:
    if entry is None:
        return []
    return [
        name
        for name in entry.environment
        if _KEYLIKE.fullmatch(name) and not _OWN.match(name)
    ]
