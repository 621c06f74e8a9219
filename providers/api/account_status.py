"""Account status: balances, credits and quotas."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Router

from providers import selectors_accounts
from providers.models import Provider
from providers.services import account_status as service

router = Router(tags=["account status"])


@router.get("/account-status")
def list_account_status(request: HttpRequest) -> list[dict[str, Any]]:
    """List what every account last reported; ``left`` null is not reported."""
    return selectors_accounts.table()


@router.get("/providers/{slug}/account-status")
def get_account_status(request: HttpRequest, slug: str) -> list[dict[str, Any]]:
    """Return what a provider's accounts last reported."""
    return selectors_accounts.table(_provider(slug))


@router.post("/providers/{slug}/account-status")
def check_account_status(request: HttpRequest, slug: str) -> list[dict[str, Any]]:
    """Ask the vendor now; at most 10 s a credential."""
    provider = _provider(slug)
    service.refresh(provider, force=True)
    return selectors_accounts.table(provider)


def _provider(slug: str) -> Provider:
    return get_object_or_404(Provider, slug=slug, deleted_at=None)
