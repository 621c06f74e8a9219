"""The pool as a whole: accounts, export and import, the audit trail."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Router, Status

from oauth import selectors as account_selectors
from oauth import services as account_services
from oauth.models import Account
from poolsite.models import AuditEvent
from providers.api import schemas
from providers.api.auth import actor_of
from providers.formats.cli_backed.command import origin_or_address
from providers.imports import pool
from providers.models import Provider

router = Router(tags=["pool"])
_MOST_EVENTS = 500


@router.get("/accounts")
def list_accounts(request: HttpRequest, provider: str = "") -> list[dict[str, Any]]:
    """List accounts, of one provider or of all; tokens appear nowhere."""
    return account_selectors.account_table(provider)


@router.post("/accounts", response={201: list[dict[str, Any]]})
def create_account(
    request: HttpRequest, data: schemas.AccountCreate
) -> Status[list[dict[str, Any]]]:
    """Store a static token as an account; returns the provider's accounts."""
    provider = get_object_or_404(Provider, slug=data.provider, deleted_at=None)
    account_services.create_static_account(
        actor_of(request),
        account_services.Place(provider.slug, origin_or_address(provider.base_url)),
        token=data.token,
        label=data.label,
        expires_at=data.expires_at,
    )
    return Status(201, account_selectors.account_table(provider.slug))


@router.put("/accounts/{int:account_id}/token", response={204: None})
def replace_token(
    request: HttpRequest, account_id: int, data: schemas.TokenReplace
) -> Status[None]:
    """Give an account a new token."""
    account_services.replace_token(
        actor_of(request), _account(account_id), data.token, expires_at=data.expires_at
    )
    return Status(204, None)


@router.post("/accounts/{int:account_id}/enable", response={204: None})
def enable_account(request: HttpRequest, account_id: int) -> Status[None]:
    """Switch an account on."""
    account = _account(account_id)
    account_services.set_account_enabled(actor_of(request), account, enabled=True)
    return Status(204, None)


@router.post("/accounts/{int:account_id}/disable", response={204: None})
def disable_account(request: HttpRequest, account_id: int) -> Status[None]:
    """Switch an account off."""
    account = _account(account_id)
    account_services.set_account_enabled(actor_of(request), account, enabled=False)
    return Status(204, None)


@router.delete("/accounts/{int:account_id}", response={204: None})
def remove_account(request: HttpRequest, account_id: int) -> Status[None]:
    """Remove an account with its tokens."""
    account_services.remove_account(actor_of(request), _account(account_id))
    return Status(204, None)


@router.get("/export")
def export(request: HttpRequest) -> dict[str, Any]:
    """Return the configuration; secrets appear as masks only."""
    found: dict[str, Any] = json.loads(pool.export_text(actor_of(request)))
    return found


@router.post("/import")
def import_file(request: HttpRequest, dry_run: bool = False) -> dict[str, Any]:
    """Create or change what an export names; a bad file changes nothing."""
    report = pool.import_bytes(actor_of(request), request.body, dry_run=dry_run)
    return dataclasses.asdict(report)


@router.get("/audit")
def audit_trail(
    request: HttpRequest, before: int | None = None, limit: int = 100
) -> list[dict[str, Any]]:
    """List what people did, newest first; ``before`` is an id."""
    rows = AuditEvent.objects.order_by("-id")
    if before is not None:
        rows = rows.filter(pk__lt=before)
    shown = ("id", "at", "actor_label", "source", "action", "object_type")
    more = ("object_id", "object_label", "before", "after", "result", "ip")
    return list(rows.values(*shown, *more)[: max(1, min(limit, _MOST_EVENTS))])


def _account(account_id: int) -> Account:
    return get_object_or_404(Account, pk=account_id, deleted_at=None)
