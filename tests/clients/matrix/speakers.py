"""Every official SDK, and what its dialect has no words for."""

from __future__ import annotations

from typing import Any

from tests.clients.matrix.anthropic_messages import MessagesSpeaker
from tests.clients.matrix.google_genai import GenaiSpeaker
from tests.clients.matrix.ollama_chat import OllamaSpeaker
from tests.clients.matrix.openai_chat import ChatSpeaker
from tests.clients.matrix.openai_responses import ResponsesSpeaker

SPEAKERS: dict[str, Any] = {
    each.name: each
    for each in (
        ChatSpeaker,
        ResponsesSpeaker,
        MessagesSpeaker,
        GenaiSpeaker,
        OllamaSpeaker,
    )
}
INEXPRESSIBLE = {
    ("ollama", "forced tool"): "Ollama's chat has no tool_choice",
}
"""What a client dialect has no words for: at most 12 cells, each with its reason."""
