"""Bound how a model is asked to choose its words.

A value that is the default anyway is left out without a loss where it is refused.

Source: reference wire 2.9, 2.11, P70 to P74.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec.structs import replace

from providers.formats.base import FormatError
from providers.formats.capabilities import Capabilities
from providers.formats.neutral.fit.losses import Losses
from providers.formats.neutral.fit.thinking import is_thinking
from providers.formats.neutral.types import Request, Sampling

_DEFAULTS: Final[dict[str, Any]] = {
    "temperature": 1,
    "top_p": 1,
    "presence_penalty": 0,
    "frequency_penalty": 0,
    "repeat_penalty": 1,
    "logprobs": False,
}
_MIN_TOP_P_THINKING: Final = 0.95


def fit_sampling(request: Request, caps: Capabilities, losses: Losses) -> Request:
    """Drop and clamp what the upstream refuses.

    Errors:  FormatError for several answers from an upstream that gives one.
    """
    sampling = request.sampling
    if sampling == Sampling():
        return request
    changes: dict[str, Any] = {}
    for name in _refused(caps):
        value = getattr(sampling, name)
        if value is not None:
            changes[name] = None
            if value != _DEFAULTS.get(name):
                losses.add(name)
    sampling = replace(sampling, **changes)
    sampling = _bounded(sampling, caps, losses)
    if not caps.sampling_with_thinking and is_thinking(request):
        sampling = _while_thinking(sampling, losses)
    sampling = replace(
        sampling, stop=_stop(sampling.stop, caps, losses), n=_choices(request, caps)
    )
    return replace(request, sampling=sampling)


def _refused(caps: Capabilities) -> list[str]:
    """Return the fields this upstream does not take at all."""
    takes = (
        (caps.temperature, ("temperature",)),
        (caps.top_p, ("top_p",)),
        (caps.top_k, ("top_k",)),
        (caps.min_p, ("min_p",)),
        (caps.repeat_penalty, ("repeat_penalty",)),
        (caps.penalties, ("presence_penalty", "frequency_penalty")),
        (caps.seed, ("seed",)),
        (caps.logit_bias, ("logit_bias",)),
        (caps.logprobs, ("logprobs", "top_logprobs")),
    )
    return [name for does, names in takes if not does for name in names]


def _bounded(sampling: Sampling, caps: Capabilities, losses: Losses) -> Sampling:
    """Clamp the temperature, and send it alone where it must be."""
    heat = sampling.temperature
    if heat is not None and not 0 <= heat <= caps.temperature_max:
        losses.add("temperature", "clamp")
        heat = min(max(heat, 0.0), caps.temperature_max)
        sampling = replace(sampling, temperature=heat)
    if heat is None or sampling.top_p is None or caps.temperature_with_top_p:
        return sampling
    if sampling.top_p != 1:
        losses.add("top_p")
    return replace(sampling, top_p=None)


def _while_thinking(sampling: Sampling, losses: Losses) -> Sampling:
    """Leave out what a model that reasons refuses."""
    changes: dict[str, Any] = {}
    if sampling.temperature not in (None, 1):
        changes["temperature"] = None
    if sampling.top_p is not None and sampling.top_p < _MIN_TOP_P_THINKING:
        changes["top_p"] = None
    if sampling.top_k is not None:
        changes["top_k"] = None
    for name in changes:
        losses.add(name)
    return replace(sampling, **changes) if changes else sampling


def _stop(stop: tuple[str, ...], caps: Capabilities, losses: Losses) -> tuple[str, ...]:
    """Return the stop sequences an upstream takes."""
    if not stop:
        return stop
    if not caps.stop:
        losses.add("stop")
        return ()
    kept = tuple(
        dict.fromkeys(
            each for each in stop if each and (caps.blank_stop or each.strip())
        )
    )
    if len(kept) < len(set(stop)):
        losses.add("stop", "drop", "blank")
    if len(kept) > caps.max_stop:
        losses.add("stop", "clamp")
        kept = kept[: caps.max_stop]
    return kept


def _choices(request: Request, caps: Capabilities) -> int | None:
    """Return how many answers to ask for.

    Errors:  FormatError: fewer answers than asked would pass for success.
    """
    n = request.sampling.n
    if n is None or n == 1:
        return n if caps.choices else None
    able = caps.choices and (caps.choices_streamed or not request.stream)
    if not able or n > caps.max_choices:
        limit = caps.max_choices if able else 1
        raise FormatError(
            f"This model gives at most {limit} answer(s) to one request.",
            code="unsupported_value",
            param="n",
        )
    return n
