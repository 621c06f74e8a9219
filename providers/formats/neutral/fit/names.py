"""Give every tool of a request a name the upstream takes, one to one.

A name that is legal stays; every other name is made of the original alone, unless that
is taken: then a hash of the original follows.

Source: reference wire 2.3, P35, T43, T67.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from hashlib import sha256
from typing import Final, TypeAlias

from providers.formats.capabilities import Capabilities

Key: TypeAlias = tuple[str, str]
"""A tool as its client knows it: (namespace, name)."""

JOINT: Final = "__"
"""What joins a namespace and a name."""

_HASH_CHARS: Final = 8


def wire_names(keys: Iterable[Key], caps: Capabilities) -> Mapping[Key, str]:
    """Return the name on the wire of each tool; no two tools share one.

    Shapes:  where an upstream knows namespaces, names differ within each of them.
    """
    unique = dict.fromkeys(keys)
    names: dict[Key, str] = {}
    taken: set[Key] = set()
    changed: list[tuple[Key, str]] = []
    for key in unique:
        full = flat_name(key, caps)
        # Names that are legal and the client's own come first, whatever their order.
        if full == key[1] and is_legal(full, caps):
            names[key] = full
            taken.add(_slot(key, full, caps))
        else:
            changed.append((key, full))
    for key, full in changed:
        name = legal_name(full, caps)
        salt = 0
        while _slot(key, name, caps) in taken:
            salt += 1
            name = _hashed(full, "\0".join((*key, str(salt))), caps)
        names[key] = name
        taken.add(_slot(key, name, caps))
    return names


def flat_name(key: Key, caps: Capabilities) -> str:
    """Return a tool's name with its namespace, where the upstream knows none."""
    namespace, name = key
    return f"{namespace}{JOINT}{name}" if namespace and not caps.namespaces else name


def is_legal(name: str, caps: Capabilities) -> bool:
    """Tell whether an upstream takes a name."""
    return len(name) <= caps.tool_name_max and _legal(caps).fullmatch(name) is not None


def legal_name(name: str, caps: Capabilities) -> str:
    """Return a legal name made of a name alone."""
    if is_legal(name, caps):
        return name
    made = _made(name, caps)
    return made if len(made) <= caps.tool_name_max else _hashed(name, name, caps)


def _made(name: str, caps: Capabilities) -> str:
    """Return a name with every sign that is not allowed replaced."""
    made = _illegal(caps.tool_name_pattern).sub("_", name) or "_"
    if _legal(caps).fullmatch(made) is None:
        made = "_" + made
    return made


def _hashed(name: str, seed: str, caps: Capabilities) -> str:
    """Return a name cut to size, with a hash that keeps it apart."""
    digest = sha256(seed.encode("utf-8", "replace")).hexdigest()[:_HASH_CHARS]
    room = caps.tool_name_max - _HASH_CHARS - 1
    return f"{_made(name, caps)[:room]}_{digest}"


def _slot(key: Key, name: str, caps: Capabilities) -> Key:
    return (key[0] if caps.namespaces else "", name)


def _legal(caps: Capabilities) -> re.Pattern[str]:
    return _legal_pattern(caps.tool_name_pattern, caps.tool_name_start)


@lru_cache(maxsize=64)
def _legal_pattern(characters: str, start: str) -> re.Pattern[str]:
    return re.compile(f"[{start or characters}][{characters}]*")


@lru_cache(maxsize=64)
def _illegal(characters: str) -> re.Pattern[str]:
    return re.compile(f"[^{characters}]")
