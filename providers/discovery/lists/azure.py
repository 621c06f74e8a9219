"""Azure's lists: deployments, or what a resource could deploy.

Source: learn.microsoft.com, Azure OpenAI data plane reference.
"""

from __future__ import annotations

from typing import Any, Final

from pricing.listing import ListedModel
from providers.discovery.infer import kind_of
from providers.discovery.lists import entry

DEPLOYMENTS_VERSION: Final = "2023-03-15-preview"
"""The last version of the data plane that lists deployments."""

MODELS_VERSION: Final = "2024-10-21"
_READY: Final = frozenset({"succeeded", "running", ""})


def read(data: Any) -> list[ListedModel]:
    """Read ``{"data": [{"id", "model", "status"}]}``: what is ready to be called.

    Shapes:  a deployment's ``id`` is what one calls, its ``model`` what it is.
    Errors:  NotAListError.
    """
    found = (_model(item) for item in entry.items(data, "data"))
    return entry.distinct(each for each in found if each is not None)


def _model(item: dict[str, Any]) -> ListedModel | None:
    status = item.get("status", "")
    if not isinstance(status, str) or status not in _READY:
        return None
    abilities = entry.table(item.get("capabilities"))
    if abilities.get("inference") is False:
        return None
    name = entry.model_id(item.get("id"))
    what = entry.model_id(item.get("model"))
    return ListedModel(
        id=name,
        name=what if what != name else "",
        family=what,
        kind=_kind(what or name, abilities),
        released=entry.day(item.get("created_at")),
        deprecated=item.get("lifecycle_status") == "deprecated",
    )


def _kind(name: str, abilities: dict[str, Any]) -> str:
    if abilities.get("embeddings") is True:
        return "embedding"
    if abilities.get("chat_completion") is True:
        return "chat"
    return kind_of(name)
