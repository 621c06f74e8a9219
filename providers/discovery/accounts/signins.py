"""Read what is left of a plan somebody is signed in to."""

from __future__ import annotations

from decimal import Decimal
from itertools import islice
from typing import Any

from providers.discovery.accounts.answer import (
    LONGEST_NAME,
    MOST_ITEMS,
    PERCENT,
    Item,
    Question,
    Status,
    amount,
    moment,
    objects,
    part,
    percent_left,
    plan_name,
)
from providers.discovery.accounts.plans import SHORT, WEEK, window, windows

_BETA = {"anthropic-beta": "oauth-2025-04-20"}
_WEEK_S = 6 * 86_400


def claude(ask: Question) -> Status:
    """Read the windows of a Claude plan: five hours, a week, a week of one model."""
    data = part(ask.fetch("/api/oauth/usage", headers=_BETA))
    items: list[Item] = []
    for name, row in islice(data.items(), MOST_ITEMS):
        if not isinstance(row, dict) or row.get("utilization") is None:
            continue
        left = percent_left(row["utilization"])
        if name == "five_hour":
            items.append(window(SHORT, left, row.get("resets_at")))
        elif name == "seven_day":
            items.append(window(WEEK, left, row.get("resets_at")))
        elif name.startswith("seven_day_"):
            model = plan_name(name.removeprefix("seven_day_"))[:LONGEST_NAME]
            label = f"Weekly window, {model}"
            key = f"{WEEK}_{model}"
            items.append(window(key, left, row.get("resets_at"), label))
    return windows(items[:20])


def codex(ask: Question) -> Status:
    """Read the two windows of a ChatGPT plan, and its credits where it has some."""
    data = part(ask.fetch("/backend-api/wham/usage"))
    limits = part(data, "rate_limit")
    items: list[Item] = []
    for name in ("primary_window", "secondary_window"):
        row = limits.get(name)
        if isinstance(row, dict) and row.get("used_percent") is not None:
            span = row.get("limit_window_seconds")
            is_long = isinstance(span, int) and span > _WEEK_S
            key = WEEK if is_long else SHORT
            left = percent_left(row["used_percent"])
            items.append(window(key, left, row.get("reset_at")))
    found = windows(items, plan_name(data.get("plan_type")))
    credit = data.get("credits")
    if isinstance(credit, dict) and credit.get("balance") is not None:
        more = Item("credits", "Credits", amount(credit["balance"]), "USD")
        return Status(found.kind, (*found.items, more), found.primary, found.plan)
    return found


def copilot(ask: Question) -> Status:
    """Read what is left of chats, completions and premium requests this month."""
    data = part(ask.fetch("/copilot_internal/user"))
    resets = data.get("quota_reset_date", data.get("limited_user_reset_date"))
    snapshots = data.get("quota_snapshots")
    if not isinstance(snapshots, dict):
        snapshots = {}
    items = [
        _copilot_item(name, row, resets)
        for name, row in islice(snapshots.items(), MOST_ITEMS)
        if isinstance(row, dict) and not row.get("unlimited")
    ] or _copilot_free(data, resets)
    plan = plan_name(data.get("copilot_plan"))
    if not items:
        # A paid plan may have no limit at all; that is an answer, not a gap.
        return Status("quota", (), "", plan)
    return windows(items, plan)


def _copilot_item(name: str, row: dict[str, Any], resets: Any) -> Item:
    left = amount(row.get("percent_remaining"))
    short = plan_name(name)[:LONGEST_NAME]
    label = short.replace("_", " ").capitalize()
    return Item(f"quota_{short}", label, left, PERCENT, "100", moment(resets))


def _copilot_free(data: dict[str, Any], resets: Any) -> list[Item]:
    """Read the free plan, which tells a month's amounts and what is left of them."""
    whole, left = data.get("monthly_quotas"), data.get("limited_user_quotas")
    if not isinstance(whole, dict) or not isinstance(left, dict):
        return []
    items = []
    for name, total in islice(whole.items(), MOST_ITEMS):
        rest = left.get(name)
        if isinstance(total, int) and total > 0 and isinstance(rest, int):
            share = 100 * Decimal(amount(rest)) / Decimal(amount(total))
            row = {"percent_remaining": str(round(share, 2))}
            items.append(_copilot_item(name, row, resets))
    return items


def gemini_cli(ask: Question) -> Status:
    """Read the buckets of a Gemini sign-in: the lowest of each class of model."""
    answer = part(ask.fetch("/v1internal:retrieveUserQuota", body=_project(ask)))
    lowest: dict[str, tuple[float, Any]] = {}
    for row in objects(answer.get("buckets")):
        share = row.get("remainingFraction")
        if isinstance(share, int | float) and not isinstance(share, bool):
            name = _class_of(str(row.get("modelId", "")))
            if name not in lowest or share < lowest[name][0]:
                lowest[name] = (share, row.get("resetTime"))
    return windows([_class(name, *found) for name, found in sorted(lowest.items())])


def antigravity(ask: Question) -> Status:
    """Read what is left of each class of model of an Antigravity sign-in."""
    answer = part(ask.fetch("/v1internal:fetchAvailableModels", body=_project(ask)))
    lowest: dict[str, tuple[float, Any]] = {}
    for name, row in list(part(answer, "models").items())[:500]:
        quota = row.get("quotaInfo") if isinstance(row, dict) else None
        if not isinstance(quota, dict):
            continue
        share = quota.get("remainingFraction")
        if isinstance(share, int | float) and not isinstance(share, bool):
            kind = _class_of(str(name))
            if kind not in lowest or share < lowest[kind][0]:
                lowest[kind] = (share, quota.get("resetTime"))
    return windows([_class(name, *found) for name, found in sorted(lowest.items())])


def _project(ask: Question) -> dict[str, str]:
    return {"project": ask.project} if ask.project else {}


def _class(name: str, share: float, resets: Any) -> Item:
    left = percent_left(1 - share, scale=100)
    return window(f"quota_{name}", left, resets, name.replace("-", " ").capitalize())


def _class_of(model: str) -> str:
    for name in ("flash-lite", "flash", "pro", "claude"):
        if name in model:
            return name
    return "other"
