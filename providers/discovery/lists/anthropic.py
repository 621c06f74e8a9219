"""Anthropic's list. Source: docs.claude.com, API reference, List Models."""

from __future__ import annotations

from typing import Any

from pricing.listing import ListedModel
from providers.discovery.lists import entry


def read(data: Any) -> list[ListedModel]:
    """Read one page of ``{"data": [...], "has_more", "last_id"}``.

    Errors:  NotAListError.
    """
    return entry.distinct(
        ListedModel(
            id=entry.model_id(item.get("id")),
            name=entry.words(item.get("display_name")),
            context_window=entry.count(item.get("max_input_tokens")),
            max_output=entry.count(item.get("max_tokens")),
            released=entry.day(item.get("created_at")),
        )
        for item in entry.items(data, "data")
    )


def next_page(data: Any) -> str:
    """Return the id the next page begins after, blank at the end."""
    page = entry.table(data)
    return entry.model_id(page.get("last_id")) if page.get("has_more") is True else ""
