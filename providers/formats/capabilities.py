"""What an upstream model takes, refuses and limits: data with sources, not code.

Each file in ``capability_data/`` holds the rules of one dialect; a rule names the models
and providers it is for (globs) and the fields it sets, with its source and date. Later
rules win over earlier ones, and what a 400 taught (``Target.drop``) over all. An
envelope ``includes`` the rules of the dialects it wraps.
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
    """Say what one upstream model takes; the defaults are those of a chat upstream.

    Shapes:  ``speaks`` names the dialects whose own fields, parts and server tools
             this upstream reads. ``max_tokens_field`` is the spelling for chat.
             ``effort_levels`` are the words a model knows, lowest first; ``thinking``
             is how it is asked to reason: none | effort | budget | adaptive | level.
             ``budgets`` are tokens by effort word where they differ from the common
             table; ``dynamic_budget`` = it may be left to choose its budget itself.
             ``tool_name_pattern``, ``tool_name_start`` and ``tool_id_pattern`` are
             character classes, blank = anything. ``json_output`` native | tool |
             instruction says how a schema is asked for. ``reasoning_history`` none |
             text | proof says which earlier reasoning is sent back; ``proof_families``
             whose proof is read. ``web_search`` and ``code_execution`` are the types of
             the vendor's own tools, blank without one. ``media_sources`` and ``url_globs`` name media
             the vendor reaches itself. ``closed_schemas`` = a schema that is enforced
             must forbid other members; ``schema_refuses`` are the keywords it may not
             have. ``refuses`` are top-level fields never to be sent. ``service_tiers`` empty = any word. ``max_output`` None = unknown.
    Units:   tokens, bytes and counts as the names say.
    """

    speaks: tuple[str, ...] = ()
    max_tokens_field: str = "max_tokens"
    needs_max_output: bool = False
    default_max_output: int = 8192
    max_output: int | None = None
    min_output: int = 1
    temperature: bool = True
    temperature_max: float = 2.0
    temperature_with_top_p: bool = True
    sampling_with_thinking: bool = True
    top_p: bool = True
    top_k: bool = True
    min_p: bool = True
    repeat_penalty: bool = True
    penalties: bool = True
    seed: bool = True
    logit_bias: bool = True
    logprobs: bool = True
    stop: bool = True
    blank_stop: bool = True
    max_stop: int = 4
    choices: bool = True
    choices_streamed: bool = True
    max_choices: int = 128
    developer_role: bool = True
    system_in_middle: bool = True
    merges_turns: bool = False
    user_first: bool = False
    blank_text: bool = True
    refusals: bool = True
    names: bool = True
    prefill: bool = True
    trims_prefill: bool = False
    null_content: bool = True
    stream_options: bool = True
    tools: bool = True
    custom_tools: bool = False
    namespaces: bool = False
    deferred_tools: bool = False
    builtin_tools: bool = False
    tools_needed_for_history: bool = False
    tool_choice: bool = True
    tool_choice_none: bool = True
    tool_choice_any: bool = True
    tool_choice_named: bool = True
    parallel_tool_calls: bool = True
    strict_tools: bool = True
    allowed_tools: bool = False
    forced_tool_with_thinking: bool = True
    web_search: str = ""
    code_execution: str = ""
    server_tools_with_functions: bool = True
    tool_name_pattern: str = "a-zA-Z0-9_-"
    tool_name_start: str = ""
    tool_name_max: int = 64
    tool_ids: bool = True
    tool_id_pattern: str = "a-zA-Z0-9_-"
    tool_id_max: int = 64
    tool_id_length: int | None = None
    results_in_call_order: bool = False
    media_in_results: bool = False
    json_object: bool = True
    json_enum: bool = False
    json_output: str = "native"
    json_with_tools: bool = True
    full_json_schema: bool = True
    closed_schemas: bool = False
    schema_refuses: tuple[str, ...] = ()
    vision: bool = True
    image_urls: bool = True
    image_types: tuple[str, ...] = (
        "image/png",
        "image/jpeg",
        "image/gif",
        "image/webp",
    )
    max_image_bytes: int | None = None
    audio_input: bool = True
    video_input: bool = False
    documents: bool = True
    text_documents: bool = False
    document_urls: bool = False
    document_types: tuple[str, ...] = ("application/pdf",)
    media_sources: tuple[str, ...] = ()
    url_globs: tuple[str, ...] = ()
    audio_output: bool = False
    image_output: bool = False
    thinking: str = "effort"
    effort_levels: tuple[str, ...] = ("minimal", "low", "medium", "high")
    budgets: dict[str, int] = {}
    dynamic_budget: bool = False
    min_budget: int = 1024
    max_budget: int = 32768
    budget_in_output: bool = False
    thinking_off: bool = True
    thinking_needs_proof: bool = False
    reasoning_history: str = "none"
    replays_reasoning_content: bool = False
    proof_families: tuple[str, ...] = ()
    proof_bound_to_scope: bool = False
    signatures_required: bool = False
    item_ids: bool = False
    cache_marks: int = 0
    auto_cache: bool = False
    cache_key: bool = False
    service_tier: bool = False
    service_tiers: tuple[str, ...] = ()
    metadata: bool = False
    store: bool = False
    end_user: bool = True
    verbosity: bool = False
    betas: tuple[str, ...] = ()
    refuses: tuple[str, ...] = ()


class _Rule(msgspec.Struct, frozen=True):
    models: tuple[str, ...]
    providers: tuple[str, ...]
    values: dict[str, Any]
    within: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = ()


@lru_cache(maxsize=4096)
def capabilities(format_id: str, provider: str, model: str) -> Capabilities:
    """Return what a model takes.

    Shapes:  ``provider`` is the catalogue's id, or the slug of one that is not in it.
    Cost:    a dictionary read after the first time.
    """
    name = model.lower()
    values: dict[str, Any] = {}
    for rule in _rules(format_id):
        if not _matches(rule.models, name) or not _matches(rule.providers, provider):
            continue
        if all(_is_within(each, name) for each in rule.within):
            values.update(rule.values)
    return msgspec.convert(values, Capabilities)


@cache
def _rules(format_id: str) -> tuple[_Rule, ...]:
    root = resources.files("providers.formats").joinpath(_FILES)
    path = root.joinpath(f"{format_id}.json")
    if not path.is_file():
        return ()
    file = msgspec.json.decode(path.read_bytes())
    rules: list[_Rule] = []
    for each in file.get("includes", ()):
        # An envelope starts from what it wraps, for the models it wraps it for.
        rules += (
            _Rule(
                models=rule.models,
                providers=rule.providers,
                values=rule.values,
                within=(
                    *rule.within,
                    (tuple(each.get("models", ())), tuple(each.get("except", ()))),
                ),
            )
            for rule in _rules(each["format"])
        )
    rules += (
        _Rule(
            models=tuple(each.get("models", ())),
            providers=tuple(each.get("providers", ())),
            values={
                name: value
                for name, value in each.items()
                if name not in _SOURCE_FIELDS
            },
        )
        for each in file["rules"]
    )
    return tuple(rules)


def _is_within(bounds: tuple[tuple[str, ...], tuple[str, ...]], name: str) -> bool:
    models, excepted = bounds
    outside = bool(excepted) and _matches(excepted, name)
    return _matches(models, name) and not outside


def _matches(globs: tuple[str, ...], name: str) -> bool:
    return not globs or any(fnmatchcase(name, glob) for glob in globs)
