"""Account status: balances, credits and quotas."""

from __future__ import annotations

from ninja import Router

router = Router(tags=["account status"])
