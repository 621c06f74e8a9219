"""Say how a stored provider is spoken to: its format and the address that counts."""

from __future__ import annotations

from typing import Final

from providers.models import Provider
from providers.routing.format_plan import (
    AUTO,
    PINNED,
    FormatFacts,
    FormatPlan,
    resolve_format,
)

_LOCKABLE: Final = frozenset({"openai", "responses", "anthropic"})


def format_plan_of(row: Provider, *, model: str = "", memory: str = "") -> FormatPlan:
    """Return the format plan of a provider as it is stored.

    Shapes:  until a verification found something, the format somebody entered counts;
             an address that names one of the common formats itself overrules it.
    """
    is_open = row.format_mode == Provider.FormatMode.AUTO and bool(row.detected_format)
    facts = FormatFacts(
        id=row.catalogue_id or row.slug,
        type=row.type,
        base_url=effective_base_url(row) if row.api_format in _LOCKABLE else "",
        api_format=row.api_format,
        mode=AUTO if is_open else PINNED,
        is_explicit=True,
        detected_format=row.detected_format,
    )
    return resolve_format(facts, model=model, model_memory=memory)


def effective_base_url(row: Provider) -> str:
    """Return where calls of a provider go: what was detected wins over what was set."""
    is_open = row.format_mode == Provider.FormatMode.AUTO
    return (row.detected_base_url if is_open else "") or row.base_url
