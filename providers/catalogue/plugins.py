"""Find providers in installed packages.

A package offers entries of the catalogue by an entry point of the group
``provider_pool.providers``: a ``CatalogueEntry``, a list of them, or a function without
arguments that returns either, or None to decline. The product's own entries keep their
ids; what cannot be loaded is left out with a line in the log.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final, TypeVar

GROUP: Final = "provider_pool.providers"
_Entry = TypeVar("_Entry")
_log: Final = logging.getLogger("providers.catalogue")


def installed(kind: type[_Entry]) -> list[_Entry]:
    """Return what every installed package offers, by name of the entry point."""
    return from_entry_points(entry_points(group=GROUP), kind)


def from_entry_points(points: Iterable[EntryPoint], kind: type[_Entry]) -> list[_Entry]:
    """Load entries; of several points under one name the first that does not decline.

    Fails:   never: what cannot be loaded is logged and left out.
    """
    found: dict[str, list[_Entry]] = {}
    for point in sorted(points, key=_by_name):
        if point.name in found:
            continue
        try:
            made = _offered(point.load(), kind)
        except Exception as error:  # noqa: BLE001 - a plugin may fail in any way
            _log.error("plugin_failed: %s: %s", point.value, error)
            continue
        if made is not None:
            found[point.name] = made
    return [entry for entries in found.values() for entry in entries]


def _offered(loaded: Any, kind: type[_Entry]) -> list[_Entry] | None:
    """Return the entries an entry point names.

    Errors:  TypeError for what are none.
    """
    offered = loaded() if callable(loaded) else loaded
    if offered is None:
        return None
    entries = [offered] if isinstance(offered, kind) else list(offered)
    if not all(isinstance(entry, kind) for entry in entries):
        raise TypeError(f"no {kind.__name__}")
    return entries


def _by_name(point: EntryPoint) -> tuple[str, str]:
    return point.name, point.value
