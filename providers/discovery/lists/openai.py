"""Lists in OpenAI's shape, with what OpenRouter and its like add to it.

Source: vendors' documentation of GET /v1/models; openrouter.ai/docs (models).
"""

from __future__ import annotations

from typing import Any, Final

from pricing.cost import PriceSpec
from pricing.listing import ListedModel
from providers.discovery.infer import kind_of
from providers.discovery.lists import entry

_PRICES: Final = {
    "prompt": "input",
    "completion": "output",
    "input_cache_read": "cache_read",
    "input_cache_write": "cache_write",
    "internal_reasoning": "reasoning",
    "audio": "audio_in",
    "request": "per_request",
    "image": "image_in",
    "web_search": "per_tool_call",
}
_PARAMETERS: Final = {
    "tools": "tools",
    "parallel_tool_calls": "parallel_tools",
    "structured_outputs": "json_schema",
    "response_format": "json",
    "reasoning": "reasoning",
    "temperature": "temperature",
}
_MEDIA: Final = {"image": "vision", "audio": "audio", "video": "video", "file": "pdf"}
_FREE: Final = ":free"
_TRIAL: Final = (
    "claude", "opus", "haiku", "sonnet", "glm", "qwen", "k2.5", "m2.5",
)  # fmt: skip


def read(data: Any) -> list[ListedModel]:
    """Read a list: ``{"data": [...]}``, ``{"models": [...]}`` or bare.

    Errors:  NotAListError.
    """
    return entry.distinct(_model(each) for each in entry.items(data, "data", "models"))


def free_only(found: list[ListedModel]) -> list[ListedModel]:
    """Keep what costs nothing: ids ending in :free, or every price zero."""
    return [
        each
        for each in found
        if each.id.endswith(_FREE) or (each.price is not None and _is_free(each.price))
    ]


def trial_only(found: list[ListedModel]) -> list[ListedModel]:
    """Keep the families a trial is for."""
    return [each for each in found if any(w in each.id.lower() for w in _TRIAL)]


def _is_free(price: PriceSpec) -> bool:
    known = [getattr(price, name) for name in set(_PRICES.values())]
    return price.input == 0 and price.output == 0 and not any(known)


def _model(item: dict[str, Any]) -> ListedModel:
    name = entry.model_id(item.get("id", item.get("name", item.get("model"))))
    name = name.removeprefix("models/")
    made = entry.table(item.get("architecture"))
    top = entry.table(item.get("top_provider"))
    inputs = entry.texts(made.get("input_modalities", item.get("input_modalities")))
    outputs = entry.texts(made.get("output_modalities", item.get("output_modalities")))
    shown = entry.words(item.get("name", item.get("display_name")))
    can, cannot = _abilities(item, inputs)
    return ListedModel(
        id=name,
        name="" if shown == name else shown,
        kind=_kind(name, outputs),
        price=_price(item.get("pricing")),
        context_window=entry.count(
            item.get("context_length"),
            item.get("context_window"),
            item.get("max_context_length"),
            item.get("max_model_len"),
            top.get("context_length"),
        ),
        max_output=entry.count(
            top.get("max_completion_tokens"),
            item.get("max_completion_tokens"),
            item.get("max_output_tokens"),
        ),
        inputs=inputs,
        outputs=outputs,
        capabilities=can,
        lacks=cannot,
        released=entry.day(item.get("created")),
        deprecated=_is_deprecated(item),
    )


def _abilities(
    item: dict[str, Any], inputs: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what a list affirms and what it denies; most say neither."""
    parameters = entry.texts(item.get("supported_parameters"))
    stated = {word: name in parameters for name, word in _PARAMETERS.items()}
    if not parameters:
        stated = {}
    if inputs:
        stated |= {word: name in inputs for name, word in _MEDIA.items()}
    # Mistral says it in a table of its own.
    own = entry.table(item.get("capabilities"))
    for name, word in (("function_calling", "tools"), ("vision", "vision")):
        if isinstance(own.get(name), bool):
            stated[word] = own[name]
    can = tuple(word for word, has in stated.items() if has)
    return can, tuple(word for word, has in stated.items() if not has)


def _kind(name: str, outputs: tuple[str, ...]) -> str:
    if outputs and "text" not in outputs:
        return {"image": "image", "audio": "speech", "video": "video"}.get(
            outputs[0], "embedding" if outputs[0] == "embeddings" else "other"
        )
    return kind_of(name)


def _price(value: Any) -> PriceSpec | None:
    stated = entry.table(value)
    columns = {
        column: entry.price(stated[name])
        for name, column in _PRICES.items()
        if name in stated
    }
    if columns.get("input") is None and columns.get("output") is None:
        return None
    # Zero for what a model does not have is how such lists are filled up.
    kept = {
        column: nano
        for column, nano in columns.items()
        if nano or column in ("input", "output")
    }
    return PriceSpec(**kept)


def _is_deprecated(item: dict[str, Any]) -> bool:
    # A date says when it will be so, a word or a flag that it is.
    return item.get("deprecated") is True or item.get("status") == "deprecated"
