"""What is left on the accounts behind a provider's credentials."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from oauth.models import Account
from poolsite.ui import access
from poolsite.ui.render import render, saved
from providers.models import AccountStatus
from providers.services import account_status as service
from providers.services.account_status import Credential
from providers.views.providers import live


@dataclass(frozen=True)
class Row:
    """A credential and what its vendor said."""

    credential: Credential
    status: AccountStatus | None

    @property
    def title(self) -> str:
        """Name the credential: its label or mask, never the secret."""
        row = self.credential.row
        return str(row) if isinstance(row, Account) else row.label or row.mask

    @property
    def is_reported(self) -> bool:
        """Tell whether there are figures to show."""
        return self.status is not None and bool(self.status.items)

    @property
    def can_report(self) -> bool:
        """Tell whether the vendor tells such a credential anything."""
        return self.credential.reader is not None

    @property
    def error(self) -> str:
        """Say why the vendor could not be read; blank when it could."""
        if self.status is None or not self.status.error:
            return ""
        return service.error_in_words(self.status.error)

    @property
    def items(self) -> list[dict[str, Any]]:
        """Return the figures, the one that counts first."""
        if self.status is None:
            return []
        primary = self.status.primary_item
        items = [{**each, "resets": _time(each)} for each in self.status.items]
        return sorted(items, key=lambda each: each.get("key") != primary)


@require_GET
def account_status(request: HttpRequest, slug: str) -> HttpResponse:
    """Show every credential's account; five queries."""
    provider = live(slug)
    known = {row.credential: row for row in provider.account_statuses.all()}
    rows = [
        Row(each, known.get(each.name)) for each in service.credentials_of(provider)
    ]
    context = {"provider": provider, "rows": rows}
    return render(request, "providers/account_status/page.html", context)


@require_POST
@access.require_role(access.OPERATOR)
def account_check(request: HttpRequest, slug: str) -> HttpResponse:
    """Ask the vendor now."""
    provider = live(slug)
    found = service.refresh(provider, force=True)
    told = sum(not row.error and bool(row.items) for row in found)
    words = f"{told} of {len(found)} accounts reported." if found else "No credentials."
    url = reverse("providers:account-status", args=[provider.slug])
    return saved(request, url, words)


def _time(item: dict[str, Any]) -> datetime | None:
    text = item.get("resets_at")
    return datetime.fromisoformat(text) if text else None
