"""Read the balance of prepaid accounts: what is left, in which currency."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from providers.discovery.accounts.answer import (
    BALANCE,
    CREDITS,
    REMAINING,
    AccountError,
    Item,
    Question,
    Status,
    amount,
    objects,
    part,
    told,
)

_REFUSED = ("http_401", "http_403")


def openrouter(ask: Question) -> Status:
    """Read the key's own limit, and the account's credits where the key may.

    Source:  OpenRouter's reference of /key and /credits; a null limit is none.
    """
    key = part(ask.fetch("/api/v1/key"), "data")
    items: list[Item] = []
    limit = key.get("limit")
    if key.get("limit_remaining") is not None:
        left = amount(key["limit_remaining"])
        ceiling = amount(limit) if limit is not None else ""
        items.append(Item(REMAINING, "Left of the key's limit", left, "USD", ceiling))
    items.extend(
        Item(name, label, amount(key[name]), "USD")
        for name, label in (
            ("usage", "Used"),
            ("usage_daily", "Used today"),
            ("usage_weekly", "Used this week"),
            ("usage_monthly", "Used this month"),
        )
        if key.get(name) is not None
    )
    credits_left = _openrouter_credits(ask)
    if credits_left is not None:
        items.append(Item("credits", "Credits of the account", credits_left, "USD"))
    known = {item.key for item in items}
    primary = next((name for name in (REMAINING, "credits") if name in known), "")
    return told(Status(CREDITS, tuple(items), primary))


def _openrouter_credits(ask: Question) -> str | None:
    try:
        data = part(ask.fetch("/api/v1/credits"), "data")
    except AccountError as error:
        # A key that may only call models is refused here; its limit still stands.
        if error.code in _REFUSED:
            return None
        raise
    bought, used = data.get("total_credits"), data.get("total_usage")
    return amount(str(Decimal(amount(bought)) - Decimal(amount(used))))


def deepseek(ask: Question) -> Status:
    """Read one set of figures a currency; the fullest purse is the one that counts."""
    rows = objects(part(ask.fetch("/user/balance")).get("balance_infos"))
    items: list[Item] = []
    best, primary = None, ""
    for row in rows:
        currency = _currency(row.get("currency"))
        left = amount(row.get("total_balance"))
        key = f"{REMAINING}_{currency.lower()}"
        items.append(Item(key, "Balance", left, currency))
        items += _more(
            row,
            currency,
            granted_balance="Granted",
            topped_up_balance="Topped up",
        )
        if best is None or Decimal(left) > best:
            best, primary = Decimal(left), key
    return told(Status(BALANCE, tuple(items), primary))


def siliconflow(ask: Question) -> Status:
    """Read total, granted and charged balance; yuan on the Chinese site."""
    answer = part(ask.fetch("/v1/user/info"))
    if answer.get("code") not in (20000, None):
        raise AccountError("invalid_response")
    data, unit = part(answer, "data"), _site_currency(ask)
    left = Item(REMAINING, "Balance", amount(data.get("totalBalance")), unit)
    more = _more(data, unit, balance="Granted", chargeBalance="Topped up")
    return Status(BALANCE, (left, *more))


def moonshot(ask: Question) -> Status:
    """Read what is available; nothing or less means that calls are refused."""
    answer = part(ask.fetch("/v1/users/me/balance"))
    if answer.get("code") not in (0, None) or answer.get("status") is False:
        raise AccountError("invalid_response")
    data, unit = part(answer, "data"), _site_currency(ask)
    left = Item(REMAINING, "Available", amount(data.get("available_balance")), unit)
    more = _more(data, unit, voucher_balance="Vouchers", cash_balance="Cash")
    return Status(BALANCE, (left, *more))


def stepfun(ask: Question) -> Status:
    """Read the balance with what was paid and what was given."""
    data = part(ask.fetch("/v1/accounts"))
    left = Item(REMAINING, "Balance", amount(data.get("balance")), "CNY")
    more = _more(
        data, "CNY", total_cash_balance="Cash", total_voucher_balance="Vouchers"
    )
    return Status(BALANCE, (left, *more))


def novita(ask: Question) -> Status:
    """Read the balance, which is told in ten-thousandths of a dollar."""
    data = part(ask.fetch("/v3/user/balance"))
    left = Decimal(amount(data.get("availableBalance"))) / 10_000
    return Status(BALANCE, (Item(REMAINING, "Balance", amount(str(left)), "USD"),))


def venice(ask: Question) -> Status:
    """Read dollars and DIEM; the currency that is consumed now counts."""
    data = part(ask.fetch("/api/v1/billing/balance"))
    balances = part(data, "balances")
    items: list[Item] = []
    if balances.get("usd") is not None:
        items.append(Item("usd", "Balance", amount(balances["usd"]), "USD"))
    if balances.get("diem") is not None:
        ceiling = data.get("diemEpochAllocation")
        limit = amount(ceiling) if ceiling is not None else ""
        left = amount(balances["diem"])
        items.append(Item("diem", "DIEM of this epoch", left, "DIEM", limit))
    consumed = str(data.get("consumptionCurrency", "")).lower()
    known = [item.key for item in items]
    primary = consumed if consumed in known else next(iter(known), "")
    return told(Status(BALANCE, tuple(items), primary))


def _more(data: dict[str, Any], unit: str, **labels: str) -> list[Item]:
    """Return the figures beside the main one that are there."""
    return [
        Item(f"{name}_{unit.lower()}", label, amount(data[name]), unit)
        for name, label in labels.items()
        if data.get(name) is not None
    ]


def _site_currency(ask: Question) -> str:
    return "CNY" if ask.is_china else "USD"


def _currency(value: Any) -> str:
    if (
        isinstance(value, str)
        and len(value) == 3
        and value.isalpha()
        and value.isascii()
    ):
        return value.upper()
    raise AccountError("invalid_response")
