"""Cooldowns and health."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from ninja import Router, Status

from providers import selectors_cooldowns, selectors_health
from providers.api.auth import actor_of
from providers.services import cooldowns as services

router = Router(tags=["cooldowns"])


@router.get("/cooldowns")
def list_cooldowns(request: HttpRequest) -> list[dict[str, Any]]:
    """List what is left alone, the longest first; at most 200."""
    return selectors_cooldowns.table(now=timezone.now())


@router.delete("/cooldowns", response={204: None})
def clear_cooldowns(request: HttpRequest) -> Status[None]:
    """Let everything be tried again; workers follow within two seconds."""
    services.clear_all(actor_of(request))
    return Status(204, None)


@router.delete("/cooldowns/{path:name}", response={204: None})
def clear_cooldown(request: HttpRequest, name: str) -> Status[None]:
    """Let one subject of the list be tried again."""
    services.clear(actor_of(request), name)
    return Status(204, None)


@router.get("/health")
def get_health(request: HttpRequest) -> dict[str, Any]:
    """Return how every provider is, and the models something speaks against."""
    return selectors_health.table(now=timezone.now())
