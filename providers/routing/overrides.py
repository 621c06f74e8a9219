"""Read what one request asks for itself: strategy, mode, whom to leave out, whom first.

A key's own defaults come before the pool's. A request may replace them by headers where
its key allows that header; otherwise it is refused, rather than served another way than
its client believes.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from providers.routing.strategies import MODES, STRATEGIES, known_strategy
from providers.routing.types import Way
from providers.snapshot.types import ClientKeyRecord, RoutingRecord

STRATEGY: Final = "strategy"
MODE: Final = "mode"
EXCLUDE: Final = "exclude"
PREFER: Final = "prefer"
OVERRIDES: Final = (STRATEGY, MODE, EXCLUDE, PREFER)
"""Words of ``ClientKey.overrides_allowed``; the header is ``x-pool-`` and the word."""

NOT_ALLOWED: Final = "override_not_allowed"
INVALID: Final = "invalid_override"

_HEADERS: Final = {word: b"x-pool-" + word.encode() for word in OVERRIDES}
_NAMES: Final = frozenset(_HEADERS.values())
_MOST_NAMES: Final = 50
_LONGEST: Final = 4000


class OverrideError(ValueError):
    """A header asks for what this key may not choose, or for what nobody knows.

    Shapes:  ``header`` is its name, ``code`` one of this module's.
    """

    def __init__(self, header: str, code: str, message: str) -> None:
        super().__init__(message)
        self.header = header
        self.code = code


def way_of(
    key: ClientKeyRecord,
    routing: RoutingRecord,
    fields: Mapping[bytes, bytes],
    *,
    is_own: bool = False,
) -> Way:
    """Return how a request wants its routes chosen.

    Shapes:  ``is_own`` = a call of the product itself, which may choose everything.
    Errors:  OverrideError.
    Cost:    below a microsecond for a request without such headers.
    """
    way = default_way(
        key.default_strategy, key.default_mode, routing.strategy, routing.mode
    )
    if _NAMES.isdisjoint(fields):
        return way
    allowed = OVERRIDES if is_own else key.overrides_allowed
    values = {
        word: _value(word, fields[header], allowed)
        for word, header in _HEADERS.items()
        if header in fields
    }
    return Way(
        strategy=_strategy(values.get(STRATEGY, "")) or way.strategy,
        mode=_mode(values.get(MODE, "")) or way.mode,
        prefer=_names(PREFER, values.get(PREFER, "")),
        exclude=_names(EXCLUDE, values.get(EXCLUDE, "")),
    )


@lru_cache(maxsize=256)
def default_way(
    key_strategy: str, key_mode: str, pool_strategy: str, pool_mode: str
) -> Way:
    """Return what holds without headers: the key's own words, else the pool's.

    Shapes:  words this release does not know count as not said.
    """
    mode = key_mode if key_mode in MODES else pool_mode
    return Way(
        strategy=known_strategy(key_strategy)
        or known_strategy(pool_strategy)
        or STRATEGIES[0],
        mode=mode if mode in MODES else MODES[0],
    )


def _value(word: str, raw: bytes, allowed: tuple[str, ...]) -> str:
    header = f"x-pool-{word}"
    if word not in allowed:
        message = f"This API key does not allow '{header}' in a request."
        raise OverrideError(header, NOT_ALLOWED, message)
    if len(raw) > _LONGEST:
        raise OverrideError(header, INVALID, f"The value of '{header}' is too long.")
    return raw.decode("utf-8", "replace").strip()


def _strategy(value: str) -> str:
    if not value:
        return ""
    known = known_strategy(value.casefold())
    if known is None:
        raise _unknown(STRATEGY, STRATEGIES)
    return known


def _mode(value: str) -> str:
    word = value.casefold()
    if word and word not in MODES:
        raise _unknown(MODE, MODES)
    return word


def _names(word: str, value: str) -> tuple[str, ...]:
    """Read a list of names; whether anybody is called that is not told."""
    names = tuple(dict.fromkeys(part.strip() for part in value.split(",")))
    names = tuple(name for name in names if name)
    if len(names) > _MOST_NAMES:
        header = f"x-pool-{word}"
        message = f"'{header}' may hold {_MOST_NAMES} names at most."
        raise OverrideError(header, INVALID, message)
    return names


def _unknown(word: str, choices: tuple[str, ...]) -> OverrideError:
    header = f"x-pool-{word}"
    message = f"The value of '{header}' must be one of {', '.join(choices)}."
    return OverrideError(header, INVALID, message)
