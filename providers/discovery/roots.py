"""Take a pasted address apart: the root, the version, and what was pasted too much.

Pure. People paste the endpoint out of a vendor's example; the product appends paths to
a root, so a full endpoint is cut back and that is said.

Source: reference seeds 5.3, 5.5.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import msgspec

_ENDPOINTS: Final = (
    ("/chat/completions", "openai"),
    ("/completions", "openai"),
    ("/embeddings", "openai"),
    ("/responses", "responses"),
    ("/messages", "anthropic"),
    ("/api/chat", "ollama"),
    ("/api/tags", "ollama"),
    ("/v1/models", ""),
)
_KEPT: Final = ("/backend-api/codex/responses",)
_VERSION: Final = re.compile(r"/v1$", re.IGNORECASE)
_PLACEHOLDER: Final = re.compile(r"\{([a-z][a-z0-9_]{0,30})\}")
_VALUE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


class Normalised(msgspec.Struct, frozen=True):
    """An address as paths may be appended to it.

    Shapes:  ``note`` says what was cut off, blank when nothing was; ``hint`` is the
             format the cut endpoint belongs to.
    """

    base_url: str
    note: str = ""
    hint: str = ""


def normalise(base_url: str) -> Normalised:
    """Cut a full endpoint back to the base URL its paths are appended to."""
    text = base_url.strip()
    parts = urlsplit(text)
    path = parts.path.rstrip("/")
    if path.lower().endswith(_KEPT):
        return Normalised(_built(text, path))
    for ending, hint in _ENDPOINTS:
        if path.lower().endswith(ending):
            kept = len(path) - len(ending)
            # The version belongs to the base, whatever follows it was pasted too much.
            kept += len("/v1") if ending.startswith("/v1/") else 0
            base = _built(text, path[:kept])
            cut = path[kept:]
            return Normalised(base, f"{cut} was cut off: it is appended.", hint)
    return Normalised(_built(text, path))


def root_of(base_url: str) -> str:
    """Return an address without endpoint and without ``/v1``."""
    return _VERSION.sub("", normalise(base_url).base_url)


def bases_of(base_url: str) -> tuple[str, ...]:
    """Return the addresses under which a root may serve, the entered one first."""
    entered = normalise(base_url).base_url
    root = root_of(base_url)
    return tuple(dict.fromkeys((entered, f"{root}/v1", root)))


def placeholders(base_url: str) -> tuple[str, ...]:
    """Return the names in braces a base URL asks for."""
    return tuple(dict.fromkeys(_PLACEHOLDER.findall(base_url)))


def filled(base_url: str, values: dict[str, str]) -> str:
    """Put values into the braces of a base URL.

    Errors:  ValueError naming the value that is missing or could move the host.
    """

    def put(found: re.Match[str]) -> str:
        value = values.get(found[1], "").strip()
        if not _VALUE.fullmatch(value):
            raise ValueError(found[1])
        return value

    return _PLACEHOLDER.sub(put, base_url)


def _built(text: str, path: str) -> str:
    parts = urlsplit(text)
    return urlunsplit((parts.scheme, parts.netloc, path.rstrip("/"), "", ""))
