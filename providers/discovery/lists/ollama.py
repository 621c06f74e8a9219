"""Ollama's list, and what it shows of one model. Source: docs.ollama.com, API."""

from __future__ import annotations

from typing import Any, Final

from msgspec.structs import replace

from pricing.listing import ListedModel
from providers.discovery.lists import entry

_WORDS: Final = {
    "tools": "tools",
    "vision": "vision",
    "thinking": "reasoning",
    "audio": "audio",
}
_VISION: Final = ("llava", "bakllava", "vision")


def read(data: Any) -> list[ListedModel]:
    """Read ``{"models": [{"name", "details"}]}`` of /api/tags.

    Errors:  NotAListError.
    """
    return entry.distinct(_model(item) for item in entry.items(data, "models"))


def shown(model: ListedModel, data: Any) -> ListedModel:
    """Add what /api/show says of a model; what it leaves out stays unknown."""
    said = entry.table(data)
    abilities = entry.texts(said.get("capabilities"))
    window = entry.count(
        *(
            value
            for name, value in entry.table(said.get("model_info")).items()
            if name.endswith(".context_length")
        )
    )
    if not abilities:
        return replace(model, context_window=window)
    is_embedding = "embedding" in abilities and "completion" not in abilities
    return replace(
        model,
        context_window=window,
        kind="embedding" if is_embedding else model.kind,
        capabilities=tuple(w for n, w in _WORDS.items() if n in abilities),
        lacks=tuple(w for n, w in _WORDS.items() if n not in abilities),
    )


def _model(item: dict[str, Any]) -> ListedModel:
    name = entry.model_id(item.get("name", item.get("model")))
    family = entry.words(entry.table(item.get("details")).get("family"), 60)
    sees = any(word in name.lower() for word in _VISION)
    kind = "embedding" if "embed" in name.lower() or "bert" in family else "chat"
    return ListedModel(
        id=name,
        family=family,
        kind=kind,
        capabilities=("vision",) if sees else (),
    )
