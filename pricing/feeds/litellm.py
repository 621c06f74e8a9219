"""Read the price file of LiteLLM: one flat table of models at providers.

Source:  the shape of model_prices_and_context_window.json; prices are USD per token,
         image, second, character or query.
"""

from __future__ import annotations

import re
from typing import Any, Final

from pricing.feeds import fields, kinds
from pricing.feeds.litellm_prices import price_of
from pricing.feeds.provider_ids import catalogue_id
from pricing.listing import ListedModel, ListedProvider, Listing

SOURCE: Final = "litellm"
URL: Final = (
    "https://raw.githubusercontent.com/BerriAI/litellm/main/"
    "model_prices_and_context_window.json"
)

_NO_MODELS: Final = frozenset({"sample_spec", "fallback_generalizations"})
_OWN_SERVERS: Final = frozenset({"ollama", "lemonade"})
_KINDS: Final = {
    "chat": "chat",
    "responses": "chat",
    "completion": "completion",
    "embedding": "embedding",
    "image_generation": "image",
    "image_edit": "image",
    "video_generation": "video",
    "audio_transcription": "transcription",
    "audio_speech": "speech",
    "moderation": "moderation",
    "rerank": "rerank",
    "realtime": "realtime",
}
_FLAGS: Final = {
    "supports_function_calling": "tools",
    "supports_parallel_function_calling": "parallel_tools",
    "supports_vision": "vision",
    "supports_audio_input": "audio",
    "supports_pdf_input": "pdf",
    "supports_video_input": "video",
    "supports_reasoning": "reasoning",
    "supports_response_schema": "json_schema",
    "supports_prompt_caching": "cache",
    "supports_web_search": "web_search",
    "supports_system_messages": "system_prompt",
}
_REGION: Final = re.compile(r"[a-z]{2}(-[a-z]+)+-\d+|us|eu|global(-standard)?|\*")
_SIZE: Final = re.compile(r"-x-|max-x-max")


def read(raw: bytes, *, date: str) -> Listing:
    """Read the whole table.

    Shapes:  ``date`` is YYYY-MM-DD, the day of the answer. Rows of one region, one
             commitment or one picture size are variants of a model, not models: they
             are left out.
    Errors:  FeedError for what is not this source's shape. A single bad model is left
             out, and a bad price of a model is no price.
    """
    document = fields.document(raw, "LiteLLM")
    found: dict[str, dict[str, ListedModel]] = {}
    read_count = 0
    for key, value in document.items():
        if key in _NO_MODELS:
            continue
        entry = fields.table(value)
        theirs = fields.identifier(entry.get("litellm_provider"))
        ours = _provider(theirs)
        model = fields.identifier(key)
        if not ours or not model:
            continue
        read_count += 1
        name = _own_name(model, theirs)
        if name:
            models = found.setdefault(ours, {})
            models.setdefault(name, _model(name, entry, date, theirs in _OWN_SERVERS))
    offered = len(document.keys() - _NO_MODELS)
    fields.check_amount(read_count, offered, "LiteLLM")
    providers = {
        ours: ListedProvider(id=ours, models=models) for ours, models in found.items()
    }
    return Listing(SOURCE, URL, date, providers)


def _provider(theirs: str) -> str:
    """Return the catalogue's id; every family of Vertex AI is one provider."""
    if theirs.startswith("vertex_ai-"):
        theirs = "vertex_ai"
    return catalogue_id("litellm", theirs)


def _own_name(key: str, theirs: str) -> str:
    """Return the id as the provider spells it, blank for a variant of a model."""
    if _SIZE.search(key):
        return ""
    head, slash, rest = key.partition("/")
    if slash and _is_prefix(head, theirs):
        key = rest
        head, slash, rest = key.partition("/")
        if slash and _REGION.fullmatch(head):
            return ""
    return key if not key.endswith("/*") else ""


def _is_prefix(head: str, theirs: str) -> bool:
    """Tell the router's own prefix from a maker's name in front of a model."""
    plain = head.replace("_", "-")
    provider = theirs.replace("_", "-")
    return plain == provider or provider.startswith(f"{plain}-")


def _model(
    name: str, entry: dict[str, Any], date: str, is_own_server: bool
) -> ListedModel:
    mode = entry.get("mode")
    outputs = fields.modalities(entry.get("supported_output_modalities"))
    kind = _KINDS.get(mode, "other") if isinstance(mode, str) else ""
    kind = kind or kinds.kind_of(name, outputs)
    # A list of modalities here is seldom whole: it affirms, and denies nothing.
    inputs = fields.modalities(entry.get("supported_modalities"))
    can, cannot = kinds.affirmed(
        {ours: entry.get(theirs) for theirs, ours in _FLAGS.items()}, ()
    )
    is_free = is_own_server or kind == "moderation" or "free" in name.lower()
    return ListedModel(
        id=name,
        kind=kind,
        price=price_of(entry, kind, is_free=is_free),
        context_window=fields.tokens(entry.get("max_input_tokens")),
        max_output=fields.tokens(entry.get("max_output_tokens")),
        inputs=inputs,
        outputs=outputs,
        capabilities=can,
        lacks=cannot,
        deprecated=fields.is_past(entry.get("deprecation_date"), date),
        origin=SOURCE,
    )
