"""The list of Code Assist (fetchAvailableModels), with what is used up of each."""

from __future__ import annotations

from typing import Any

from pricing.listing import ListedModel
from providers.discovery.lists import entry


def read(data: Any) -> list[ListedModel]:
    """Read ``{"models": {id: {"displayName", ...}}}``; internal ones are left out.

    Errors:  NotAListError.
    """
    found = entry.table(data).get("models")
    if not isinstance(found, dict):
        raise entry.NotAListError("no models")
    return entry.distinct(
        ListedModel(
            id=entry.model_id(name),
            name=entry.words(entry.table(said).get("displayName")),
            context_window=entry.count(entry.table(said).get("maxTokens")),
            max_output=entry.count(entry.table(said).get("maxOutputTokens")),
        )
        for name, said in found.items()
        if entry.table(said).get("isInternal") is not True
    )
