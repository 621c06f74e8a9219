"""What the catalogue knows of a provider's models."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from pricing.book.loader import embedded_book
from pricing.listing import ListedModel
from providers.formats.cli_backed.command import UNNAMED_MODELS, is_program
from providers.models import Provider


def known_models(provider: Provider) -> Mapping[str, ListedModel]:
    """Return what is publicly known of this provider's models, by its own ids."""
    return _book()


@lru_cache(maxsize=1)
def _book() -> dict[str, ListedModel]:
    return {
        each.id: ListedModel(
            id=each.id, context_window=each.context_window, max_output=each.max_output
        )
        for each in embedded_book().models.values()
    }


def builtin_models(provider: Provider) -> list[ListedModel]:
    """Return the list of a provider that has none to ask for."""
    if is_program(provider.api_format):
        return [ListedModel(id=UNNAMED_MODELS[provider.api_format])]
    return []
