"""The public sources there are: where each is, who reads it, what it must hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from pricing.feeds import litellm, models_dev, openrouter
from pricing.listing import Listing


class Source(msgspec.Struct, frozen=True):
    """Name one public source.

    Shapes:  ``providers`` limits what is believed of it to these providers, empty is
             all; ``least`` is how many models the first answer from the source's own
             address must hold at least.
    """

    name: str
    title: str
    url: str
    what: str
    read: Callable[..., Listing]
    least: int
    providers: frozenset[str] = frozenset()

    def listing(self, raw: bytes, *, date: str) -> Listing:
        """Read an answer.

        Errors:  FeedError with a sentence for a person.
        """
        return self.read(raw, date=date)


SOURCES: Final[dict[str, Source]] = {
    source.name: source
    for source in (
        Source(
            "models_dev",
            "models.dev",
            "https://models.dev/api.json",
            "Providers, models, limits and prices, kept by volunteers.",
            models_dev.read,
            1_000,
        ),
        Source(
            "litellm",
            "LiteLLM price file",
            "https://raw.githubusercontent.com/BerriAI/litellm/main/"
            "model_prices_and_context_window.json",
            "Prices and limits, kept by the LiteLLM project.",
            litellm.read,
            500,
        ),
        Source(
            "openrouter",
            "OpenRouter's own list",
            "https://openrouter.ai/api/v1/models",
            "What OpenRouter itself charges; believed for OpenRouter only.",
            openrouter.read,
            50,
            frozenset({"openrouter"}),
        ),
    )
}
"""By name, in the order screens show them."""

TRUSTED: Final = ("openrouter", "models_dev", "litellm")
"""In the order prices are looked for: a vendor's own list first, for that vendor."""
