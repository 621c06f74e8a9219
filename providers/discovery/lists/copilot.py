"""GitHub Copilot's list: what this seat may use."""

from __future__ import annotations

from typing import Any, Final

from pricing.listing import ListedModel
from providers.discovery.lists import entry

_WORDS: Final = {
    "tool_calls": "tools",
    "parallel_tool_calls": "parallel_tools",
    "vision": "vision",
    "structured_outputs": "json_schema",
}


def read(data: Any) -> list[ListedModel]:
    """Read ``{"data": [...]}``: chat models whose policy is not disabled.

    Errors:  NotAListError.
    """
    found = (_model(item) for item in entry.items(data, "data"))
    return entry.distinct(each for each in found if each is not None)


def _model(item: dict[str, Any]) -> ListedModel | None:
    abilities = entry.table(item.get("capabilities"))
    if abilities.get("type", "chat") != "chat":
        return None
    if entry.table(item.get("policy")).get("state") == "disabled":
        return None
    limits = entry.table(abilities.get("limits"))
    supports = entry.table(abilities.get("supports"))
    stated = {
        word: supports[name]
        for name, word in _WORDS.items()
        if isinstance(supports.get(name), bool)
    }
    return ListedModel(
        id=entry.model_id(item.get("id")),
        name=entry.words(item.get("name")),
        family=entry.words(abilities.get("family"), 60),
        context_window=entry.count(
            limits.get("max_context_window_tokens"), limits.get("max_prompt_tokens")
        ),
        max_output=entry.count(limits.get("max_output_tokens")),
        capabilities=tuple(word for word, has in stated.items() if has),
        lacks=tuple(word for word, has in stated.items() if not has),
    )
