"""What the catalogue knows of a provider's models; the embedded one, on any machine."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from pricing.book.listing_file import embedded_listing
from pricing.listing import ListedModel
from providers.catalogue import spec
from providers.formats.cli_backed.command import UNNAMED_MODELS, is_program
from providers.models import Provider

_MAKERS: Final = (
    "openai", "anthropic", "google", "mistral", "deepseek", "xai", "cohere",
    "moonshotai", "moonshot", "zai", "minimax", "perplexity", "llama", "alibaba",
)  # fmt: skip
_BY_FORMAT: Final = {"codex": "openai", "bedrock": "bedrock", "vertex": "vertex"}


class Known:
    """The catalogue as one provider sees it: its own entries, then the makers'."""

    def __init__(self, own: Mapping[str, ListedModel]) -> None:
        self._own = own

    def get(self, model_id: str, family: str = "") -> ListedModel | None:
        """Return what is known of a model by its id, or by what it is an instance of."""
        for name in (model_id, family):
            found = self._own.get(name) or _by_maker().get(name.rpartition("/")[2])
            if name and found is not None:
                return found
        return None


def known_models(provider: Provider) -> Known:
    """Return the catalogue as a provider sees it.

    Cost:  no query; the listing is read once a process, in some tens of milliseconds.
    """
    return Known(_own(provider))


def builtin_models(provider: Provider) -> list[ListedModel]:
    """Return the list of a provider that has none to ask for, by id."""
    if is_program(provider.api_format):
        return [ListedModel(id=UNNAMED_MODELS[provider.api_format])]
    own = _own(provider)
    if provider.api_format == "codex":
        own = {name: each for name, each in own.items() if "codex" in name}
    return [own[name] for name in sorted(own)]


def _own(provider: Provider) -> Mapping[str, ListedModel]:
    entry = spec.entries().get(provider.catalogue_id)
    listed = embedded_listing().providers
    by_format = _BY_FORMAT.get(provider.api_format, "")
    for name in (entry.listing_id if entry else "", provider.catalogue_id, by_format):
        if name in listed:
            return listed[name].models
    return {}


@lru_cache(maxsize=1)
def _by_maker() -> dict[str, ListedModel]:
    """Return what the makers say of their models, for whoever else serves them."""
    listed = embedded_listing().providers
    found: dict[str, ListedModel] = {}
    for maker in _MAKERS:
        if maker in listed:
            for name, each in listed[maker].models.items():
                found.setdefault(name.rpartition("/")[2], each)
    return found
