"""Which operations are translated, and by what; the rest is relayed or not served."""

from __future__ import annotations

from typing import Final

from providers.formats.base import Bridge, Op, WireFormat
from providers.formats.operations.completions_bridge import CompletionsBridge
from providers.formats.operations.embed_bridge import EmbeddingsBridge
from providers.formats.operations.embed_words import WORDS
from providers.formats.operations.images_google import ImagesBridge
from providers.formats.operations.speech_google import SpeechBridge

_OPENAI: Final = "openai"
_GOOGLE: Final = "google"
_NO_BATCHES: Final = frozenset({"vertex"})
"""Upstreams whose dialect has batches of embeddings, and who have none."""


def translated(
    inbound: str, upstream: WireFormat, op: Op, model: str, chat: Bridge | None
) -> Bridge | None:
    """Return what translates an operation, None where nothing does.

    Shapes:  ``chat`` joins a client of chat completions with this upstream.
    """
    if op == "embeddings":
        return _embeddings(inbound, upstream, model)
    if inbound != _OPENAI:
        return None
    if op == "completions":
        return None if chat is None else CompletionsBridge(chat)
    if op not in ("images", "speech"):
        return None
    own = upstream.relay(_GOOGLE, "chat", model)
    if own is None:
        return None
    return ImagesBridge(own) if op == "images" else SpeechBridge(own)


def _embeddings(inbound: str, upstream: WireFormat, model: str) -> Bridge | None:
    """Ask in the first dialect the upstream serves its own clients in."""
    source = WORDS.get(inbound)
    if source is None or upstream.id in _NO_BATCHES:
        return None
    for dialect, words in WORDS.items():
        own = upstream.relay(dialect, "embeddings", model)
        if own is not None:
            return EmbeddingsBridge(source, words, own)
    return None
