"""Choose in which dialect a provider is asked, where it speaks several.

The client's own dialect comes first if that model has it, since then the bytes pass; an
envelope around it is as good. Else the pair that loses least of what the request needs.

Source: reference wire 5.3.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from msgspec import Struct

from poolsite.destinations import EgressRefusedError, origin_of
from providers.formats import registry
from providers.formats.base import (
    NEED_AUDIO,
    NEED_CHOICES,
    NEED_FILES,
    NEED_LOGPROBS,
    NEED_REASONING,
    Bridge,
    Op,
    WireFormat,
)
from providers.formats.cli_backed.command import is_program
from providers.snapshot.types import ModelRecord, ProviderRecord

_KIN: Final = {
    "azure": "openai",
    "copilot": "openai",
    "codex": "responses",
    "codex-cli": "responses",
    "claude-cli": "anthropic",
    "cloudcode": "google",
    "vertex": "google",
}
"""Envelopes and the dialect inside them."""

_DISTANCE: Final = {
    ("openai", "responses"): 1,
    ("openai", "anthropic"): 3,
    ("openai", "google"): 3,
    ("responses", "openai"): 2,
    ("responses", "anthropic"): 3,
    ("responses", "google"): 4,
    ("anthropic", "bedrock"): 1,
    ("anthropic", "responses"): 2,
    ("anthropic", "openai"): 3,
    ("anthropic", "google"): 4,
    ("google", "anthropic"): 3,
    ("google", "responses"): 3,
    ("google", "openai"): 4,
    ("ollama", "openai"): 1,
    ("bedrock", "anthropic"): 1,
}
"""How much a plain request loses, as a rank; a pair not named is far apart."""

_FAR: Final = 5
_LACKED: Final = 10
_LACKS: Final = {
    "openai": NEED_REASONING,
    "responses": NEED_CHOICES | NEED_AUDIO,
    "anthropic": NEED_CHOICES | NEED_LOGPROBS | NEED_AUDIO,
    "google": 0,
    "ollama": NEED_CHOICES | NEED_AUDIO | NEED_FILES,
    "bedrock": NEED_CHOICES | NEED_LOGPROBS | NEED_AUDIO,
}
"""What a dialect has no words for, so that asking in it loses it."""


class Way(Struct, frozen=True):
    """One dialect to ask a provider in.

    Shapes:  ``is_relay`` = nothing is translated. ``base_url`` includes the version
             where the wire has one.
    """

    wire: WireFormat
    bridge: Bridge
    base_url: str
    is_relay: bool


def has_choice(provider: ProviderRecord, model: ModelRecord) -> bool:
    """Tell whether a request's needs can make a difference."""
    return bool(provider.other_formats) or len(model.formats) > 1


def choose(
    provider: ProviderRecord,
    model: ModelRecord,
    inbound: WireFormat,
    *,
    op: Op = "chat",
    needs: int = 0,
    without: frozenset[str] = frozenset(),
) -> Way | None:
    """Return how to ask a provider for a model.

    Shapes:  ``without`` are dialects it turned out not to speak.
    Fails:   None when it speaks nothing that can be joined with the client's dialect.
    """
    best: tuple[int, Way] | None = None
    for format_id, base_url in _spoken(provider, model):
        if format_id in without:
            continue
        if is_program(format_id) and format_id != provider.format:
            continue  # nothing an address serves is ever run as a program
        bridge = registry.bridge(inbound.id, format_id, model.model_id, op)
        if bridge is None:
            continue
        wire = registry.get(format_id)
        is_relay = wire.relay(inbound.id, op, model.model_id) is not None
        rank = _rank(inbound.id, format_id, needs, is_relay=is_relay)
        if best is None or rank < best[0]:
            way = Way(wire, bridge, _versioned(base_url, wire), is_relay)
            best = (rank, way)
    return None if best is None else best[1]


def _spoken(provider: ProviderRecord, model: ModelRecord) -> Iterator[tuple[str, str]]:
    """Yield the dialects a model is served in, each with its root; own origin only."""
    only = model.formats
    if not only or provider.format in only:
        yield provider.format, provider.base_url
    for format_id, base_url in provider.other_formats.items():
        if only and format_id not in only:
            continue
        if not base_url:
            yield format_id, provider.base_url
        elif _is_at(base_url, provider.origin):
            yield format_id, base_url.rstrip("/")
    for format_id in only:
        if format_id != provider.format and format_id not in provider.other_formats:
            yield format_id, provider.base_url


def _rank(inbound: str, upstream: str, needs: int, *, is_relay: bool) -> int:
    if is_relay:
        return -1 if inbound == upstream else 0
    kin = _KIN.get(upstream, upstream)
    distance = _DISTANCE.get((_KIN.get(inbound, inbound), kin), _FAR)
    return distance + _LACKED * (needs & _LACKS.get(kin, 0)).bit_count()


def _is_at(base_url: str, origin: str) -> bool:
    """Tell whether an address is the provider's own: its secret goes nowhere else."""
    try:
        return origin_of(base_url) == origin
    except EgressRefusedError:
        return False


def _versioned(base_url: str, wire: WireFormat) -> str:
    """Put a version where a base URL is a bare host and the dialect has one."""
    root: str = getattr(wire, "version_root", "")
    if root and urlsplit(base_url).path in ("", "/"):
        return base_url.rstrip("/") + root
    return base_url
