"""Match a path to a wire format's route, forgiving what users paste wrong every day.

``//`` is one slash, a slash at the end is none, ``/v1/v1/`` is ``/v1/``, and where no
slash ends the path a missing ``/v1`` is put back. Only paths that then belong to a format are the proxy's; all
others stay as they were and go to the console.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from msgspec import Struct

from providers.formats.base import Op, Route, WireFormat

_MODEL: Final = "{model}"
_SLASHES: Final = re.compile(r"/{2,}")
_DOUBLED: Final = re.compile(r"^((?:/v1beta|/v1))(?:/v1beta|/v1)+(?=/|$)")
_PROXY_ROOTS: Final = ("/v1/", "/v1beta/")
_LONGEST: Final = 1024


class Match(Struct, frozen=True):
    """Name the format and operation a path stands for.

    Shapes:  ``path_model`` is the model a path names; the server decoded it. ``allowed`` lists the
             methods of a path that exists under others only; ``op`` is then of no use.
    """

    wire: WireFormat
    op: Op
    path: str
    path_model: str | None = None
    allowed: tuple[str, ...] = ()
    is_stream: bool = False


class RouteTable:
    """Every route of every format.

    Cost:  a dictionary read for a path seen lately.
    """

    def __init__(self, formats: Iterable[WireFormat]) -> None:
        self._exact: dict[tuple[str, str], tuple[WireFormat, Route]] = {}
        self._open: list[tuple[str, WireFormat, Route]] = []
        self._first: WireFormat | None = None
        for wire in formats:
            self._first = self._first or wire
            for route in wire.routes:
                if _MODEL in route.path:
                    prefix = route.path.partition(_MODEL)[0]
                    self._open.append((prefix, wire, route))
                else:
                    self._exact.setdefault((route.method, route.path), (wire, route))
        self._open.sort(key=_longest_prefix_first)
        self.find = lru_cache(maxsize=4096)(self._find)

    def _find(self, method: str, path: str) -> Match | None:
        """Return what a path stands for, None when it is not the proxy's.

        A path below a proxy root that no format knows is the proxy's too, so that a
        client gets an error it can read rather than a page.
        """
        if len(path) > _LONGEST:
            return None
        for spelling in _spellings(path):
            found = self._match(method, spelling)
            if found is not None:
                return found
        for spelling in _spellings(path):
            found = self._other_methods(spelling)
            if found is not None:
                return found
        return None

    def is_proxy_path(self, path: str) -> bool:
        """Tell whether a path that matched nothing is still not the console's."""
        return _collapsed(path).startswith(_PROXY_ROOTS)

    @property
    def default(self) -> WireFormat:
        """The format that words errors for paths that belong to none."""
        if self._first is None:
            raise LookupError("no wire format is loaded")
        return self._first

    def _match(self, method: str, path: str) -> Match | None:
        exact = self._exact.get((method, path))
        if exact is not None:
            wire, route = exact
            return Match(wire, route.op, path)
        for prefix, wire, route in self._open:
            if route.method == method and len(path) > len(prefix):
                suffix = route.path[len(prefix) + len(_MODEL) :]
                if path.startswith(prefix) and path.endswith(suffix):
                    end = len(path) - len(suffix)
                    return Match(wire, route.op, path, path[len(prefix) : end])
        return None

    def _other_methods(self, path: str) -> Match | None:
        methods = {method for method, known in self._exact if known == path}
        for prefix, _, route in self._open:
            if len(path) > len(prefix) and path.startswith(prefix):
                methods.add(route.method)
        if not methods:
            return None
        allowed = tuple(sorted(methods))
        found = self._match(allowed[0], path)
        if found is None:  # pragma: no cover - the method was just found there
            return None
        return Match(found.wire, found.op, path, None, allowed)


def _spellings(path: str) -> Iterable[str]:
    """Yield what a path was probably meant to be."""
    clean = _collapsed(path)
    yield clean
    # The console's own paths end in a slash (/models/), those of clients do not.
    if not path.endswith("/") and not clean.startswith(("/v1/", "/v1beta/", "/api/")):
        yield f"/v1{clean}"


def _collapsed(path: str) -> str:
    clean = _SLASHES.sub("/", path)
    clean = _DOUBLED.sub(r"\1", clean)
    return clean.rstrip("/") or "/"


def _longest_prefix_first(entry: tuple[str, WireFormat, Route]) -> int:
    return -len(entry[0])
