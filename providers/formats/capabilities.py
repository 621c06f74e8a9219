"""What an upstream model takes, refuses and limits: data with sources, not code.

Each file in ``capability_data/`` holds the rules of one dialect; a rule names the models
and providers it is for (globs) and the fields it sets. Later rules win over earlier ones,
and what a 400 taught (``Target.drop``) over all.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import cache, lru_cache
from importlib import resources
from typing import Any, Final

import msgspec

_FILES: Final = "capability_data"
_SOURCE_FIELDS: Final = frozenset({"models", "providers", "source", "date", "note"})


class Capabilities(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """Say what one upstream model takes.

    Shapes:  ``max_tokens_field`` is the spelling for chat. ``effort_levels`` are the
             words a model knows, lowest first; ``thinking`` is how it is asked to
             reason: none | effort | budget | adaptive | level. ``tool_name_pattern`` is
             a character class. ``json_output`` native | tool | instruction says how a
             schema is asked for. ``refuses`` are top-level fields never to be sent.
    Units:   tokens, bytes and counts as the names say.
    """

    max_tokens_field: str = "max_tokens"
    default_max_output: int = 8192
    min_output: int = 1
    temperature: bool = True
    temperature_max: float = 2.0
    temperature_with_top_p: bool = True
    top_p: bool = True
    top_k: bool = True
    penalties: bool = True
    logprobs: bool = True
    stop: bool = True
    max_stop: int = 4
    choices: bool = True
    max_choices: int = 128
    developer_role: bool = True
    system_in_middle: bool = True
    prefill: bool = True
    null_content: bool = True
    stream_options: bool = True
    tools: bool = True
    custom_tools: bool = False
    parallel_tool_calls: bool = True
    strict_tools: bool = True
    allowed_tools: bool = False
    forced_tool_with_thinking: bool = True
    tool_name_pattern: str = "a-zA-Z0-9_-"
    tool_name_max: int = 64
    tool_id_pattern: str = "a-zA-Z0-9_-"
    tool_id_max: int = 64
    json_object: bool = True
    json_output: str = "native"
    json_with_tools: bool = True
    full_json_schema: bool = True
    vision: bool = True
    image_urls: bool = True
    audio_input: bool = True
    documents: bool = True
    thinking: str = "effort"
    effort_levels: tuple[str, ...] = ("minimal", "low", "medium", "high")
    budgets: dict[str, int] = {}
    min_budget: int = 1024
    max_budget: int = 32768
    thinking_off: bool = True
    replays_reasoning_content: bool = False
    signatures_required: bool = False
    cache_marks: int = 0
    cache_key: bool = False
    service_tier: bool = False
    metadata: bool = False
    end_user: bool = True
    verbosity: bool = False
    refuses: tuple[str, ...] = ()


class _Rule(msgspec.Struct, frozen=True):
    models: tuple[str, ...]
    providers: tuple[str, ...]
    values: dict[str, Any]


@lru_cache(maxsize=4096)
def capabilities(format_id: str, provider: str, model: str) -> Capabilities:
    """Return what a model takes.

    Shapes:  ``provider`` is the catalogue's id, or the slug of one that is not in it.
    Cost:    a dictionary read after the first time.
    """
    name = model.lower()
    values: dict[str, Any] = {}
    for rule in _rules(format_id):
        if _matches(rule.models, name) and _matches(rule.providers, provider):
            values.update(rule.values)
    return msgspec.convert(values, Capabilities)


@cache
def _rules(format_id: str) -> tuple[_Rule, ...]:
    root = resources.files("providers.formats").joinpath(_FILES)
    path = root.joinpath(f"{format_id}.json")
    if not path.is_file():
        return ()
    return tuple(
        _Rule(
            models=tuple(each.get("models", ())),
            providers=tuple(each.get("providers", ())),
            values={
                name: value
                for name, value in each.items()
                if name not in _SOURCE_FIELDS
            },
        )
        for each in msgspec.json.decode(path.read_bytes())["rules"]
    )


def _matches(globs: tuple[str, ...], name: str) -> bool:
    return not globs or any(fnmatchcase(name, glob) for glob in globs)
