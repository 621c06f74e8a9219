"""Answer what needs no upstream: lists, versions, what a model can do."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final

import msgspec

from providers.formats import base
from providers.formats.base import ChatRequest, FormatError

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

    Shapes:  ``abilities`` is a bit set of ``base.NEED_*``; where nothing is known what
             clients would not use unless they were told of it.
    Units:   ``context_window`` tokens, ``created`` Unix seconds.
    """

    abilities: int = _ANY
    context_window: int | None = None
    created: int = 0


def local_answer(request: ChatRequest) -> bytes:
    """Answer a path of op ``local``.

    Shapes:  ``request.model`` is known to exist; ``needs`` says what it can do, 0 when
             that is not known.
    Errors:  FormatError where no model is named.
    """
    path = request.arrival.path
    if path == PROCESSES:
        return b'{"models":[]}'
    if path != SHOW:
        return msgspec.json.encode({"version": VERSION})
    if not request.model:
        raise FormatError("model is required", code="missing_field", param="model")
    model = ShownModel(
        abilities=request.needs or _ANY, context_window=request.context_window
    )
    return shown(request.model, model)


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
    return [
        "completion",
        *(word for bit, word in _CAPABILITIES if model.abilities & bit),
    ]


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
