"""Read the windows of subscriptions: what is left of each, and when it is full again."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from providers.discovery.accounts import volcengine_signature
from providers.discovery.accounts.answer import (
    PERCENT,
    QUOTA,
    AccountError,
    Item,
    Question,
    Status,
    amount,
    moment,
    objects,
    part,
    percent_left,
    plan_name,
    told,
)

SHORT: Final = "window_5h"
WEEK: Final = "window_week"
MONTH: Final = "window_month"
LABELS: Final = {
    SHORT: "5-hour window",
    WEEK: "Weekly window",
    MONTH: "Monthly window",
}


def window(key: str, left_percent: str, resets: Any, label: str = "") -> Item:
    """Make the item of a window."""
    words = label or LABELS[key]
    return Item(key, words, left_percent, PERCENT, "100", moment(resets))


def windows(items: list[Item], plan: str = "") -> Status:
    """Make a status of windows; the tightest one counts.

    Errors:  AccountError when there is none.
    """
    tightest = min(items, key=lambda item: Decimal(item.value), default=None)
    primary = tightest.key if tightest else ""
    return told(Status(QUOTA, tuple(items), primary, plan))


def kimi(ask: Question) -> Status:
    """Read the coding plan: the first limit is of five hours, ``usage`` of a week."""
    data = part(ask.fetch("/coding/v1/usages"))
    items: list[Item] = []
    limits = objects(data.get("limits"))
    if limits:
        items.append(_share(SHORT, part(limits[0], "detail")))
    if isinstance(data.get("usage"), dict):
        items.append(_share(WEEK, data["usage"]))
    return windows(items)


def zhipu(ask: Question) -> Status:
    """Read the coding plan; this host wants the key without a scheme.

    The windows are told apart by ``unit`` (3 hours, 6 weeks), never by which of them
    ends first: at the end of a week that one does.
    """
    headers = {"authorization": ask.reveal(), "accept-language": "en-US,en"}
    answer = part(ask.fetch("/api/monitor/usage/quota/limit", headers=headers))
    if answer.get("success") is False:
        raise AccountError("invalid_response")
    data = part(answer, "data")
    items = [
        window(
            {3: SHORT, 6: WEEK}[row["unit"]],
            percent_left(row.get("percentage")),
            row.get("nextResetTime"),
        )
        for row in objects(data.get("limits"))
        if row.get("type") in ("TOKENS_LIMIT", "CREDIT_LIMIT")
        and row.get("unit") in (3, 6)
    ]
    return windows(items, plan_name(data.get("level")))


def minimax(ask: Question) -> Status:
    """Read the coding plan; the weekly window exists only where status says so."""
    answer = part(ask.fetch("/v1/api/openplatform/coding_plan/remains"))
    if part(answer, "base_resp").get("status_code") != 0:
        raise AccountError("invalid_response")
    rows = objects(answer.get("model_remains"))
    row = next((each for each in rows if each.get("model_name") == "general"), None)
    if row is None:
        raise AccountError("no_account_status_data")
    left = amount(row.get("current_interval_remaining_percent"))
    items = [window(SHORT, left, row.get("end_time"))]
    if row.get("current_weekly_status") == 1:
        weekly = amount(row.get("current_weekly_remaining_percent"))
        items.append(window(WEEK, weekly, row.get("weekly_end_time")))
    return windows(items)


def zenmux(ask: Question) -> Status:
    """Read the subscription; the vendor tells it to management keys only."""
    answer = part(ask.fetch("/api/v1/management/subscription/detail"))
    if answer.get("success") is not True:
        raise AccountError("invalid_response")
    data = part(answer, "data")
    items = [
        window(
            key,
            percent_left(quota.get("usage_percentage"), scale=100),
            quota.get("resets_at"),
        )
        for key, name in ((SHORT, "quota_5_hour"), (WEEK, "quota_7_day"))
        if isinstance(quota := data.get(name), dict)
    ]
    plan = data.get("plan")
    tier = plan.get("tier") if isinstance(plan, dict) else ""
    return windows(items, plan_name(tier))


def volcengine(ask: Question) -> Status:
    """Read the agent plan, else the coding plan; both calls are signed.

    Source:  the vendor's open API: GetAFPUsage and GetCodingPlanUsage, 2024-01-01. The
             credential is ``access key:secret key``; a model key is refused there.
    """
    access, colon, secret = ask.reveal().partition(":")
    if not colon:
        raise AccountError("api_key_not_configured")
    pair = volcengine_signature.Pair(access.strip(), secret.strip())
    for action, read in (("GetAFPUsage", _agent), ("GetCodingPlanUsage", _coding)):
        path = f"/?Action={action}&Version=2024-01-01"
        headers = volcengine_signature.sign(pair, path, b"{}", now=ask.now)
        try:
            result = part(ask.fetch(path, headers=headers, body={}), "Result")
        except AccountError as error:
            # Who has no such plan is answered 400; the other plan may be there.
            if action == "GetAFPUsage" and error.code in ("http_400", "http_404"):
                continue
            raise
        items = read(result)
        if items:
            return windows(items)
    raise AccountError("no_account_status_data")


def _agent(result: dict[str, Any]) -> list[Item]:
    places = ((SHORT, "AFPFiveHour"), (WEEK, "AFPWeekly"), (MONTH, "AFPMonthly"))
    return [
        _share(key, {**row, "limit": row.get("Quota"), "used": row.get("Used")})
        for key, name in places
        if isinstance(row := result.get(name), dict)
    ]


def _coding(result: dict[str, Any]) -> list[Item]:
    keys = {"session": SHORT, "weekly": WEEK, "monthly": MONTH}
    return [
        window(
            keys[row["Level"]], percent_left(row.get("Percent")), row["ResetTimestamp"]
        )
        for row in objects(result.get("QuotaUsage"))
        if row.get("Level") in tuple(keys) and "ResetTimestamp" in row
    ]


def _share(key: str, row: dict[str, Any]) -> Item:
    """Read a window told as a limit and what is used or left of it."""
    limit = Decimal(amount(row.get("limit")))
    if row.get("remaining") is not None:
        left = Decimal(amount(row["remaining"]))
    else:
        left = limit - Decimal(amount(row.get("used")))
    if limit <= 0:
        raise AccountError("invalid_response")
    used = 100 - 100 * left / limit
    return window(
        key, percent_left(str(used)), row.get("resetTime", row.get("ResetTime"))
    )
