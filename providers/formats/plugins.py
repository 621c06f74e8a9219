"""Find dialects in installed packages.

A package offers one by an entry point of the group ``provider_pool.formats``:

    [project.entry-points."provider_pool.formats"]
    acme = "acme_pool:offer"

It names a ``WireFormat``, or a function without arguments that returns one, or None to
decline (its own library is missing, say): then the next package that offers the same
name is asked. A plugin cannot take the name of a dialect of the product, and one that
fails is left out with a line in the log, since it must not take the others down.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import Final, cast

from providers.formats.base import WireFormat

GROUP: Final = "provider_pool.formats"
_NEEDED: Final = ("id", "routes", "relay", "codec", "read_request", "auth_headers")
_log: Final = logging.getLogger("providers.formats")


def installed() -> list[WireFormat]:
    """Return the dialects of every installed package, by name of the entry point."""
    return from_entry_points(entry_points(group=GROUP))


def from_entry_points(points: Iterable[EntryPoint]) -> list[WireFormat]:
    """Load dialects; of several under one name the first that does not decline.

    Fails:   never: what cannot be loaded is logged and left out.
    """
    found: dict[str, WireFormat] = {}
    for point in sorted(points, key=_by_name):
        if point.name in found:
            continue
        try:
            made = _made(point.load())
        except Exception as error:  # noqa: BLE001 - a plugin may fail in any way
            _log.error("plugin_failed: %s: %s", point.value, error)
            continue
        if made is not None:
            found[point.name] = made
    return list(found.values())


def _made(loaded: object) -> WireFormat | None:
    """Return the dialect an entry point names.

    Errors:  TypeError for what is no dialect.
    """
    is_factory = callable(loaded) and not hasattr(loaded, "id")
    offered = loaded() if is_factory else loaded  # type: ignore[operator] # checked
    if offered is None:
        return None
    missing = [name for name in _NEEDED if not hasattr(offered, name)]
    if missing:
        raise TypeError(f"no wire format: it lacks {', '.join(missing)}")
    return cast("WireFormat", offered)


def _by_name(point: EntryPoint) -> tuple[str, str]:
    return point.name, point.value
