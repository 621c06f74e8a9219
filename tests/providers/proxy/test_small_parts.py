"""Retry budget, stranger table, watch and verdict on their own."""

from __future__ import annotations

import asyncio

import pytest

from poolsite.destinations import Category
from providers.formats.errors import ErrorDetail
from providers.proxy import verdict
from providers.proxy.retry_budget import RetryBudget
from providers.proxy.throttle import StrangerTable
from providers.proxy.watch import Watch


def test_a_retry_budget_is_a_share_of_a_providers_calls() -> None:
    budget = RetryBudget()
    taken = 0
    for _ in range(1000):
        budget.pay_in(1, 10)
        taken += budget.take(1)
    assert 100 <= taken <= 103
    assert budget.take(2)


def test_a_quiet_provider_may_retry_twice() -> None:
    budget = RetryBudget()
    assert [budget.take(1) for _ in range(3)] == [True, True, False]


def test_strangers_are_counted_per_network() -> None:
    table = StrangerTable(per_minute=2)
    assert table.retry_after("192.0.2.1", 0.0) is None
    assert table.retry_after("192.0.2.1", 0.0) is None
    assert table.retry_after("192.0.2.1", 0.0) == 30.0
    assert table.retry_after("::ffff:192.0.2.1", 0.0) == 30.0
    assert table.retry_after("192.0.2.2", 0.0) is None
    assert table.retry_after("2001:db8::1", 0.0) is None
    assert table.retry_after("2001:db8::2", 0.0) is None
    assert table.retry_after("2001:db8::3", 0.0) is not None
    assert table.retry_after("192.0.2.1", 60.0) is None
    assert table.retry_after("nonsense", 0.0) is None


def test_the_stranger_table_stays_small() -> None:
    table = StrangerTable()
    for number in range(25_000):
        table.retry_after(
            f"10.{number >> 16}.{(number >> 8) & 255}.{number & 255}", 0.0
        )
    assert len(table._rows) <= 10_001


async def test_a_deadline_interrupts_and_names_itself() -> None:
    watch = Watch(60.0)
    watch.expect("idle", 0.02)
    with pytest.raises(asyncio.CancelledError):
        await asyncio.sleep(5)
    assert watch.claim() == "idle"
    assert watch.claim() is None
    watch.expect("first_byte", 0.02)
    with pytest.raises(asyncio.CancelledError):
        await asyncio.sleep(5)
    assert watch.claim() == "first_byte"
    watch.stop()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_the_end_of_the_whole_call_counts_above_all() -> None:
    watch = Watch(60.0)
    watch.end_within(0.03)
    watch.end_within(10.0)
    watch.expect("idle", 10.0)
    with pytest.raises(asyncio.CancelledError):
        await asyncio.sleep(5)
    assert watch.claim() == "total"
    watch.stop()


async def test_a_foreign_cancellation_is_not_claimed() -> None:
    async def guarded() -> str:
        watch = Watch(60.0)
        try:
            await asyncio.sleep(5)
        except asyncio.CancelledError:
            return str(watch.claim())
        finally:
            watch.stop()
        return "finished"

    task = asyncio.ensure_future(guarded())
    await asyncio.sleep(0)
    task.cancel()
    assert await task == "None"


async def test_a_stopped_watch_interrupts_nobody() -> None:
    watch = Watch(60.0)
    watch.expect("idle", 0.01)
    watch.stop()
    watch.trip("gone")
    await asyncio.sleep(0.03)
    assert watch.gone


async def test_a_watch_beats_and_calls_back_in_silence() -> None:
    watch = Watch(60.0)
    beats: list[str] = []
    watch.on_beat(lambda: beats.append("beat"), 0.02)
    watch.on_silence(lambda: beats.append("silence") or 0.02, 0.01)
    await asyncio.sleep(0.2)
    watch.stop()
    assert beats.count("beat") >= 2
    assert beats.count("silence") >= 2


@pytest.mark.parametrize(
    ("status", "detail", "kind", "scope"),
    [
        (400, ErrorDetail("bad", "invalid_request_error"), "format", "request"),
        (400, ErrorDetail("Invalid API key provided"), "auth", "candidate"),
        (401, ErrorDetail("no"), "auth", "candidate"),
        (402, ErrorDetail("pay"), "quota", "candidate"),
        (403, ErrorDetail("content policy violation"), "request", "request"),
        (404, ErrorDetail("model x not found"), "model", "candidate"),
        (404, ErrorDetail(""), "dialect", "origin"),
        (408, ErrorDetail(""), "timeout", "candidate"),
        (429, ErrorDetail("slow down"), "rate_limit", "candidate"),
        (429, ErrorDetail("", None, "insufficient_quota"), "quota", "candidate"),
        (302, ErrorDetail(""), "server_error", "origin"),
        (500, ErrorDetail(""), "server_error", "candidate"),
        (503, ErrorDetail(""), "unavailable", "candidate"),
        (529, ErrorDetail(""), "overloaded", "candidate"),
    ],
)
def test_a_status_is_judged(
    status: int, detail: ErrorDetail, kind: str, scope: str
) -> None:
    failure = verdict.judge_status(status, detail, {}, now_s=0.0)
    assert (failure.kind, failure.scope) == (kind, scope)
    assert failure.is_transient == (status in (500, 503))


@pytest.mark.parametrize(
    ("category", "before_head", "kind"),
    [
        (Category.REFUSED, True, "connect"),
        (Category.DNS, True, "connect"),
        (Category.TLS, True, "connect"),
        (Category.RESET, True, "server_error"),
        (Category.RESET, False, "server_error"),
        (Category.TIMEOUT, True, "timeout"),
        (Category.TOO_LARGE, False, "server_error"),
    ],
)
def test_a_broken_transport_is_judged(
    category: Category, before_head: bool, kind: str
) -> None:
    assert verdict.judge_transport(category, before_head=before_head).kind == kind


@pytest.mark.parametrize(
    ("detail", "kind"),
    [
        (ErrorDetail("You hit the rate limit"), "rate_limit"),
        (ErrorDetail("quota is used up"), "quota"),
        (ErrorDetail("", "overloaded_error"), "overloaded"),
        (ErrorDetail("", None, "invalid_api_key"), "auth"),
        (ErrorDetail("", "invalid_request_error"), "format"),
        (ErrorDetail("boom", status=500), "server_error"),
        (ErrorDetail("boom"), "server_error"),
    ],
)
def test_an_error_under_a_200_is_judged_by_its_words(
    detail: ErrorDetail, kind: str
) -> None:
    failure = verdict.judge_body(detail, now_s=0.0)
    assert failure.kind == kind
    assert not failure.is_verbatim
