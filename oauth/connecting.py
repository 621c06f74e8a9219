"""Make an account of what a vendor granted, or give an old one its tokens back."""

from __future__ import annotations

from datetime import datetime, timedelta

from oauth.models import Account
from oauth.services import Place
from oauth.vendors.base import Grant, Vendor
from poolsite import audit, secrets, version
from poolsite.actor import Actor
from poolsite.change import one_change
from poolsite.clock import Clock, SystemClock
from poolsite.columns import check_columns
from poolsite.crypto import UnreadableSecretError

_CLOCK = SystemClock()
_COLUMNS = ("provider_slug", "label", "subject", "plan", "origin", "scopes")


@one_change
def connect(
    actor: Actor, place: Place, vendor: Vendor, grant: Grant, *, clock: Clock = _CLOCK
) -> Account:
    """Store a grant; the same person signing in again gets the same account.

    Errors: ColumnError when the vendor told something no column holds.
    """
    account = _known_account(place, vendor, grant)
    is_new = account is None
    if account is None:
        account = Account(
            provider_slug=place.provider_slug,
            vendor=vendor.id,
            subject=grant.subject,
            label=_free_label(place, grant.label or vendor.name),
            created_at=clock.now(),
        )
    account.origin = place.origin
    account.scopes = list(grant.scopes) or account.scopes
    account.plan = grant.plan or account.plan
    account.extra = {**account.extra, **grant.extra}
    account.expires_at = expiry_of(grant, clock.now())
    check_columns(account, _COLUMNS)
    if is_new:
        account.save(force_insert=True)
    seal_grant(account, grant, clock=clock)
    version.bump(account)
    after = {
        "provider": place.provider_slug,
        "vendor": vendor.id,
        "label": account.label,
    }
    action = "account.connect" if is_new else "account.reconnect"
    audit.record(actor, action, account, after=after, clock=clock)
    return account


def seal_grant(account: Account, grant: Grant, *, clock: Clock = _CLOCK) -> None:
    """Seal the tokens of a grant into an account and save it.

    A refresh token the vendor did not repeat stays; the one before is kept once.
    """
    secrets.seal_for(account, "access_token", grant.access_token)
    if grant.refresh_token is not None:
        if account.refresh_token:
            _keep_previous(account)
        secrets.seal_for(account, "refresh_token", grant.refresh_token)
    account.token_version += 1
    account.state = Account.State.OK
    account.last_error = ""
    account.refreshed_at = clock.now()
    account.save()


def expiry_of(grant: Grant, now: datetime) -> datetime | None:
    """Return when a grant's access token ends; None when the vendor did not say."""
    if grant.expires_in_s is None:
        return None
    return now + timedelta(seconds=grant.expires_in_s)


def _keep_previous(account: Account) -> None:
    try:
        old = secrets.open_for(account, "refresh_token")
    except UnreadableSecretError:
        return  # A new sign-in is what mends this.
    secrets.seal_for(account, "previous_refresh_token", old)


def _known_account(place: Place, vendor: Vendor, grant: Grant) -> Account | None:
    if not grant.subject:
        return None
    return Account.objects.filter(
        provider_slug=place.provider_slug,
        vendor=vendor.id,
        subject=grant.subject,
        deleted_at=None,
    ).first()


def _free_label(place: Place, wanted: str) -> str:
    taken = set(
        Account.objects.filter(
            provider_slug=place.provider_slug, deleted_at=None
        ).values_list("label", flat=True)
    )
    label, number = wanted[:120], 1
    while label in taken:
        number += 1
        label = f"{wanted[:110]} {number}"
    return label
