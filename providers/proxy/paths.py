"""Match a path to a wire format's route, forgiving what users paste wrong every day.

``//`` is one slash, a slash at the end is none, a version or a product named twice or in
the wrong place (``/v1/v1/``, ``/openai/v1/``, ``/v1/api/``) counts once, and where no
slash ends the path a missing version is put back. Only paths that then belong to a
format are the proxy's; all others stay as they were and go to the console.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Final

from msgspec import Struct

from providers.formats.base import Op, Route, WireFormat

_MODEL: Final = "{model}"
_SLASHES: Final = re.compile(r"/{2,}")
_DOUBLED: Final = re.compile(r"^(/v1beta|/v1alpha|/v1)(?:/v1beta|/v1alpha|/v1)+(?=/|$)")
_MISPLACED: Final = re.compile(
    r"^(?:/(?:openai|anthropic|gemini|google|ollama|vertex|api)(?=/v1)"
    r"|/bedrock(?=/model/)|/(?:v1beta|v1alpha|v1|api|ollama)(?=/api/(?!admin/)))"
)
_INNER: Final = re.compile(r"^/(?:v1beta|v1alpha|v1)/openai(?=/)")
_VERSION: Final = re.compile(r"^/(?:v1beta|v1alpha|v1)(?=/)")
_VERSIONS: Final = ("/v1", "/v1beta", "/v1alpha")
_OWN: Final = "/api/admin/"
_ROOTS: Final = (
    "/v1/",
    "/v1beta/",
    "/v1alpha/",
    "/v1internal",
    "/api/",
    "/model/",
    "/bedrock/",
    "/openai/",
)
_SPEAKERS: Final = (
    ("/v1/messages", "anthropic"),
    ("/anthropic/", "anthropic"),
    ("/v1/responses", "responses"),
    ("/v1beta/", "google"),
    ("/v1alpha/", "google"),
    ("/v1internal", "google"),
    ("/api/", "ollama"),
    ("/model/", "bedrock"),
    ("/bedrock/", "bedrock"),
)
"""Whose clients ask below a root, for the words of an error; first match wins."""
_LISTS: Final = "/v1/models"
_GOOGLE_HEADERS: Final = (b"x-goog-api-key", b"x-goog-api-client")
_LONGEST: Final = 1024


class Match(Struct, frozen=True):
    """Name the format and operation a path stands for.

    Shapes:  ``path_model`` is the model a path names; the server decoded it.
             ``is_stream`` = the path itself asks for a stream. ``allowed`` lists the
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
        self._open: list[tuple[str, str, WireFormat, Route]] = []
        self._formats: dict[str, WireFormat] = {}
        for wire in formats:
            self._formats[wire.id] = wire
            for route in wire.routes:
                self._add(wire, route)
        self._open.sort(key=_longest_first)
        self.find = lru_cache(maxsize=4096)(self._find)

    def _add(self, wire: WireFormat, route: Route) -> None:
        if route.path == "/":
            # The console's own page; the door answers tools that only look.
            return
        if _MODEL in route.path:
            prefix, _, suffix = route.path.partition(_MODEL)
            self._open.append((prefix, suffix, wire, route))
        else:
            self._exact.setdefault((route.method, route.path), (wire, route))

    def _find(self, method: str, path: str) -> Match | None:
        """Return what a path stands for, None when it is not the proxy's.

        A path below a proxy root that no format knows is the proxy's too, so that a
        client gets an error it can read rather than a page.
        """
        if len(path) > _LONGEST or path.startswith(_OWN):
            return None
        spellings = list(dict.fromkeys(_spellings(path)))
        for spelling in spellings:
            found = self._match(method, spelling)
            if found is not None:
                return found
        for spelling in spellings:
            found = self._other_methods(spelling)
            if found is not None:
                return found
        return None

    def is_proxy_path(self, path: str) -> bool:
        """Tell whether a path that matched nothing is still not the console's."""
        clean = _collapsed(path)
        return f"{clean}/".startswith(_ROOTS) and not f"{clean}/".startswith(_OWN)

    @property
    def default(self) -> WireFormat:
        """The format that words errors for paths that belong to none."""
        for wire in self._formats.values():
            return wire
        raise LookupError("no wire format is loaded")

    def speaker(self, path: str) -> WireFormat:
        """Return the format whose clients ask below a path's root."""
        clean = _collapsed(path)
        for root, format_id in _SPEAKERS:
            if clean.startswith(root) and format_id in self._formats:
                return self._formats[format_id]
        return self.default

    def lister(
        self, match: Match, fields: Mapping[bytes, bytes], query: bytes
    ) -> WireFormat:
        """Return the format to word a list of models in; three share one path.

        Source:  reference wire 4.8.
        """
        if not match.path.startswith(_LISTS):
            return match.wire
        if b"anthropic-version" in fields:
            return self._formats.get("anthropic", match.wire)
        is_google = any(name in fields for name in _GOOGLE_HEADERS)
        if is_google or query.startswith(b"key=") or b"&key=" in query:
            return self._formats.get("google", match.wire)
        return match.wire

    def _match(self, method: str, path: str) -> Match | None:
        exact = self._exact.get((method, path))
        if exact is not None:
            wire, route = exact
            return Match(wire, route.op, path, is_stream=route.is_stream)
        for prefix, suffix, wire, route in self._open:
            if route.method == method and _fits(path, prefix, suffix):
                model = path[len(prefix) : len(path) - len(suffix)]
                return Match(wire, route.op, path, model, (), route.is_stream)
        return None

    def _other_methods(self, path: str) -> Match | None:
        methods = {method for method, known in self._exact if known == path}
        for prefix, suffix, _, route in self._open:
            if _fits(path, prefix, suffix):
                methods.add(route.method)
        if not methods:
            return None
        allowed = tuple(sorted(methods))
        found = self._match(allowed[0], path)
        if found is None:  # pragma: no cover - the method was just found there
            return None
        return Match(found.wire, found.op, path, None, allowed)


def _fits(path: str, prefix: str, suffix: str) -> bool:
    return (
        len(path) > len(prefix) + len(suffix)
        and path.startswith(prefix)
        and path.endswith(suffix)
    )


def _spellings(path: str) -> Iterator[str]:
    """Yield what a path was probably meant to be."""
    clean = _collapsed(path)
    yield clean
    bare = _INNER.sub("/v1", _MISPLACED.sub("", clean))
    bare = _DOUBLED.sub(r"\1", bare)
    yield bare
    rest = _VERSION.sub("", bare)
    is_versioned = rest != bare
    # The console's own paths end in a slash (/models/), those of clients do not.
    if is_versioned or not (path.endswith("/") or bare.startswith("/api/")):
        for version in _VERSIONS:
            yield f"{version}{rest}"
    if is_versioned:
        yield rest


def _collapsed(path: str) -> str:
    clean = _SLASHES.sub("/", path)
    clean = _DOUBLED.sub(r"\1", clean)
    return clean.rstrip("/") or "/"


def _longest_first(entry: tuple[str, str, WireFormat, Route]) -> tuple[int, int]:
    return -len(entry[0]), -len(entry[1])
