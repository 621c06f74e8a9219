"""What vendors say of the plan behind a sign-in, row by row.

Written from the vendors' public references and from programs that read them.
"""

from __future__ import annotations

from tests.vendors.accounts import Row

SIGN_INS = (
    Row(
        name="copilot",
        vendor="copilot",
        pages={
            "GET /copilot_internal/user": {
                "copilot_plan": "individual",
                "quota_reset_date": "2026-12-01",
                "quota_snapshots": {
                    "chat": {"unlimited": True, "percent_remaining": 100},
                    "premium_interactions": {
                        "entitlement": 300,
                        "remaining": 75,
                        "percent_remaining": 25.0,
                        "unlimited": False,
                    },
                },
            }
        },
        expects={"quota_premium_interactions": ("25", "percent")},
        primary="quota_premium_interactions",
        kind="quota",
        plan="individual",
        resets={"quota_premium_interactions": "2026-12-01T00:00:00+00:00"},
    ),
    Row(
        name="copilot free plan",
        vendor="copilot",
        pages={
            "GET /copilot_internal/user": {
                "copilot_plan": "free",
                "monthly_quotas": {"chat": 500, "completions": 4000},
                "limited_user_quotas": {"chat": 410, "completions": 1000},
                "limited_user_reset_date": "2026-12-01",
            }
        },
        expects={
            "quota_chat": ("82", "percent"),
            "quota_completions": ("25", "percent"),
        },
        primary="quota_completions",
        kind="quota",
        plan="free",
    ),
    Row(
        name="codex",
        vendor="codex",
        pages={
            "GET /backend-api/wham/usage": {
                "plan_type": "plus",
                "rate_limit": {
                    "allowed": True,
                    "limit_reached": False,
                    "primary_window": {
                        "used_percent": 30,
                        "limit_window_seconds": 18000,
                        "reset_after_seconds": 600,
                        "reset_at": 1795392000,
                    },
                    "secondary_window": {
                        "used_percent": 5,
                        "limit_window_seconds": 604800,
                        "reset_at": 1795478400,
                    },
                },
                "credits": {"has_credits": True, "unlimited": False, "balance": "7.5"},
            }
        },
        expects={
            "window_5h": ("70", "percent"),
            "window_week": ("95", "percent"),
            "credits": ("7.5", "USD"),
        },
        primary="window_5h",
        kind="quota",
        plan="plus",
        resets={"window_5h": "2026-11-23T00:00:00+00:00"},
    ),
    Row(
        name="claude",
        vendor="claude",
        pages={
            "GET /api/oauth/usage": {
                "five_hour": {
                    "utilization": 33.0,
                    "resets_at": "2026-11-20T20:00:00+00:00",
                },
                "seven_day": {
                    "utilization": 12.0,
                    "resets_at": "2026-11-25T07:00:00+00:00",
                },
                "seven_day_opus": {"utilization": 80.0, "resets_at": None},
                "seven_day_sonnet": None,
                "extra_usage": {"is_enabled": False, "utilization": None},
            }
        },
        expects={
            "window_5h": ("67", "percent"),
            "window_week": ("88", "percent"),
            "window_week_opus": ("20", "percent"),
        },
        primary="window_week_opus",
        kind="quota",
    ),
    Row(
        name="google gemini cli",
        vendor="gemini-cli",
        pages={
            "POST /v1internal:retrieveUserQuota": {
                "buckets": [
                    {
                        "modelId": "gemini-2.5-pro",
                        "remainingFraction": 0.9,
                        "resetTime": "2026-11-21T00:00:00Z",
                    },
                    {"modelId": "gemini-3-pro", "remainingFraction": 0.4},
                    {"modelId": "gemini-2.5-flash-lite", "remainingFraction": 1},
                    {"modelId": "gemini-2.5-flash", "remainingFraction": 0.75},
                ]
            }
        },
        expects={
            "quota_pro": ("40", "percent"),
            "quota_flash": ("75", "percent"),
            "quota_flash-lite": ("100", "percent"),
        },
        primary="quota_pro",
        kind="quota",
    ),
    Row(
        name="google antigravity",
        vendor="antigravity",
        pages={
            "POST /v1internal:fetchAvailableModels": {
                "models": {
                    "gemini-3-pro-high": {
                        "displayName": "Gemini 3 Pro",
                        "quotaInfo": {
                            "remainingFraction": 0.6,
                            "resetTime": "2026-11-21T00:00:00Z",
                        },
                    },
                    "claude-sonnet-4-6": {
                        "quotaInfo": {"remainingFraction": 0.1, "isExhausted": False}
                    },
                    "chat_20706": {"isInternal": True},
                }
            }
        },
        expects={
            "quota_pro": ("60", "percent"),
            "quota_claude": ("10", "percent"),
        },
        primary="quota_claude",
        kind="quota",
    ),
)
