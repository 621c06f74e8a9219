"""What a caller is told while the store of limits is away."""

from __future__ import annotations

from typing import Any

import pytest

from providers.snapshot.types import BudgetRecord
from tests.providers.proxy.pool import Pool
from usage.limits.contract import LimitStoreError, ShareUsedUpError


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (LimitStoreError("away"), "limits_unavailable"),
        (ShareUsedUpError("used up"), "budget_share_used_up"),
    ],
)
async def test_hard_budget_is_refused_with_the_reason_and_recorded(
    pool: Pool, error: LimitStoreError, code: str
) -> None:
    pool.budgets[1] = BudgetRecord(1, "key", 10**9, "day")
    pool.set_key(budget_ids=(1,))

    async def away(*_: Any) -> Any:
        raise error

    pool.limits.acquire = away  # type: ignore[method-assign]
    answer = await pool.call()
    assert (answer.status, answer.error["code"]) == (503, code)
    assert answer.header("retry-after") == "5"
    assert not pool.intents, "nobody was asked"
    told = pool.settles[-1].request
    assert told is not None
    assert told.error_code == code


async def test_rates_alone_stop_nobody(pool: Pool) -> None:
    pool.set_key(rpm=1)

    async def away(*_: Any) -> Any:
        raise LimitStoreError("away")

    pool.limits.acquire = away  # type: ignore[method-assign]
    assert [(await pool.call()).status for _ in range(3)] == [200] * 3
