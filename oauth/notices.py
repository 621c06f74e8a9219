"""Keep who accepted a vendor's terms: without it nobody can sign in there.

The product speaks as another product's client to these vendors; whether that is allowed
is between the owner and the vendor.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final, NamedTuple

from oauth.vendor_settings import key_of
from oauth.vendors.base import Vendor
from poolsite import audit
from poolsite.actor import Actor
from poolsite.change import one_change
from poolsite.clock import Clock, SystemClock
from poolsite.models import Setting

TERMS_VERSION: Final = 1
"""Raised when the notice says something new: it is then asked for again."""

NOTICE: Final = (
    "Signing in uses a personal or company subscription through software that is not "
    "the vendor's own. The vendor may forbid this, limit it, or close the account. "
    "Read its terms before going on; the pool sends only the headers the service "
    "requires and does not disguise itself otherwise."
)
_NAME: Final = "terms"
_CLOCK = SystemClock()


class Acceptance(NamedTuple):
    """Who accepted the notice, and when."""

    by: str
    at: datetime


def acceptance_of(vendor: Vendor) -> Acceptance | None:
    """Return who accepted the notice as it reads now; None = nobody. One query."""
    row = Setting.objects.filter(key=key_of(vendor, _NAME)).first()
    value = row.value if row is not None else None
    if not isinstance(value, dict) or value.get("version") != TERMS_VERSION:
        return None
    return Acceptance(str(value["by"]), datetime.fromisoformat(value["at"]))


@one_change
def accept(actor: Actor, vendor: Vendor, *, clock: Clock = _CLOCK) -> None:
    """Write down that the owner accepts the notice; sign-ins there are on."""
    row, _ = Setting.objects.get_or_create(key=key_of(vendor, _NAME))
    at = clock.now().isoformat()
    row.value = {"version": TERMS_VERSION, "by": actor.label, "at": at}
    row.save(update_fields=["value"])
    after = {"vendor": vendor.id, "version": TERMS_VERSION}
    audit.record(actor, "oauth_terms.accept", row, after=after, clock=clock)


@one_change
def withdraw(actor: Actor, vendor: Vendor, *, clock: Clock = _CLOCK) -> None:
    """Switch sign-ins at a vendor off again; accounts that exist stay."""
    row = Setting.objects.filter(key=key_of(vendor, _NAME)).first()
    if row is None or row.value is None:
        return
    row.value = None
    row.save(update_fields=["value"])
    audit.record(
        actor, "oauth_terms.withdraw", row, after={"vendor": vendor.id}, clock=clock
    )
