"""Keep accounts: sign-ins at a provider whose token is not an API key.

A static account holds one token somebody pasted, until it expires; it cannot be
refreshed. Accounts name their provider by slug and origin: nothing here looks up.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final, NamedTuple

from oauth.models import Account
from poolsite import audit, secrets, version
from poolsite.actor import Actor
from poolsite.change import one_change
from poolsite.clock import Clock, SystemClock
from poolsite.columns import ColumnError, check_columns, is_plain

STATIC: Final = "static"
_CLOCK = SystemClock()
_LONGEST_TOKEN: Final = 16_384


class Place(NamedTuple):
    """The provider an account belongs to, and where its token may be sent."""

    provider_slug: str
    origin: str


class AccountError(Exception):
    """A change to an account is refused; ``field`` names the input."""

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.field = field


@one_change
def create_static_account(
    actor: Actor,
    place: Place,
    *,
    token: str,
    label: str = "",
    expires_at: datetime | None = None,
    clock: Clock = _CLOCK,
) -> Account:
    """Store a token, encrypted and bound to the provider's origin and to its row.

    Errors:  AccountError for an empty or odd token, a label in use, or an expiry in
             the past.
    """
    text = _clean(token)
    account = Account(
        provider_slug=place.provider_slug,
        vendor=STATIC,
        label=label.strip(),
        origin=place.origin,
        expires_at=expires_at,
        created_at=clock.now(),
    )
    _check(account, clock)
    account.save(force_insert=True)
    secrets.seal_for(account, "access_token", text)  # binds to the row's id
    account.save(update_fields=["access_token", "access_kid"])
    version.bump(account)
    after = {"provider": place.provider_slug, "vendor": STATIC, "label": account.label}
    audit.record(actor, "account.create", account, after=after)
    return account


@one_change
def replace_token(
    actor: Actor,
    account: Account,
    token: str,
    *,
    expires_at: datetime | None = None,
    clock: Clock = _CLOCK,
) -> None:
    """Give a static account a new token; workers that hold the old one get it.

    Errors:  AccountError for an empty or odd token, or a removed account.
    """
    text = _clean(token)
    _refresh(account)
    account.expires_at = expires_at
    _check(account, clock)
    secrets.seal_for(account, "access_token", text)
    account.token_version += 1
    account.state = Account.State.OK
    account.last_error = ""
    account.refreshed_at = clock.now()
    account.save()
    version.bump(account)
    audit.record(actor, "account.replace", account)


@one_change
def set_account_enabled(actor: Actor, account: Account, *, enabled: bool) -> None:
    """Switch an account on or off.

    Errors:  AccountError for a removed account.
    """
    _refresh(account)
    account.enabled = enabled
    account.save(update_fields=["enabled"])
    version.bump(account)
    audit.record(actor, "account.enable" if enabled else "account.disable", account)


@one_change
def remove_account(actor: Actor, account: Account, *, clock: Clock = _CLOCK) -> None:
    """Remove an account with its tokens; its usage stays in the ledger."""
    account.refresh_from_db()
    if account.deleted_at is not None:
        return
    account.deleted_at = clock.now()
    account.enabled = False
    # The ciphertexts go with it: a removed secret has no reader left.
    for column in ("access", "refresh", "previous_refresh"):
        setattr(account, f"{column}_token", "")
        setattr(account, f"{column}_kid", "")
    account.save()
    version.bump(account)
    audit.record(actor, "account.remove", account)


@one_change
def remove_accounts_of(
    actor: Actor, provider_slug: str, *, clock: Clock = _CLOCK
) -> None:
    """Remove every account of a provider that goes."""
    rows = Account.objects.filter(provider_slug=provider_slug, deleted_at=None)
    for account in list(rows):
        remove_account(actor, account, clock=clock)


def _refresh(account: Account) -> None:
    account.refresh_from_db()
    if account.deleted_at is not None:
        raise AccountError("This account was removed.")


def _check(account: Account, clock: Clock) -> None:
    try:
        check_columns(account, ["provider_slug", "label", "origin", "expires_at"])
    except ColumnError as exc:
        raise AccountError(str(exc), field=exc.field) from exc
    if account.expires_at is not None and account.expires_at <= clock.now():
        raise AccountError("The expiry lies in the past.", field="expires_at")
    same = Account.objects.filter(
        provider_slug=account.provider_slug, label=account.label, deleted_at=None
    )
    if account.label and same.exclude(pk=account.pk).exists():
        raise AccountError(
            f"An account labelled {account.label} exists already.", field="label"
        )


def _clean(token: str) -> str:
    text = token.strip()
    if not text:
        raise AccountError("The token is empty.", field="token")
    if len(text) > _LONGEST_TOKEN:
        raise AccountError("This is too long to be a token.", field="token")
    if not text.isascii() or not is_plain(text) or " " in text:
        raise AccountError(
            "A token holds printable characters without spaces.", field="token"
        )
    return text
