"""Read accounts for screens, commands and the admin API."""

from __future__ import annotations

from typing import Any

from oauth.models import Account


def live_accounts(provider_slug: str = "") -> list[Account]:
    """Return accounts that were not removed, of one provider or of all; one query."""
    rows = Account.objects.filter(deleted_at=None)
    if provider_slug:
        rows = rows.filter(provider_slug=provider_slug)
    return list(rows.order_by("provider_slug", "-priority", "pk"))


def account_table(provider_slug: str = "") -> list[dict[str, Any]]:
    """Return one flat row an account; tokens appear nowhere. One query."""
    return [
        {
            "id": account.pk,
            "provider": account.provider_slug,
            "vendor": account.vendor,
            "label": account.label or account.subject,
            "state": account.state,
            "enabled": account.enabled,
            "expires_at": account.expires_at.isoformat()
            if account.expires_at
            else None,
        }
        for account in live_accounts(provider_slug)
    ]
