"""Judge what a probe's answer says about a model, and who is not asked at all.

A model is missing only where its own upstream refuses it with 400 or 404 and says so in
one of a few words. A rate limit, a refused key, a server's fault or a time-out is no
evidence against a model: it stays as it was.

Source: reference seeds 10.4, and 10.3 for what answers no chat.
"""

from __future__ import annotations

import unicodedata
from typing import Final, NamedTuple

from providers.discovery.infer import answers_chat
from providers.models import ProbeResult, Provider, ProviderModel
from providers.services.own_call import ProbeAnswer

MISSING_WORDS: Final = (
    "未配置模型",
    "not configured",
    "model not found",
    "does not exist",
    "not available",
    "invalid model",
    "unknown model",
    "unsupported model",
    "no such model",
)
_MISSING_STATUSES: Final = frozenset({400, 404})
_LISTED_BY_CATALOGUE: Final = frozenset(
    {
        "openai", "anthropic", "google", "qwen", "deepseek", "moonshot", "grok", "glm",
        "minimax", "ollama", "bedrock",
    }
)  # fmt: skip
"""Providers whose models the catalogue keeps, where nothing else was chosen."""
_LONGEST_NOTE: Final = 200
State = ProbeResult.State


class Verdict(NamedTuple):
    """What one answer says.

    Shapes:  ``state`` is a ``ProbeResult.State``; ``note`` the reason in words.
    """

    state: str
    note: str = ""


def judge(answer: ProbeAnswer) -> Verdict:
    """Judge an answer.

    Shapes:  only what an upstream said counts against a model, never the pool itself.
    """
    if answer.status is None:
        if answer.category == "timeout":
            return Verdict(State.UNPROVEN, "no answer in time")
        return Verdict(State.UNPROVEN, f"no answer ({answer.category})")
    if 200 <= answer.status < 300:
        return Verdict(State.OK)
    words = clean(answer.words) or answer.code
    if answer.attempts and answer.status in _MISSING_STATUSES:
        # Codes spell the same words with underscores: model_not_found.
        said = f"{answer.words} {answer.code}".lower().replace("_", " ")
        if any(word in said for word in MISSING_WORDS):
            return Verdict(State.MISSING, words)
    return Verdict(State.UNPROVEN, words)


def why_skipped(model: ProviderModel) -> str:
    """Say why a model is not asked; empty when it is.

    Shapes:  the model comes with its provider.
    """
    provider = model.provider
    if provider.deleted_at is not None or model.deleted_at is not None:
        return "removed"
    if not provider.enabled:
        return "its provider is switched off"
    if not model.enabled:
        return "switched off"
    if provider.type == Provider.Type.MEDIA:
        return "its provider serves media, not chat"
    # What answered once is asked again, whatever lists say of it.
    for said in (model.evidence or {}, model.capabilities or {}):
        if "chat" in said:
            return "" if said["chat"] else "no chat model"
    return "" if answers_chat(model.model_id) else "no chat model, by its name"


def keeps_missing(provider: Provider) -> bool:
    """Tell whether the catalogue, not a probe, says what a provider serves."""
    if provider.metadata_mode:
        return provider.metadata_mode.startswith("catalog")
    return provider.catalogue_id in _LISTED_BY_CATALOGUE


def clean(text: str) -> str:
    """Make somebody else's words fit to be stored and shown in one line."""
    shown = (c if unicodedata.category(c)[0] != "C" else " " for c in text[:2000])
    return " ".join("".join(shown).split())[:_LONGEST_NOTE]
