"""The list of a LiteLLM proxy. Source: docs.litellm.ai, /model/info."""

from __future__ import annotations

from typing import Any, Final

from pricing.cost import PriceSpec
from pricing.listing import ListedModel
from providers.discovery.infer import kind_of
from providers.discovery.lists import entry

_PRICES: Final = {
    "input_cost_per_token": "input",
    "output_cost_per_token": "output",
    "cache_read_input_token_cost": "cache_read",
    "cache_creation_input_token_cost": "cache_write",
    "output_cost_per_reasoning_token": "reasoning",
}
_MODES: Final = {
    "chat": "chat",
    "responses": "chat",
    "completion": "completion",
    "embedding": "embedding",
    "rerank": "rerank",
    "moderation": "moderation",
    "image_generation": "image",
    "image_edit": "image",
    "audio_speech": "speech",
    "audio_transcription": "transcription",
    "video_generation": "video",
    "realtime": "realtime",
}
_WORDS: Final = {
    "supports_function_calling": "tools",
    "supports_parallel_function_calling": "parallel_tools",
    "supports_vision": "vision",
    "supports_audio_input": "audio",
    "supports_pdf_input": "pdf",
    "supports_reasoning": "reasoning",
    "supports_response_schema": "json_schema",
    "supports_prompt_caching": "cache",
    "supports_web_search": "web_search",
    "supports_system_messages": "system_prompt",
}


def read(data: Any) -> list[ListedModel]:
    """Read ``{"data": [{"model_name", "litellm_params", "model_info"}]}``.

    Errors:  NotAListError.
    """
    return entry.distinct(_model(item) for item in entry.items(data, "data"))


def _model(item: dict[str, Any]) -> ListedModel:
    name = entry.model_id(item.get("model_name"))
    said = entry.table(item.get("model_info"))
    stated = {
        word: said[key]
        for key, word in _WORDS.items()
        if isinstance(said.get(key), bool)
    }
    columns = {
        column: entry.price(said.get(key))
        for key, column in _PRICES.items()
        if said.get(key) is not None
    }
    has_price = columns.get("input") is not None or columns.get("output") is not None
    mode = said.get("mode")
    return ListedModel(
        id=name,
        kind=_MODES.get(mode, "other") if isinstance(mode, str) else kind_of(name),
        price=PriceSpec(**columns) if has_price else None,
        context_window=entry.count(said.get("max_input_tokens")),
        max_output=entry.count(said.get("max_output_tokens"), said.get("max_tokens")),
        capabilities=tuple(word for word, has in stated.items() if has),
        lacks=tuple(word for word, has in stated.items() if not has),
    )
