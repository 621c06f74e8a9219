"""What vendors answer when asked about an account, row by row of the table of vendors.

Written from the vendors' public references and from programs that read them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

SECRET = "sk-account-0123456789-wxyz"


@dataclass(frozen=True)
class Row:
    """One row: the vendor, its pages, and what is to be read from them.

    Shapes:  ``pages`` by ``METHOD /path``; ``expects`` (value, unit) by item key.
    """

    name: str
    pages: dict[str, Any]
    expects: dict[str, tuple[str, str]]
    primary: str
    kind: str
    catalogue_id: str = ""
    vendor: str = ""
    plan: str = ""
    resets: dict[str, str] = field(default_factory=dict)
    secret: str = SECRET


ROWS = (
    Row(
        name="openrouter key",
        catalogue_id="openrouter",
        pages={
            "GET /api/v1/key": {
                "data": {
                    "label": "sk-or-v1-0e6...1c96",
                    "limit": 50,
                    "limit_remaining": 37.25,
                    "limit_reset": "monthly",
                    "usage": 12.75,
                    "usage_daily": 0.5,
                    "usage_weekly": 3.5,
                    "usage_monthly": 12.75,
                    "is_free_tier": False,
                }
            },
        },
        expects={
            "remaining": ("37.25", "USD"),
            "usage": ("12.75", "USD"),
            "usage_daily": ("0.5", "USD"),
        },
        primary="remaining",
        kind="credits",
    ),
    Row(
        name="openrouter credits",
        catalogue_id="openrouter",
        pages={
            "GET /api/v1/key": {"data": {"limit": None, "limit_remaining": None}},
            "GET /api/v1/credits": {
                "data": {"total_credits": 100.5, "total_usage": 25.75}
            },
        },
        expects={"credits": ("74.75", "USD")},
        primary="credits",
        kind="credits",
    ),
    Row(
        name="deepseek",
        catalogue_id="deepseek",
        pages={
            "GET /user/balance": {
                "is_available": True,
                "balance_infos": [
                    {
                        "currency": "CNY",
                        "total_balance": "110.00",
                        "granted_balance": "10.00",
                        "topped_up_balance": "100.00",
                    },
                    {
                        "currency": "USD",
                        "total_balance": "5.10",
                        "granted_balance": "0.00",
                        "topped_up_balance": "5.10",
                    },
                ],
            }
        },
        expects={
            "remaining_cny": ("110", "CNY"),
            "remaining_usd": ("5.1", "USD"),
            "granted_balance_cny": ("10", "CNY"),
        },
        primary="remaining_cny",
        kind="balance",
    ),
    Row(
        name="siliconflow .cn",
        catalogue_id="siliconflow-cn",
        pages={
            "GET /v1/user/info": {
                "code": 20000,
                "message": "OK",
                "status": True,
                "data": {
                    "balance": "0.88",
                    "chargeBalance": "88.00",
                    "totalBalance": "88.88",
                    "status": "normal",
                },
            }
        },
        expects={"remaining": ("88.88", "CNY"), "chargeBalance_cny": ("88", "CNY")},
        primary="remaining",
        kind="balance",
    ),
    Row(
        name="siliconflow .com",
        catalogue_id="siliconflow",
        pages={"GET /v1/user/info": {"code": 20000, "data": {"totalBalance": "3.5"}}},
        expects={"remaining": ("3.5", "USD")},
        primary="remaining",
        kind="balance",
    ),
    Row(
        name="moonshot .ai",
        catalogue_id="moonshot",
        pages={
            "GET /v1/users/me/balance": {
                "code": 0,
                "scode": "0x0",
                "status": True,
                "data": {
                    "available_balance": 49.58894,
                    "voucher_balance": 46.58893,
                    "cash_balance": 3.00001,
                },
            }
        },
        expects={
            "remaining": ("49.58894", "USD"),
            "cash_balance_usd": ("3.00001", "USD"),
        },
        primary="remaining",
        kind="balance",
    ),
    Row(
        name="moonshot .cn in debt",
        catalogue_id="moonshot-cn",
        pages={
            "GET /v1/users/me/balance": {
                "code": 0,
                "status": True,
                "data": {"available_balance": -0.25, "cash_balance": -0.25},
            }
        },
        expects={"remaining": ("-0.25", "CNY")},
        primary="remaining",
        kind="balance",
    ),
    Row(
        name="stepfun",
        catalogue_id="stepfun",
        pages={
            "GET /v1/accounts": {
                "object": "account",
                "balance": 12.3,
                "total_cash_balance": 10,
                "total_voucher_balance": 2.3,
            }
        },
        expects={
            "remaining": ("12.3", "CNY"),
            "total_voucher_balance_cny": ("2.3", "CNY"),
        },
        primary="remaining",
        kind="balance",
    ),
    Row(
        name="novita",
        catalogue_id="novita",
        pages={"GET /v3/user/balance": {"availableBalance": "123456"}},
        expects={"remaining": ("12.3456", "USD")},
        primary="remaining",
        kind="balance",
    ),
    Row(
        name="venice",
        catalogue_id="venice",
        pages={
            "GET /api/v1/billing/balance": {
                "canConsume": True,
                "consumptionCurrency": "DIEM",
                "balances": {"usd": 25, "diem": 90.5},
                "diemEpochAllocation": 100,
            }
        },
        expects={"usd": ("25", "USD"), "diem": ("90.5", "DIEM")},
        primary="diem",
        kind="balance",
    ),
    Row(
        name="kimi coding",
        catalogue_id="kimi-coding",
        pages={
            "GET /coding/v1/usages": {
                "limits": [
                    {
                        "detail": {
                            "limit": "200",
                            "remaining": "150",
                            "resetTime": "2026-11-20T18:00:00Z",
                        }
                    }
                ],
                "usage": {
                    "limit": "2000",
                    "remaining": "200",
                    "resetTime": "2026-11-24T00:00:00Z",
                },
            }
        },
        expects={"window_5h": ("75", "percent"), "window_week": ("10", "percent")},
        primary="window_week",
        kind="quota",
        resets={"window_5h": "2026-11-20T18:00:00+00:00"},
    ),
    Row(
        name="zhipu plan",
        catalogue_id="zhipu-coding",
        pages={
            "GET /api/monitor/usage/quota/limit": {
                "success": True,
                "data": {
                    "level": "pro",
                    "limits": [
                        {"type": "TIME_LIMIT", "unit": 5, "percentage": 12},
                        {
                            "type": "TOKENS_LIMIT",
                            "unit": 6,
                            "percentage": 40,
                            "nextResetTime": 1795392000000,
                        },
                        {
                            "type": "TOKENS_LIMIT",
                            "unit": 3,
                            "percentage": 25.5,
                            "nextResetTime": 1795478400000,
                        },
                    ],
                },
            }
        },
        expects={"window_5h": ("74.5", "percent"), "window_week": ("60", "percent")},
        primary="window_week",
        kind="quota",
        plan="pro",
        resets={"window_week": "2026-11-23T00:00:00+00:00"},
    ),
    Row(
        name="z.ai plan in credits",
        catalogue_id="zai-coding",
        pages={
            "GET /api/monitor/usage/quota/limit": {
                "success": True,
                "data": {
                    "level": "max",
                    "limits": [{"type": "CREDIT_LIMIT", "unit": 3, "percentage": 100}],
                },
            }
        },
        expects={"window_5h": ("0", "percent")},
        primary="window_5h",
        kind="quota",
        plan="max",
    ),
    Row(
        name="minimax plan",
        catalogue_id="minimax",
        pages={
            "GET /v1/api/openplatform/coding_plan/remains": {
                "base_resp": {"status_code": 0, "status_msg": "success"},
                "model_remains": [
                    {"model_name": "video", "current_interval_remaining_percent": 1},
                    {
                        "model_name": "general",
                        "current_interval_remaining_percent": 82,
                        "end_time": 1795392000000,
                        "current_weekly_status": 1,
                        "current_weekly_remaining_percent": 64,
                        "weekly_end_time": 1795478400000,
                    },
                ],
            }
        },
        expects={"window_5h": ("82", "percent"), "window_week": ("64", "percent")},
        primary="window_week",
        kind="quota",
    ),
    Row(
        name="zenmux",
        catalogue_id="zenmux",
        pages={
            "GET /api/v1/management/subscription/detail": {
                "success": True,
                "data": {
                    "plan": {"tier": "ultra", "amount_usd": 200},
                    "quota_5_hour": {
                        "usage_percentage": 0.0715,
                        "resets_at": "2026-11-20T08:35:09.000Z",
                    },
                    "quota_7_day": {"usage_percentage": 0.5, "resets_at": None},
                },
            }
        },
        expects={"window_5h": ("92.85", "percent"), "window_week": ("50", "percent")},
        primary="window_week",
        kind="quota",
        plan="ultra",
    ),
    Row(
        name="one-api relay",
        pages={
            "GET /v1/dashboard/billing/subscription": {
                "object": "billing_subscription",
                "has_payment_method": True,
                "hard_limit_usd": 20,
                "access_until": 0,
            },
            "GET /v1/dashboard/billing/usage": {"object": "list", "total_usage": 512.5},
        },
        expects={"remaining": ("14.875", "USD"), "usage": ("5.125", "USD")},
        primary="remaining",
        kind="balance",
    ),
    Row(
        name="new-api relay without a limit",
        pages={
            "GET /v1/dashboard/billing/subscription": {"hard_limit_usd": 100000000},
            "GET /v1/dashboard/billing/usage": {"total_usage": 100},
        },
        expects={"usage": ("1", "USD")},
        primary="",
        kind="balance",
    ),
    Row(
        name="old OpenAI style",
        pages={
            "GET /dashboard/billing/credit_grants": {
                "object": "credit_summary",
                "total_granted": 18.0,
                "total_used": 5.5,
                "total_available": 12.5,
            }
        },
        expects={"remaining": ("12.5", "USD"), "usage": ("5.5", "USD")},
        primary="remaining",
        kind="credits",
    ),
)

SILENT_HOSTS = ("openai", "anthropic", "google", "groq", "mistral", "xai")
"""Vendors that tell a model key nothing."""
