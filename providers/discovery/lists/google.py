"""Google's list. Source: ai.google.dev/api/models (models.list)."""

from __future__ import annotations

from typing import Any, Final

from pricing.listing import ListedModel
from providers.discovery.infer import kind_of
from providers.discovery.lists import entry

_CHAT: Final = "generateContent"
_EMBEDS: Final = frozenset({"embedContent", "embedText", "asyncBatchEmbedContent"})


def read(data: Any) -> list[ListedModel]:
    """Read one page of ``{"models": [...], "nextPageToken"}``.

    What neither answers a chat nor embeds is left out: the pool has no way to call it.

    Errors:  NotAListError.
    """
    found = (_model(item) for item in entry.items(data, "models"))
    return entry.distinct(each for each in found if each is not None)


def next_page(data: Any) -> str:
    """Return the token of the next page, blank at the end."""
    token = entry.table(data).get("nextPageToken")
    return token if isinstance(token, str) and len(token) < 2000 else ""


def _model(item: dict[str, Any]) -> ListedModel | None:
    name = entry.model_id(item.get("name")).removeprefix("models/")
    methods = set(entry.texts(item.get("supportedGenerationMethods")))
    if _CHAT in methods:
        kind = kind_of(name)
    elif methods & _EMBEDS:
        kind = "embedding"
    else:
        return None
    thinks = item.get("thinking")
    return ListedModel(
        id=name,
        name=entry.words(item.get("displayName")),
        kind=kind,
        context_window=entry.count(item.get("inputTokenLimit")),
        max_output=entry.count(item.get("outputTokenLimit")),
        capabilities=("reasoning",) if thinks is True else (),
        lacks=("reasoning",) if thinks is False else (),
    )
