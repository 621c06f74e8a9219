"""Where Gemini models are served, and how a request for one is addressed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import quote

import msgspec

from providers.formats.base import FormatError, Op, Target
from providers.formats.gemini_generate.peek import MODEL_PREFIXES

METHODS: Final[dict[Op, str]] = {
    "chat": "generateContent",
    "count_tokens": "countTokens",
    "embeddings": "embedContent",
}

Locate = Callable[[str, str, Mapping[str, str]], str]
"""Return a path from a model, a method and a provider's options."""


class Platform(msgspec.Struct, frozen=True, kw_only=True):
    """Say how one platform is spoken to.

    Shapes:  ``wraps`` = the request stands in Code Assist's envelope. ``call_ids`` =
             calls and answers may carry an id. ``labels`` = it takes labels.
    """

    id: str
    locate: Locate
    wraps: bool = False
    call_ids: bool = True
    labels: bool = False

    def path(self, op: Op, target: Target, *, stream: bool, batch: bool = False) -> str:
        """Return the path of one call; a stream is always asked for as SSE.

        Errors:  FormatError when the provider lacks an option the path needs.
        """
        method = METHODS[op]
        if stream:
            method = "streamGenerateContent"
        elif batch:
            method = "batchEmbedContents"
        path = self.locate(target.model, method, target.options)
        return f"{path}?alt=sse" if stream else path


def resource(model: str) -> str:
    """Return a model as Google names it, in a collection and fit for a path."""
    name = model if model.startswith(MODEL_PREFIXES) else f"models/{model}"
    return quote(name, safe="/@-._~")


def option(options: Mapping[str, str], name: str) -> str:
    """Return a setting of the provider's.

    Errors:  FormatError when it is not set: the call cannot be addressed.
    """
    value = options.get(name, "").strip()
    if not value:
        raise FormatError(
            f"The provider has no '{name}' set.", code="provider_misconfigured"
        )
    return quote(value, safe="")


def _locate(model: str, method: str, options: Mapping[str, str]) -> str:
    return f"/{resource(model)}:{method}"


GOOGLE: Final = Platform(id="google", locate=_locate)
"""The Gemini API; its base URL ends in the version."""
