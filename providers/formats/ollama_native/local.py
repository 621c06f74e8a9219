"""Answer what needs no upstream: lists, versions, what a model can do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final

import msgspec

from providers.formats import base
from providers.formats.base import UNREADABLE
from providers.formats.errors import ErrorDetail
from providers.formats.ollama_native.errors import build_error

VERSION: Final = "0.20.0"
"""Clients ask for a least version; this one knows all that is spoken here."""

SHOW: Final = "/api/show"
PROCESSES: Final = "/api/ps"
_ARCHITECTURE: Final = "pool"
_CAPABILITIES: Final = (
    (base.NEED_TOOLS, "tools"),
    (base.NEED_VISION, "vision"),
    (base.NEED_REASONING, "thinking"),
)
_ANY: Final = base.NEED_TOOLS | base.NEED_VISION


class ShownModel(msgspec.Struct, frozen=True):
    """Say what is shown of a model.

    Shapes:  ``abilities`` is a bit set of ``base.NEED_*``; by default what clients
             would not use unless they were told of it.
    Units:   ``context_window`` tokens, ``created`` Unix seconds.
    """

    abilities: int = _ANY
    context_window: int | None = None
    is_embedding: bool = False
    created: int = 0


UNKNOWN: Final = ShownModel()


def local_answer(
    path: str, body: bytes, models: Mapping[str, ShownModel]
) -> tuple[int, bytes]:
    """Answer a path of op ``local``: (HTTP status, JSON body).

    Shapes:  ``models`` are those the client's key may ask for, by name.
    """
    if path == SHOW:
        return _shown(body, models)
    if path == PROCESSES:
        return 200, b'{"models":[]}'
    return 200, msgspec.json.encode({"version": VERSION})


def tags(models: Iterable[str], created: int) -> bytes:
    """Word the list of models; sizes and digests of what is elsewhere are made up."""
    return msgspec.json.encode({"models": [_tag(name, created) for name in models]})


def shown(name: str, model: ShownModel) -> bytes:
    """Word what a client may know of one model.

    Source:  reference wire 1.8, 4.7: editors read the capabilities, and the context
             length under the name of the architecture.
    """
    info: dict[str, Any] = {
        "general.architecture": _ARCHITECTURE,
        "general.basename": name,
    }
    if model.context_window:
        info[f"{_ARCHITECTURE}.context_length"] = model.context_window
    return msgspec.json.encode(
        {
            "license": "",
            "modelfile": "",
            "parameters": "",
            "template": "",
            "details": _details(),
            "model_info": info,
            "capabilities": capabilities(model),
            "modified_at": _stamp(model.created),
        }
    )


def capabilities(model: ShownModel) -> list[str]:
    """Return what a model can do, in this dialect's words."""
    if model.is_embedding:
        return ["embedding"]
    return [
        "completion",
        *(word for bit, word in _CAPABILITIES if model.abilities & bit),
    ]


def _shown(body: bytes, models: Mapping[str, ShownModel]) -> tuple[int, bytes]:
    try:
        asked = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        raw = asked.get("model") or asked.get("name") or b'""'
        name = msgspec.json.decode(raw, type=str)
    except UNREADABLE:
        return build_error(400, ErrorDetail(message="The request body is not valid."))
    if not name:
        return build_error(400, ErrorDetail(message="model is required"))
    if name not in models:
        return build_error(404, ErrorDetail(message=f"model '{name}' not found"))
    return 200, shown(name, models[name])


def _tag(name: str, created: int) -> dict[str, Any]:
    return {
        "name": name,
        "model": name,
        "modified_at": _stamp(created),
        "size": 0,
        "digest": sha256(name.encode("utf-8", "surrogatepass")).hexdigest(),
        "details": _details(),
    }


def _details() -> dict[str, Any]:
    return {
        "parent_model": "",
        "format": "",
        "family": _ARCHITECTURE,
        "families": [_ARCHITECTURE],
        "parameter_size": "",
        "quantization_level": "",
    }


def _stamp(created: int) -> str:
    return datetime.fromtimestamp(created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
