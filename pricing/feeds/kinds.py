"""Tell what a model is asked for and what it can do, from what a source says."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

_BY_ID: Final = (
    ("embedding", re.compile(r"embed|(^|/)bge-|(^|/)voyage-[\d]|semantic.similarity")),
    ("rerank", re.compile(r"rerank")),
    ("moderation", re.compile(r"moderation|guardrail")),
    ("transcription", re.compile(r"whisper|transcri|speech-to-text|(^|/)scribe")),
    ("speech", re.compile(r"(^|[/-])tts([-/]|$)|text-to-speech")),
    ("image", re.compile(r"dall-e|gpt-image|imagen|(^|/)mj[_-]|stable-diffusion")),
    ("video", re.compile(r"(^|/)(sora|veo)-")),
    ("realtime", re.compile(r"realtime|(^|-)live-")),
)
"""Asked in this order; the words vendors put into the ids of what is no chat model."""

_SEEN: Final = (
    ("image", "vision"),
    ("audio", "audio"),
    ("pdf", "pdf"),
    ("video", "video"),
)


def kind_of(model: str, outputs: tuple[str, ...]) -> str:
    """Return the kind of a model by what it gives out, then by the words of its id."""
    plain = model.lower()
    for kind, words in _BY_ID:
        if words.search(plain):
            return kind
    if "text" in outputs or not outputs:
        return "chat"
    if outputs[0] == "audio":
        return "speech"
    return outputs[0] if outputs[0] in ("image", "video") else "other"


def affirmed(
    flags: Mapping[str, Any], inputs: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Split what is said of a model into what it can and what it cannot.

    Shapes:  ``flags`` are words of CAPABILITIES with the source's value; only True and
             False say something. ``inputs``, where known, also say what is refused.
    """
    can = {word for word, value in flags.items() if value is True}
    cannot = {word for word, value in flags.items() if value is False}
    if inputs:
        for modality, word in _SEEN:
            (can if modality in inputs else cannot).add(word)
    return tuple(sorted(can)), tuple(sorted(cannot - can))


def present(values: Iterable[Any], words: Mapping[str, str]) -> dict[str, bool]:
    """Turn a list of supported parameters into flags: what is absent is denied."""
    given = {each for each in values if isinstance(each, str)}
    flags: dict[str, bool] = {}
    for parameter, word in words.items():
        flags[word] = flags.get(word, False) or parameter in given
    return flags
