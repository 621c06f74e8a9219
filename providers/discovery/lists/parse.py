"""Read a list of models in any shape this release knows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from pricing.listing import ListedModel
from providers.discovery.lists import (
    anthropic,
    azure,
    cloudcode,
    copilot,
    google,
    litellm,
    lmstudio,
    ollama,
    openai,
)
from providers.discovery.lists.entry import NotAListError

__all__ = ["SHAPES", "NotAListError", "read"]

Reader = Callable[[Any], list[ListedModel]]


def _free(data: Any) -> list[ListedModel]:
    return openai.free_only(openai.read(data))


SHAPES: Final[dict[str, Reader]] = {
    "openai": openai.read,
    "openrouter-free": _free,
    "anthropic": anthropic.read,
    "google": google.read,
    "ollama": ollama.read,
    "copilot": copilot.read,
    "cloudcode": cloudcode.read,
    "litellm": litellm.read,
    "lmstudio": lmstudio.read,
    "azure": azure.read,
}
"""Shapes by name; formats of the product that are none of them list as OpenAI does."""


def read(shape: str, data: Any) -> list[ListedModel]:
    """Read one answer; ``shape`` is one of SHAPES or a wire format's id.

    Errors:  NotAListError, a ValueError, when it is no list in that shape.
    """
    return SHAPES.get(shape, openai.read)(data)
