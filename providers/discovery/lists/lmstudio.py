"""LM Studio's own list. Source: lmstudio.ai/docs, REST API v0."""

from __future__ import annotations

from typing import Any, Final

from pricing.listing import ListedModel
from providers.discovery.lists import entry

_KINDS: Final = {"embeddings": "embedding", "llm": "chat", "vlm": "chat"}


def read(data: Any) -> list[ListedModel]:
    """Read ``{"data": [{"id", "type", "state", "max_context_length"}]}``.

    Errors:  NotAListError.
    """
    return entry.distinct(_model(item) for item in entry.items(data, "data"))


def _model(item: dict[str, Any]) -> ListedModel:
    said = item.get("type")
    kind = said if isinstance(said, str) else ""
    can = ["vision"] if kind == "vlm" else []
    if "tool_use" in entry.texts(item.get("capabilities")):
        can.append("tools")
    return ListedModel(
        id=entry.model_id(item.get("id")),
        family=entry.words(item.get("arch"), 60),
        kind=_KINDS.get(kind, "chat"),
        context_window=entry.count(item.get("max_context_length")),
        capabilities=tuple(can),
        lacks=("vision",) if kind == "llm" else (),
    )
