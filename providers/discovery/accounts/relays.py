"""Read the billing pages that relays (one-api, new-api) and old servers imitate."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Final

from providers.discovery.accounts.answer import (
    BALANCE,
    CREDITS,
    REMAINING,
    AccountError,
    Item,
    Question,
    Status,
    amount,
    part,
)

_UNLIMITED: Final = Decimal(100_000_000)
_SPAN: Final = timedelta(days=99)


def relay(ask: Question) -> Status:
    """Read the limit and what was used of it; the older page where that one is absent.

    Units:   the use is told in cents.
    """
    try:
        plan = part(ask.fetch("/v1/dashboard/billing/subscription"))
    except AccountError as error:
        if error.code not in ("http_404", "http_405", "invalid_response"):
            raise
        return credit_grants(ask)
    today = ask.now.date()
    span = f"start_date={today - _SPAN}&end_date={today + timedelta(days=1)}"
    used_cents = part(ask.fetch(f"/v1/dashboard/billing/usage?{span}"))
    used = Decimal(amount(used_cents.get("total_usage"))) / 100
    limit = Decimal(amount(plan.get("hard_limit_usd")))
    items = [Item("usage", "Used", amount(str(used)), "USD")]
    # What a relay says of a key without a limit: a hundred million dollars.
    if limit >= _UNLIMITED:
        return Status(BALANCE, tuple(items), "")
    left = amount(str(limit - used))
    ceiling = amount(str(limit))
    items.insert(0, Item(REMAINING, "Left of the limit", left, "USD", ceiling))
    return Status(BALANCE, tuple(items))


def credit_grants(ask: Question) -> Status:
    """Read granted, used and available credit as OpenAI once told it."""
    data = part(ask.fetch("/dashboard/billing/credit_grants"))
    left = amount(data.get("total_available"))
    granted = data.get("total_granted")
    limit = amount(granted) if granted is not None else ""
    items = [Item(REMAINING, "Available", left, "USD", limit)]
    if data.get("total_used") is not None:
        items.append(Item("usage", "Used", amount(data["total_used"]), "USD"))
    return Status(CREDITS, tuple(items))
