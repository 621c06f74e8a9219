"""Which wire formats exist, and which pairs of them can be joined.

A dialect is a module with a ``FORMAT``; adding one is adding its module path here.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Final, cast

from providers.formats.base import Bridge, WireFormat

FORMAT_MODULES: Final[tuple[str, ...]] = ("providers.formats.openai_chat.dialect",)


class UnknownFormatError(LookupError):
    """Report a format id that no module answers to; a configuration mistake."""


@cache
def formats() -> dict[str, WireFormat]:
    """Load every format once, by id, in the order of the list."""
    loaded: dict[str, WireFormat] = {}
    for path in FORMAT_MODULES:
        wire = cast("WireFormat", import_module(path).FORMAT)
        loaded[wire.id] = wire
    return loaded


def get(format_id: str) -> WireFormat:
    """Return a format by id.

    Errors:  UnknownFormatError.
    """
    try:
        return formats()[format_id]
    except KeyError:
        raise UnknownFormatError(format_id) from None


@cache
def bridge(inbound: str, upstream: str) -> Bridge | None:
    """Return the bridge between two formats, or None where none was built.

    A candidate whose format has no bridge cannot serve the request; the planner
    leaves it out and says so.
    """
    if inbound == upstream and inbound in formats():
        return formats()[inbound].passthrough()
    return None
