"""Turn what an upstream was learned to refuse into capabilities it lacks.

A field a 400 named is left out by the same code that leaves out what the data says an
upstream does not take, so it is named as a loss the same way.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from msgspec.structs import replace

from providers.formats.capabilities import Capabilities

_NO_SCHEMA: Final = {"json_output": "instruction", "json_object": False}
_NO_THINKING: Final = {"thinking": "none"}
_LACKS: Final[dict[str, dict[str, Any]]] = {
    "temperature": {"temperature": False},
    "top_p": {"top_p": False},
    "topP": {"top_p": False},
    "top_k": {"top_k": False},
    "topK": {"top_k": False},
    "min_p": {"min_p": False},
    "seed": {"seed": False},
    "stop": {"stop": False},
    "stop_sequences": {"stop": False},
    "stopSequences": {"stop": False},
    "logit_bias": {"logit_bias": False},
    "logprobs": {"logprobs": False},
    "top_logprobs": {"logprobs": False},
    "responseLogprobs": {"logprobs": False},
    "presence_penalty": {"penalties": False},
    "frequency_penalty": {"penalties": False},
    "presencePenalty": {"penalties": False},
    "frequencyPenalty": {"penalties": False},
    "repeat_penalty": {"repeat_penalty": False},
    "n": {"choices": False},
    "candidateCount": {"choices": False},
    "response_format": _NO_SCHEMA,
    "format": _NO_SCHEMA,
    "responseSchema": _NO_SCHEMA,
    "responseJsonSchema": _NO_SCHEMA,
    "reasoning_effort": _NO_THINKING,
    "reasoning": _NO_THINKING,
    "thinking": _NO_THINKING,
    "thinkingConfig": _NO_THINKING,
    "think": _NO_THINKING,
    "parallel_tool_calls": {"parallel_tool_calls": False},
    "tool_choice": {"tool_choice": False},
    "tools": {"tools": False},
    "user": {"end_user": False},
    "safety_identifier": {"end_user": False},
    "metadata": {"metadata": False},
    "service_tier": {"service_tier": False},
    "serviceTier": {"service_tier": False},
    "store": {"store": False},
    "verbosity": {"verbosity": False},
    "prompt_cache_key": {"cache_key": False},
    "cache_control": {"cache_marks": 0, "auto_cache": False},
}


def without_refused(caps: Capabilities, drop: Iterable[str]) -> Capabilities:
    """Return capabilities without what the data or a 400 said is refused.

    Shapes:  ``drop`` has the upstream's own spellings; unknown ones change nothing.
    """
    changes: dict[str, Any] = {}
    for field in (*caps.refuses, *drop):
        changes.update(_LACKS.get(field, ()))
    return replace(caps, **changes) if changes else caps
