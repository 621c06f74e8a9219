"""What is known of one model, and who says so.

Five voices, the first that speaks wins: a person, an answer that proved or refuted it,
the provider's own list, the catalogue, a guess from the name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from pricing.listing import CAPABILITIES, ListedModel
from providers.discovery.infer import capabilities_of, kind_of

BY_HAND: Final = "by_hand"
PROBED: Final = "probed"
DECLARED: Final = "declared"
CATALOGUE: Final = "catalogue"
INFERRED: Final = "inferred"

KIND_WORDS: Final = {
    "chat": "chat",
    "completion": "completion",
    "embedding": "embeddings",
    "rerank": "rerank",
    "moderation": "moderation",
    "image": "image_generation",
    "video": "video_generation",
    "speech": "audio_generation",
    "transcription": "transcription",
    "realtime": "realtime",
}
"""What a kind is called among the capabilities of a row."""

WORDS: Final = (*CAPABILITIES, *KIND_WORDS.values())
"""Every capability one can look for."""


class Fact(NamedTuple):
    """One thing that is known, and from whom."""

    value: Any
    source: str


@dataclass(frozen=True)
class ModelFacts:
    """What is known of a model; what is not is absent, never zero or no."""

    kind: Fact
    name: str = ""
    context_window: Fact | None = None
    max_output_tokens: Fact | None = None
    deprecated: bool = False
    capabilities: Mapping[str, Fact] = field(default_factory=dict)

    def stored_capabilities(self) -> dict[str, bool]:
        """Return the capabilities as a row holds them: stated ones only."""
        return {word: bool(fact.value) for word, fact in self.capabilities.items()}


def gather(
    model_id: str,
    declared: ListedModel | None,
    known: ListedModel | None = None,
    *,
    evidence: Mapping[str, Any] | None = None,
) -> ModelFacts:
    """Join what the sources say of one model.

    Shapes:  ``declared`` is the provider's own entry, ``known`` the catalogue's;
             ``evidence`` what answers proved ({"tools": true}).
    """
    voices = [(DECLARED, declared), (CATALOGUE, known)]
    kind = _kind(model_id, declared, known)
    return ModelFacts(
        kind=kind,
        name=next((one.name for _, one in voices if one and one.name), ""),
        context_window=_first(voices, "context_window"),
        max_output_tokens=_first(voices, "max_output"),
        deprecated=any(one.deprecated for _, one in voices if one),
        capabilities=_capabilities(model_id, kind, voices, evidence or {}),
    )


Voices = Sequence[tuple[str, ListedModel | None]]


def _first(voices: Voices, name: str) -> Fact | None:
    for source, one in voices:
        value = getattr(one, name, None)
        if value is not None:
            return Fact(value, source)
    return None


def _kind(
    model_id: str, declared: ListedModel | None, known: ListedModel | None
) -> Fact:
    """Name the kind; "chat" is what lists say when they say nothing."""
    if declared is not None and declared.kind != "chat":
        return Fact(declared.kind, DECLARED)
    if known is not None:
        return Fact(known.kind, CATALOGUE)
    return Fact(kind_of(model_id), INFERRED)


def _capabilities(
    model_id: str, kind: Fact, voices: Voices, evidence: Mapping[str, Any]
) -> dict[str, Fact]:
    found: dict[str, Fact] = {
        word: Fact(True, INFERRED)
        for word in capabilities_of(model_id, kind=kind.value)
    }
    for source, one in reversed(voices):
        if one is None:
            continue
        found |= {word: Fact(False, source) for word in one.lacks}
        found |= {word: Fact(True, source) for word in one.capabilities}
    answers_chat = kind.value in ("chat", "completion")
    found["chat"] = Fact(answers_chat, kind.source)
    if not answers_chat and kind.value in KIND_WORDS:
        found[KIND_WORDS[kind.value]] = Fact(True, kind.source)
    found |= {
        word: Fact(said, PROBED)
        for word, said in evidence.items()
        if isinstance(said, bool)
    }
    order = {word: place for place, word in enumerate(WORDS)}
    return {word: found[word] for word in sorted(found, key=lambda w: order.get(w, 99))}
