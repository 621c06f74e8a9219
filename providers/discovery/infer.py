"""Guess from a model's id what its provider does not say.

A guess is the last resort: what a provider declares, the catalogue knows or an answer
proved always stands above it, and a screen names it as a guess.

Source: reference seeds 10.2, 10.3.
"""

from __future__ import annotations

import re
from typing import Final

_KINDS: Final[tuple[tuple[str, str], ...]] = (
    ("rerank", r"rerank"),
    ("embedding", r"embed|bge-|semantic_similarity"),
    ("moderation", r"moderation"),
    ("transcription", r"transcribe|transcription|^whisper"),
    ("speech", r"^tts-"),
    ("image", r"dall-e|gpt-image|imagen|swap_face|^mj[_-]"),
    (
        "completion",
        r"^text-(?:ada|babbage|curie)|^text-davinci-|^(?:davinci|babbage)-002$",
    ),
)
_KIND_PATTERNS: Final = tuple((kind, re.compile(pattern)) for kind, pattern in _KINDS)
_VISION: Final = re.compile(
    r"vision|4o|gpt-4-turbo|gpt-4\.1|gpt-5|claude-|gemini|-vl|pixtral|llava"
)
_REASONING: Final = re.compile(
    r"(?:^|[/.-])o[134](?:-|$)|thinking|reasoner|gpt-5|-r1|qwq"
)
_TOOLS: Final = re.compile(
    r"gpt-3\.5-turbo|gpt-4|gpt-5|claude-(?:3|sonnet-4|opus-4|haiku-4)"
    r"|(?:^|/)o[134](?:-|$)|gemini-|mistral-(?:large|medium|small)"
)
_JSON: Final = re.compile(r"gpt-3\.5-turbo|gpt-4|gpt-5|claude")
_CHAT_KINDS: Final = frozenset({"chat", "completion"})
_NO_CHAT: Final = re.compile("|".join(pattern for _, pattern in _KINDS))


def kind_of(model_id: str) -> str:
    """Return what a model is asked for, chat when nothing says otherwise."""
    name = model_id.lower().rpartition("/")[2]
    for kind, pattern in _KIND_PATTERNS:
        if pattern.search(name):
            return kind
    return "chat"


def answers_chat(model_id: str) -> bool:
    """Tell whether chat completions may be asked of a model with this id."""
    return not _NO_CHAT.search(model_id.lower().rpartition("/")[2])


def capabilities_of(model_id: str, *, kind: str = "") -> tuple[str, ...]:
    """Return the capabilities a model of this name usually has; never a denial."""
    if (kind or kind_of(model_id)) not in _CHAT_KINDS:
        return ()
    name = model_id.lower()
    guesses = (
        ("tools", _TOOLS),
        ("vision", _VISION),
        ("reasoning", _REASONING),
        ("json", _JSON),
    )
    return tuple(word for word, pattern in guesses if pattern.search(name))
