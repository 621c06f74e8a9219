"""Word a JSON schema so that an upstream that enforces it takes it.

Vendors that hold a model to a schema refuse objects left open and keywords they cannot
enforce; what is left out is only enforced less, and named.

Source: reference wire 2.8, P52; vendors' structured output pages of 2026-11.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from providers.formats.base import UNREADABLE
from providers.formats.capabilities import Capabilities

_MAPS: Final = ("properties", "$defs", "definitions", "patternProperties")
_LISTS: Final = ("anyOf", "allOf", "oneOf", "prefixItems")
_SINGLES: Final = ("items", "not", "contains", "additionalProperties")


def enforceable(
    schema: msgspec.Raw, caps: Capabilities
) -> tuple[msgspec.Raw, tuple[str, ...]]:
    """Return a schema an upstream enforces, and the keywords that had to go.

    Shapes:  the very same object where nothing changes.
    """
    if not caps.closed_schemas and not caps.schema_refuses:
        return schema, ()
    try:
        value = msgspec.json.decode(schema)
        fitter = _Fitter(caps)
        made = fitter.fitted(value)
    except UNREADABLE:
        return schema, ()
    if not fitter.is_changed:
        return schema, ()
    return msgspec.Raw(msgspec.json.encode(made)), tuple(fitter.dropped)


class _Fitter:
    """Walk one schema; names of properties are no keywords."""

    def __init__(self, caps: Capabilities) -> None:
        self._refused = frozenset(caps.schema_refuses)
        self._closes = caps.closed_schemas
        self.dropped: dict[str, None] = {}
        self.is_changed = False

    def fitted(self, value: Any) -> Any:
        """Return a schema, or what stands in the place of one."""
        if not isinstance(value, dict):
            return value
        made: dict[str, Any] = {}
        for key, inner in value.items():
            if key in self._refused:
                self.dropped[key] = None
                self.is_changed = True
            else:
                made[key] = self._inner(key, inner)
        is_object = made.get("type") == "object" or "properties" in made
        if self._closes and is_object and made.get("additionalProperties") is not False:
            if "additionalProperties" in made:
                self.dropped["additionalProperties"] = None
            made["additionalProperties"] = False
            self.is_changed = True
        return made

    def _inner(self, key: str, value: Any) -> Any:
        if key in _SINGLES:
            return self.fitted(value)
        if key in _MAPS and isinstance(value, dict):
            return {name: self.fitted(each) for name, each in value.items()}
        if key in _LISTS and isinstance(value, list):
            return [self.fitted(each) for each in value]
        return value
