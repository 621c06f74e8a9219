"""Read what vendors report of accounts, for commands and the admin API."""

from __future__ import annotations

from typing import Any

from providers.models import AccountStatus, Provider


def table(provider: Provider | None = None) -> list[dict[str, Any]]:
    """Return one flat row an account; one query.

    Shapes:  ``left`` is decimal text in ``unit``, None = not reported.
    """
    rows = AccountStatus.objects.filter(provider__deleted_at=None)
    if provider is not None:
        rows = rows.filter(provider=provider)
    return [
        {
            "provider": row.provider.slug,
            "credential": row.credential,
            "kind": row.kind,
            "left": None if row.left is None else f"{row.left.normalize():f}",
            "unit": row.unit,
            "plan": row.plan,
            "items": row.items,
            "error": row.error,
            "reported_at": row.fetched_at,
            "checked_at": row.checked_at,
        }
        for row in rows.select_related("provider").order_by("provider__slug", "pk")
    ]
