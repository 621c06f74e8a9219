"""Keep what vendors say of the accounts behind our credentials.

A vendor that cannot be read leaves the last good figures in place with their age and
the reason; one that never reported is "not reported", which is not zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from django.db import transaction
from django.db.models import Min

from oauth.models import Account
from poolsite import secrets, version
from poolsite.clock import Clock, SystemClock
from poolsite.crypto import UnreadableSecretError
from providers.discovery.accounts import answer, readers
from providers.discovery.accounts.answer import AccountError, Reader, Status
from providers.discovery.accounts.ask import Asked, read_account
from providers.models import AccountStatus, ApiKey, Provider
from providers.services.cooldowns import quota_is_back
from providers.snapshot.funds import funds_of
from providers.snapshot.speech import effective_base_url

_CLOCK = SystemClock()
FRESH_S: Final = 120
ROUND_S: Final = 40
LOW: Final = {"percent": Decimal(10), "CNY": Decimal(5), "*": Decimal(1)}
"""What counts as little: a tenth of a window, a dollar, five yuan."""
ERRORS: Final = {
    "api_key_disabled": "The key is switched off.",
    "api_key_not_configured": "The vendor tells this to an account key only.",
    "invalid_base_url": "The base URL cannot be used.",
    "request_failed": "The vendor could not be reached.",
    "invalid_response": "The vendor answered in a way nobody can read.",
    "no_account_status_data": "The vendor answered without figures.",
    "unsupported_provider": "This vendor reports no balance to a key.",
    "http_401": "The vendor refused the key (401).",
    "http_403": "The key may not see this (403).",
    "http_404": "The vendor has no such page (404).",
    "http_429": "The vendor limits how often it is asked (429).",
}


@dataclass(frozen=True)
class Credential:
    """An API key or a sign-in whose account may be looked at."""

    provider: Provider
    row: ApiKey | Account

    @property
    def name(self) -> str:
        """Name it in rows: ``key:12`` or ``account:3``."""
        kind = "key" if isinstance(self.row, ApiKey) else "account"
        return f"{kind}:{self.row.pk}"

    @property
    def reader(self) -> Reader | None:
        """Return who can read its account; None where nobody can."""
        if isinstance(self.row, Account):
            return readers.reader_of_sign_in(
                self.row.vendor, self.provider.catalogue_id
            )
        provider = self.provider
        is_relay = not provider.catalogue_id and provider.type in (
            Provider.Type.CUSTOM,
            Provider.Type.PLATFORM,
        )
        return readers.reader_for(
            provider.catalogue_id, effective_base_url(provider), is_relay=is_relay
        )


def credentials_of(provider: Provider) -> list[Credential]:
    """Return what has an account at a provider; two queries."""
    keys = provider.api_keys.filter(deleted_at=None, enabled=True).order_by("pk")
    signed_in = Account.objects.filter(
        provider_slug=provider.slug, enabled=True, deleted_at=None
    ).order_by("pk")
    rows: list[ApiKey | Account] = [*keys, *signed_in]
    return [Credential(provider, row) for row in rows]


def refresh(
    provider: Provider, *, force: bool = False, clock: Clock = _CLOCK
) -> list[AccountStatus]:
    """Ask the vendor about every credential of a provider and keep what it says.

    Shapes:  a status younger than ``FRESH_S`` is returned as it is unless forced.
    Fails:   never raises for what a vendor does; the row's ``error`` says it.
    Cost:    up to three outbound requests a credential.
    """
    known = {row.credential: row for row in provider.account_statuses.all()}
    return [
        _refreshed(each, known.get(each.name), force=force, clock=clock)
        for each in credentials_of(provider)
    ]


def refresh_all(*, clock: Clock = _CLOCK) -> int:
    """Ask about what was not asked for longest; return how many were.

    Cost:  stops after ``ROUND_S`` seconds; the next round goes on with the rest.
    """
    started = clock.monotonic()
    due = _by_age(Provider.objects.filter(deleted_at=None, enabled=True))
    count = 0
    for provider in due:
        if clock.monotonic() - started > ROUND_S:
            break
        count += len(refresh(provider, clock=clock))
    return count


def is_low(
    left: Decimal | None, unit: str, thresholds: Mapping[str, Decimal] = LOW
) -> bool | None:
    """Tell whether what is left is below what counts as little in its unit.

    Shapes:  ``thresholds`` by unit; ``*`` is for every other one.
    Fails:   None when the account does not say what is left.
    """
    if left is None:
        return None
    return left < thresholds.get(unit, thresholds["*"])


def error_in_words(code: str) -> str:
    """Say why a vendor could not be read."""
    if code in ERRORS:
        return ERRORS[code]
    if code.startswith("http_"):
        return f"The vendor answered {code.removeprefix('http_')}."
    return "The vendor could not be read."


def _refreshed(
    credential: Credential,
    known: AccountStatus | None,
    *,
    force: bool,
    clock: Clock,
) -> AccountStatus:
    now = clock.now()
    fresh_since = now - timedelta(seconds=FRESH_S)
    if known is not None and not force and known.checked_at > fresh_since:
        return known
    found, error = _read(credential, now)
    values: dict[str, Any] = {"error": error[:40], "checked_at": now}
    if found is not None:
        main = next((i for i in found.items if i.key == found.primary), None)
        values |= {
            "left": None if main is None else Decimal(main.value),
            "unit": "" if main is None else main.unit,
            "kind": found.kind,
            "primary_item": found.primary,
            "items": [asdict(item) for item in found.items],
            "plan": found.plan,
            "fetched_at": now,
        }
    return _kept(credential, known, values)


@transaction.atomic
def _kept(
    credential: Credential, known: AccountStatus | None, values: dict[str, Any]
) -> AccountStatus:
    """Store what was found; routing hears of it when what is left is another sum."""
    row, _ = AccountStatus.objects.update_or_create(
        provider=credential.provider, credential=credential.name, defaults=values
    )
    if funds_of(row) != (None if known is None else funds_of(known)):
        version.bump(credential.row)
    if is_low(row.left, row.unit) is False:
        quota_is_back(row)
    return row


def _read(credential: Credential, now: datetime) -> tuple[Status | None, str]:
    """Return what the vendor says, or why it does not."""
    reader = credential.reader
    if reader is None:
        return Status(answer.UNSUPPORTED, primary=""), ""
    provider, row = credential.provider, credential.row
    column = "secret" if isinstance(row, ApiKey) else "access_token"
    # A sign-in's token may be bound to another host of the vendor than the provider's.
    is_key = isinstance(row, ApiKey)
    base_url = effective_base_url(provider) if is_key else row.origin
    asked = Asked(
        base_url=base_url,
        origin=row.origin,
        allow_private=provider.allow_private,
        is_china=provider.catalogue_id.endswith("-cn"),
        project=str(provider.options.get("project", "")),
    )
    try:
        secret = secrets.open_for(row, column)
        return read_account(reader, asked, secret, now=now), ""
    except UnreadableSecretError:
        return None, "api_key_not_configured"
    except AccountError as error:
        return None, error.code


def _by_age(rows: Iterable[Provider]) -> list[Provider]:
    """Sort providers, the one whose account was looked at longest ago first."""
    seen = AccountStatus.objects.values_list("provider_id").annotate(Min("checked_at"))
    ages: dict[int, datetime] = dict(seen)
    never = datetime.min.replace(tzinfo=UTC)
    return sorted(rows, key=lambda row: ages.get(row.pk, never))
