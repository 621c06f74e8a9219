"""Drop or refuse what an upstream keeps no state and has no field for.

Source: reference wire 2.18, R7, T65, T69.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec.structs import replace

from providers.formats.base import FormatError
from providers.formats.capabilities import Capabilities
from providers.formats.neutral.fit.losses import Losses
from providers.formats.neutral.types import Request, State

_SAME_TIER: Final = {"standard_only": "default", "default": "standard_only"}
_HARMLESS_INCLUDES: Final = frozenset(
    {"reasoning.encrypted_content", "message.output_text.logprobs"}
)


def fit_state(request: Request, caps: Capabilities, losses: Losses) -> Request:
    """Fit what refers to a vendor's state, an account or a tier.

    Errors:  FormatError for a conversation the vendor was to remember.
    """
    changes: dict[str, Any] = {}
    if request.state is not None:
        changes["state"] = _state(request.state, caps, losses)
    if request.ext and request.dialect not in caps.speaks:
        for field in request.ext:
            losses.add(field)
        changes["ext"] = {}
    if request.metadata and not caps.metadata:
        losses.add("metadata")
        changes["metadata"] = {}
    if request.end_user and not caps.end_user:
        losses.add("user")
        changes["end_user"] = ""
    if request.verbosity and not caps.verbosity:
        losses.add("verbosity")
        changes["verbosity"] = ""
    if request.cache_key and not caps.cache_key:
        losses.add("prompt_cache_key")
        changes["cache_key"] = ""
    if request.service_tier:
        changes["service_tier"] = _tier(request.service_tier, caps, losses)
    if request.modalities:
        changes["modalities"] = _modalities(request.modalities, caps)
    return replace(request, **changes) if changes else request


def _state(state: State, caps: Capabilities, losses: Losses) -> State | None:
    """Refuse what would be forgotten; the rest is a wish."""
    is_native = "responses" in caps.speaks
    if not is_native:
        _refuse_memory(state)
        for each in state.include:
            if each not in _HARMLESS_INCLUDES:
                losses.add("include", detail=each)
    if state.store and not caps.store:
        losses.add("store")
    kept = state if is_native else State()
    kept = replace(kept, store=state.store if caps.store else None)
    return None if kept == State() else kept


def _refuse_memory(state: State) -> None:
    """Refuse a conversation, or a job, only its own vendor knows."""
    for field, value in (
        ("previous_response_id", state.previous_id),
        ("conversation", state.conversation),
        ("background", state.background),
    ):
        if value:
            raise FormatError(
                f"{field} needs state this model's provider does not keep; "
                "send the whole conversation instead.",
                code="unsupported_parameter",
                param=field,
            )


def _tier(word: str, caps: Capabilities, losses: Losses) -> str:
    """Return the vendor's word for a tier; ``auto`` is what comes without one."""
    if caps.service_tier:
        known = caps.service_tiers
        if not known or word in known:
            return word
        if _SAME_TIER.get(word) in known:
            return _SAME_TIER[word]
    if word not in ("auto", "default"):
        losses.add("service_tier", detail=word)
    return ""


def _modalities(asked: tuple[str, ...], caps: Capabilities) -> tuple[str, ...]:
    """Refuse sounds and pictures a model does not make.

    Errors:  FormatError.
    """
    able = {"audio": caps.audio_output, "image": caps.image_output}
    for word in asked:
        if not able.get(word.lower(), True):
            raise FormatError(
                f"This model does not answer with {word.lower()}.",
                code="unsupported_value",
                param="modalities",
            )
    return asked
