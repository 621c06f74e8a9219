"""What is publicly known of providers and their models, in one shape.

Every source (the embedded book, models.dev, the LiteLLM price file, OpenRouter's list)
is read into a ``Listing``; everything behind them reads only this.
"""

from __future__ import annotations

from typing import Final

import msgspec

from pricing.cost import PriceSpec

KINDS: Final = frozenset(
    {
        "chat",
        "completion",
        "embedding",
        "rerank",
        "moderation",
        "image",
        "speech",
        "transcription",
        "video",
        "realtime",
        "other",
    }
)
"""What a model is asked for; only chat and completion answer a chat."""

CAPABILITIES: Final = (
    "tools",
    "parallel_tools",
    "vision",
    "audio",
    "pdf",
    "video",
    "reasoning",
    "json_schema",
    "json",
    "cache",
    "web_search",
    "system_prompt",
    "temperature",
)
"""The words for what a model can do, in the order screens show them."""


class ListedModel(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Hold one model at one provider.

    Shapes:  ``id`` as that provider spells it; ``inputs`` and ``outputs`` are
             modalities (text, image, audio, video, pdf); ``capabilities`` words of
             ``CAPABILITIES`` the source affirms, ``lacks`` those it denies; what is
             in neither is not known. ``released`` is YYYY-MM-DD or less of it.
    Units:   ``context_window`` and ``max_output`` in tokens, None = not known;
             ``price`` as in PriceSpec, None = the source states none.
    """

    id: str
    name: str = ""
    family: str = ""
    kind: str = "chat"
    price: PriceSpec | None = None
    context_window: int | None = None
    max_output: int | None = None
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    released: str = ""
    deprecated: bool = False
    origin: str = ""


class ListedProvider(msgspec.Struct, frozen=True, omit_defaults=True):
    """Hold one provider with the models a source knows of it.

    Shapes:  ``id`` is the catalogue's; ``environment`` are variable names of its key.
    """

    id: str
    name: str = ""
    base_url: str = ""
    documentation: str = ""
    environment: tuple[str, ...] = ()
    models: dict[str, ListedModel] = {}


class Listing(msgspec.Struct, frozen=True):
    """Hold what one source says, and of when that is.

    Shapes:  ``date`` is YYYY-MM-DD; ``source`` the name of the source, ``url`` where it
             is published; ``providers`` by id.
    """

    source: str
    url: str
    date: str
    providers: dict[str, ListedProvider]

    @property
    def models_count(self) -> int:
        """Return how many models are listed in all."""
        return sum(len(each.models) for each in self.providers.values())
