"""Decide which wire format a provider is spoken to in, and how sure that is.

Pure: what is known of a provider goes in, a plan comes out. The snapshot asks it once
when it is built, so that a request pays nothing; verification asks it to know what to
try, and in which order.

Source: reference seeds 4.3, 4.5, 5.2, 5.3.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, Literal
from urllib.parse import urlsplit

import msgspec

Source = Literal[
    "endpoint_lock", "user_pinned", "model_memory", "detected", "family_default"
]
BaseUrlMode = Literal["root", "fixed_endpoint", "detected_endpoint"]

PINNED: Final = "pinned"
AUTO: Final = "auto"
_CUSTOM: Final = "custom"
_FAMILY_WORDS: Final = (
    ("codex", ("codex",)),
    ("claude", ("claude", "sonnet", "opus", "haiku")),
)
_PREFERRED: Final = {
    "claude": ("anthropic", "openai", "responses"),
    "codex": ("responses", "openai", "anthropic"),
    "default": ("openai", "anthropic", "responses"),
}
_ONE_WAY: Final = frozenset({"responses", "ollama", "cloudcode", "copilot", "codex"})
_SIGN_INS: Final = {
    "antigravity": "cloudcode",
    "gemini-cli": "cloudcode",
    "copilot": "copilot",
    "codex": "responses",
}
_OWN: Final = {
    "anthropic": "anthropic",
    "minimax": "anthropic",
    "google": "google",
    "ollama": "ollama",
}
_GENERIC: Final = ("/responses", "/messages")
_SCORES: Final = (
    ("gpt-5", 520), ("o3", 480), ("o1", 430), ("opus", 420), ("reasoner", 380),
    ("thinking", 360), ("sonnet", 320), ("pro", 220), ("max", 210), ("ultra", 180),
    ("plus", 120), ("codex", 95), ("coder", 60), ("codestral", 60), ("turbo", 50),
    ("haiku", 40), ("mini", -180), ("nano", -200), ("lite", -150), ("flash", -130),
    ("spark", -120), ("small", -100), ("tiny", -100),
)  # fmt: skip
_VERSION: Final = re.compile(r"(?<![0-9])([0-9]{1,2})(?:[.-]([0-9]{1,2}))?(?![0-9])")


class FormatFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a provider, as far as its format depends on it.

    Shapes:  ``id`` is its catalogue id, or its own. ``mode`` auto | pinned, blank =
             nobody said. ``is_explicit`` = the person chose the mode or the format
             themselves. ``detected_*`` is what an earlier verification found, ``memory``
             the format some model of this provider was last served in.
             ``sign_in`` names the product an OAuth account belongs to.
    """

    id: str
    type: str = _CUSTOM
    base_url: str = ""
    api_format: str = ""
    mode: str = ""
    is_explicit: bool = False
    detected_format: str = ""
    detected_base_url: str = ""
    memory: str = ""
    sign_in: str = ""

    @property
    def is_third_party(self) -> bool:
        """Tell a provider somebody added by hand from one the product knows."""
        return self.type == _CUSTOM or self.id.startswith("custom-")

    @property
    def effective_base_url(self) -> str:
        """Where calls go: what was detected wins over what was entered."""
        return self.detected_base_url or self.base_url


class FormatPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Say which format is spoken, where, why, and what else may be tried.

    Shapes:  ``candidates`` begins with ``selected``; ``is_mutable`` = a call that
             proves another format may change it.
    """

    selected: str
    source: Source
    base_url: str = ""
    base_url_mode: BaseUrlMode = "root"
    candidates: tuple[str, ...] = ()
    mode: str = AUTO
    is_mutable: bool = False

    @property
    def is_known(self) -> bool:
        """Tell whether there is a format at all."""
        return bool(self.selected)

    @property
    def is_native(self) -> bool:
        """Tell whether the format was proven or fixed rather than assumed."""
        return self.source != "family_default"


def resolve_format(
    facts: FormatFacts | None,
    *,
    model: str = "",
    model_memory: str = "",
    detected: str = "",
) -> FormatPlan:
    """Return the plan for a provider, or for one of its models.

    Shapes:  ``model_memory`` is the format this very model was last served in,
             ``detected`` what the request at hand found out.
    """
    if facts is None:
        return FormatPlan(
            selected="openai", source="family_default", candidates=("openai",)
        )
    where = facts.effective_base_url
    locked = locked_format(where, is_custom=facts.is_third_party)
    if locked:
        return FormatPlan(
            selected=locked,
            source="endpoint_lock",
            base_url=where,
            base_url_mode="fixed_endpoint",
            candidates=(locked,),
            mode=PINNED,
        )
    if (facts.mode or default_mode(facts)) == PINNED:
        return _pinned(facts)
    return _open(facts, preferred_formats(model), model_memory, detected)


def _pinned(facts: FormatFacts) -> FormatPlan:
    chosen = facts.api_format or facts.detected_format or canonical_format(facts)
    is_own = facts.is_third_party or facts.is_explicit
    return FormatPlan(
        selected=chosen,
        source="user_pinned" if is_own else "family_default",
        base_url=facts.effective_base_url,
        base_url_mode=_base_url_mode(facts),
        candidates=(chosen,),
        mode=PINNED,
    )


def _open(
    facts: FormatFacts, preferred: tuple[str, ...], memory: str, detected: str
) -> FormatPlan:
    found = detected or facts.detected_format
    selected = preferred[0]
    source: Source = "family_default"
    if memory:
        selected, source = memory, "model_memory"
    elif found:
        selected, source = found, "detected"
    known = (found, facts.memory, facts.api_format, facts.detected_format)
    return FormatPlan(
        selected=selected,
        source=source,
        base_url=facts.effective_base_url,
        base_url_mode=_base_url_mode(facts),
        candidates=_distinct((selected, *preferred, *known, canonical_format(facts))),
        mode=AUTO,
        is_mutable=True,
    )


def _base_url_mode(facts: FormatFacts) -> BaseUrlMode:
    return "detected_endpoint" if facts.detected_base_url else "root"


def family(model: str) -> str:
    """Return the family of a model by its name: claude, codex or default."""
    name = model.lower()
    for found, words in _FAMILY_WORDS:
        if any(word in name for word in words):
            return found
    return "default"


def preferred_formats(model: str) -> tuple[str, ...]:
    """Return the formats a model's family likes, best first."""
    return _PREFERRED[family(model)]


def affinity(model: str, plan: FormatPlan) -> int:
    """Score how well a provider's format suits a model; 0 for the default family."""
    if family(model) == "default":
        return 0
    preferred = preferred_formats(model)
    if plan.selected not in preferred:
        return 0
    score = (3 - preferred.index(plan.selected)) * 100
    return score + 25 if plan.is_native else score


def best_first(models: Iterable[str]) -> list[str]:
    """Return model ids, the most capable first; the order is stable."""
    return sorted(models, key=lambda name: (-model_score(name), name))


def model_score(model: str) -> int:
    """Score a model by its name: its class, its size, its version."""
    name = model.lower().rpartition("/")[2]
    score = sum(points for word, points in _SCORES if _has(name, word))
    found = _VERSION.search(name)
    if found:
        score += int(found[1]) * 100 + int(found[2] or 0) * 10
    return score


def locked_format(base_url: str, *, is_custom: bool) -> str:
    """Return the format an address itself decides, blank when it decides none.

    Shapes:  a custom provider's bare ``/v1/messages`` is a pasted endpoint, no lock.
    """
    path = urlsplit(base_url).path.lower().rstrip("/")
    if path.endswith("/backend-api/codex/responses"):
        return "responses"
    if "/anthropic" in path and "anthropic" in path.split("/"):
        return "anthropic"
    if is_custom and path in (*_GENERIC, *(f"/v1{each}" for each in _GENERIC)):
        return ""
    if path.endswith("/responses"):
        return "responses"
    return "anthropic" if path.endswith("/messages") else ""


def default_mode(facts: FormatFacts) -> str:
    """Return whether a provider's format may change when nobody said."""
    if locked_format(facts.effective_base_url, is_custom=facts.is_third_party):
        return PINNED
    if facts.type == _CUSTOM:
        return AUTO
    if facts.api_format in _ONE_WAY:
        return PINNED
    return PINNED if facts.type else AUTO


def canonical_format(facts: FormatFacts) -> str:
    """Return what a provider of this name speaks when nothing else is known."""
    return _SIGN_INS.get(facts.sign_in) or _OWN.get(facts.id) or "openai"


def _has(name: str, word: str) -> bool:
    """Look for a short word between the marks of a name, for a long one anywhere."""
    if len(word) > 3:
        return word in name
    return word in re.split(r"[^a-z0-9]+", name)


def _distinct(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in names if name))
