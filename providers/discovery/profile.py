"""How a model at a provider may be called, as far as its format and name tell.

Source: reference seeds 5.7.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

_SEES: Final = ("vision", "gpt-4o", "gemini")


@dataclass(frozen=True)
class CapabilityProfile:
    """What can be relied on before anything was learned.

    Shapes:  ``tool_call_mode`` is full_native, lite_native, exec_only or text_only.
    Units:   ``max_tool_schema_bytes`` in bytes.
    """

    tool_call_mode: str
    parallel_tools: bool
    streaming_tools: bool
    json_schema: bool
    max_tool_schema_bytes: int
    vision: bool = False
    audio: bool = False


_FULL: Final = CapabilityProfile("full_native", True, True, True, 65_536)
_LITE: Final = CapabilityProfile("lite_native", False, True, True, 32_768)
_EXEC: Final = CapabilityProfile("exec_only", False, False, False, 0)
_TEXT: Final = CapabilityProfile("text_only", False, False, False, 8_192)
_BY_FORMAT: Final = {
    "responses": _FULL,
    "codex": _FULL,
    "openai": _LITE,
    "anthropic": _LITE,
    "google": _LITE,
    "copilot": _LITE,
    "cloudcode": _LITE,
    "azure": _LITE,
    "vertex": _LITE,
    "bedrock": _LITE,
    "ollama": _EXEC,
}


def profile_of(
    api_format: str,
    model_id: str,
    *,
    provider_id: str = "",
    is_local: bool = False,
    is_media: bool = False,
) -> CapabilityProfile:
    """Return the profile of a model at a provider."""
    made = _EXEC if is_local else _BY_FORMAT.get(api_format, _TEXT)
    names = f"{provider_id}/{model_id}".lower()
    sees = is_media or any(word in names for word in _SEES)
    return replace(made, vision=sees, audio=is_media)
