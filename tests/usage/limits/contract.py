"""What every store of limits must do; each store's tests inherit these.

A subclass gives a fixture ``bench`` with a store, a second store on the same state (or
the same store), and the clock both follow. It is long because a contract is read as
one: two stores keep it, and what one of them is asked the other is asked as well.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import NamedTuple

import pytest

from poolsite.clock import ManualClock
from usage.limits.contract import (
    BUSY_RETRY_S,
    Ask,
    Budget,
    LimitStore,
    Refusal,
    RequestCount,
    Scope,
    Ticket,
    TicketClosedError,
    Used,
)
from usage.limits.gcra import Rate, per_minute

USD = 1_000_000_000
CENT = USD // 100
WINDOW_S = 86_400.0


class Bench(NamedTuple):
    store: LimitStore
    clock: ManualClock
    lease_s: float

    def now_s(self):
        return self.clock.time_ns() / 1e9


def money(limit=USD, *, budget_id=1, window="day-1", hard=True, spent=0, ends_at=None):
    return Budget(
        budget_id=budget_id,
        window_id=window,
        limit_nano=limit,
        hard=hard,
        spent_nano=spent,
        ends_at=ends_at,
    )


_numbers = iter(range(10**9))


def ask(*scopes, ticket=None, tokens=0, nano=0):
    return Ask(
        ticket_id=ticket or f"t{next(_numbers)}",
        scopes=scopes,
        tokens=tokens,
        reserve_nano=nano,
    )


class LimitStoreContract:
    async def granted(self, bench, *args, **values):
        answer = await bench.store.acquire(ask(*args, **values))
        assert isinstance(answer, Ticket), answer
        return answer

    async def refused(self, bench, *args, **values):
        answer = await bench.store.acquire(ask(*args, **values))
        assert isinstance(answer, Refusal), answer
        return answer

    async def left(self, bench, scope):
        """Return what remains by kind of limit."""
        statuses = await bench.store.status(scope)
        return {each.limit: each.remaining for each in statuses}

    # Money ---------------------------------------------------------------------

    async def test_t45_200_parallel_asks_fill_a_budget_exactly(self, bench):
        end = bench.now_s() + WINDOW_S
        scope = Scope(key="k", budgets=(money(USD, ends_at=end),))
        answers = await asyncio.gather(
            *(bench.store.acquire(ask(scope, nano=5 * CENT)) for _ in range(200))
        )
        tickets = [each for each in answers if isinstance(each, Ticket)]
        refusals = [each for each in answers if isinstance(each, Refusal)]
        assert (len(tickets), len(refusals)) == (20, 180)
        assert {each.reset_at for each in refusals} == {end}
        assert {each.limit for each in refusals} == {"budget"}
        assert {each.budget_id for each in refusals} == {1}
        used = Used(cost_nano=5 * CENT)
        await asyncio.gather(*(bench.store.settle(each, used) for each in tickets))
        assert await self.left(bench, scope) == {"budget": 0}
        assert isinstance(await bench.store.acquire(ask(scope, nano=1)), Refusal)

    async def test_varying_costs_never_exceed_the_budget(self, bench):
        scope = Scope(key="k", budgets=(money(USD),))
        served = spent = 0
        for number in range(200):
            answer = await bench.store.acquire(ask(scope, nano=5 * CENT))
            if isinstance(answer, Ticket):
                cost = (3 + number % 3) * CENT
                await bench.store.settle(answer, Used(cost_nano=cost))
                served, spent = served + 1, spent + cost
        assert spent <= USD
        assert served >= 20
        assert await self.left(bench, scope) == {"budget": USD - spent}

    async def test_settle_replaces_the_reservation_by_the_cost(self, bench):
        scope = Scope(key="k", budgets=(money(100),))
        ticket = await self.granted(bench, scope, nano=80)
        assert await self.left(bench, scope) == {"budget": 20}
        assert await bench.store.settle(ticket, Used(cost_nano=30))
        assert await self.left(bench, scope) == {"budget": 70}

    async def test_t49_settle_twice_counts_once(self, bench):
        scope = Scope(key="k", tpm=per_minute(1_000), budgets=(money(100),))
        ticket = await self.granted(bench, scope, nano=50, tokens=100)
        other = await self.granted(bench, scope, nano=20)
        used = Used(cost_nano=30, tokens=40)
        answers = [await bench.store.settle(ticket, used) for _ in range(5)]
        assert answers == [True, False, False, False, False]
        assert not await bench.store.release(ticket)
        assert await self.left(bench, scope) == {"tpm": 960, "budget": 50}
        assert await bench.store.settle(other, Used(cost_nano=20))

    async def test_overshoot_is_counted_and_blocks_the_next(self, bench):
        scope = Scope(key="k", budgets=(money(100),))
        ticket = await self.granted(bench, scope, nano=50)
        await bench.store.settle(ticket, Used(cost_nano=130))
        refusal = await self.refused(bench, scope, nano=1)
        assert (refusal.used, refusal.allowed) == (130, 100)

    async def test_unknown_cost_adds_nothing_and_frees_the_reservation(self, bench):
        scope = Scope(key="k", budgets=(money(100),))
        ticket = await self.granted(bench, scope, nano=50)
        await bench.store.settle(ticket, Used())
        assert await self.left(bench, scope) == {"budget": 100}

    async def test_t47_free_ask_fits_an_exhausted_budget(self, bench):
        scope = Scope(key="k", budgets=(money(100, spent=100),))
        await self.refused(bench, scope, nano=1)
        ticket = await self.granted(bench, scope, nano=0)
        await bench.store.settle(ticket, Used(cost_nano=0))
        assert isinstance(await bench.store.acquire(ask(scope, nano=1)), Refusal)

    async def test_t47_free_call_cannot_fall_back_to_a_paid_target(self, bench):
        scope = Scope(key="k", budgets=(money(100, spent=100),))
        ticket = await self.granted(bench, scope, nano=0)
        answer = await bench.store.re_reserve(ticket, 1)
        assert isinstance(answer, Refusal)
        assert await bench.store.settle(ticket, Used(cost_nano=0))

    async def test_dearer_fallback_holds_the_whole_new_amount(self, bench):
        scope = Scope(key="k", budgets=(money(100), money(200, budget_id=2)))
        ticket = await self.granted(bench, scope, nano=30)
        ticket = await bench.store.re_reserve(ticket, 100)
        assert ticket.reserve_nano == 100
        left = [each.remaining for each in await bench.store.status(scope)]
        assert left == [0, 100]
        await bench.store.settle(ticket, Used(cost_nano=60))
        left = [each.remaining for each in await bench.store.status(scope)]
        assert left == [40, 140]

    async def test_refused_fallback_leaves_the_ticket_as_it_was(self, bench):
        scope = Scope(key="k", budgets=(money(500, budget_id=2), money(100)))
        ticket = await self.granted(bench, scope, nano=30)
        answer = await bench.store.re_reserve(ticket, 101)
        assert isinstance(answer, Refusal)
        left = [each.remaining for each in await bench.store.status(scope)]
        assert left == [470, 70]

    async def test_cheaper_fallback_fits_even_when_the_limit_was_lowered(self, bench):
        ticket = await self.granted(
            bench, Scope(key="k", budgets=(money(100),)), nano=90
        )
        lowered = Scope(key="k", budgets=(money(10),))
        assert isinstance(await bench.store.re_reserve(ticket, 40), Ticket)
        await self.refused(bench, lowered, nano=1)

    async def test_closed_ticket_cannot_reserve_again(self, bench):
        scope = Scope(key="k", budgets=(money(100),))
        ticket = await self.granted(bench, scope, nano=30)
        await bench.store.settle(ticket, Used(cost_nano=1))
        with pytest.raises(TicketClosedError):
            await bench.store.re_reserve(ticket, 5)

    async def test_soft_budget_lets_one_call_cross_and_refuses_the_next(self, bench):
        scope = Scope(key="k", budgets=(money(100, hard=False),))
        first = await self.granted(bench, scope, nano=90)
        assert first.warnings == ()
        crossing = await self.granted(bench, scope, nano=90)
        (warning,) = crossing.warnings
        assert (warning.committed_nano, warning.limit_nano) == (180, 100)
        await self.refused(bench, scope, nano=1)
        await bench.store.settle(first, Used(cost_nano=90))
        await bench.store.settle(crossing, Used(cost_nano=90))
        refusal = await self.refused(bench, scope, nano=1)
        assert refusal.used == 180

    async def test_crossing_call_may_fall_back_within_a_soft_budget(self, bench):
        scope = Scope(key="k", budgets=(money(100, hard=False),))
        ticket = await self.granted(bench, scope, nano=150)
        answer = await bench.store.re_reserve(ticket, 200)
        assert isinstance(answer, Ticket)
        assert answer.warnings[0].committed_nano == 200

    async def test_budget_full_of_running_calls_says_to_come_back_soon(self, bench):
        end = bench.now_s() + WINDOW_S
        scope = Scope(key="k", budgets=(money(100, ends_at=end),))
        ticket = await self.granted(bench, scope, nano=100)
        refusal = await self.refused(bench, scope, nano=10)
        assert (refusal.retry_after_s, refusal.reset_at) == (BUSY_RETRY_S, end)
        await bench.store.settle(ticket, Used(cost_nano=100))
        refusal = await self.refused(bench, scope, nano=10)
        assert refusal.retry_after_s == pytest.approx(WINDOW_S, abs=0.01)

    async def test_ask_beyond_the_whole_budget_can_never_fit(self, bench):
        end = bench.now_s() + WINDOW_S
        scope = Scope(key="k", budgets=(money(100, ends_at=end),))
        assert (await self.refused(bench, scope, nano=101)).retry_after_s is None

    async def test_budget_without_end_refuses_for_good(self, bench):
        scope = Scope(key="k", budgets=(money(100, spent=60),))
        refusal = await self.refused(bench, scope, nano=50)
        assert (refusal.retry_after_s, refusal.reset_at) == (None, None)

    async def test_new_window_starts_from_its_own_figure(self, bench):
        await self.granted(bench, Scope(key="k", budgets=(money(100),)), nano=100)
        fresh = Scope(key="k", budgets=(money(100, window="day-2"),))
        await self.granted(bench, fresh, nano=100)

    async def test_late_settle_is_charged_to_the_window_it_was_admitted_in(self, bench):
        old = Scope(key="k", budgets=(money(100),))
        new = Scope(key="k", budgets=(money(100, window="day-2"),))
        ticket = await self.granted(bench, old, nano=50)
        await self.granted(bench, new, nano=10)
        await bench.store.settle(ticket, Used(cost_nano=50))
        assert await self.left(bench, old) == {"budget": 50}
        assert await self.left(bench, new) == {"budget": 90}

    async def test_money_is_exact_to_the_nano_dollar_at_large_amounts(self, bench):
        limit = 8_000_000 * USD + 1
        scope = Scope(key="k", budgets=(money(limit),))
        ticket = await self.granted(bench, scope, nano=limit)
        await bench.store.settle(ticket, Used(cost_nano=limit - 1))
        assert await self.left(bench, scope) == {"budget": 1}
        await self.refused(bench, scope, nano=2)
        await self.granted(bench, scope, nano=1)

    # What the ledger knows -------------------------------------------------------

    async def test_seed_counts_until_the_ledger_says_more(self, bench):
        scope = Scope(key="k", budgets=(money(100, spent=40),))
        ticket = await self.granted(bench, scope, nano=10)
        await bench.store.settle(ticket, Used(cost_nano=10))
        assert await self.left(bench, scope) == {"budget": 50}
        await bench.store.set_shipped(1, "day-1", total_nano=55, by_origin={})
        assert await self.left(bench, scope) == {"budget": 35}

    async def test_own_spending_is_not_counted_twice_once_shipped(self, bench):
        scope = Scope(key="k", budgets=(money(100),))
        ticket = await self.granted(bench, scope, nano=30)
        await bench.store.settle(ticket, Used(cost_nano=30))
        mine = bench.store.origin
        await bench.store.set_shipped(
            1, "day-1", total_nano=50, by_origin={mine: 30, "other": 20}
        )
        assert await self.left(bench, scope) == {"budget": 50}
        ticket = await self.granted(bench, scope, nano=5)
        await bench.store.settle(ticket, Used(cost_nano=5))
        assert await self.left(bench, scope) == {"budget": 45}

    async def test_ledger_may_know_more_of_an_origin_than_it_counted(self, bench):
        scope = Scope(key="k", budgets=(money(100),))
        mine = bench.store.origin
        await bench.store.set_shipped(1, "day-1", total_nano=70, by_origin={mine: 70})
        assert await self.left(bench, scope) == {"budget": 30}

    # Rates -------------------------------------------------------------------------

    async def test_rpm_refuses_after_its_burst_and_says_how_long(self, bench):
        scope = Scope(key="k", rpm=per_minute(60, burst=3))
        for _ in range(3):
            await self.granted(bench, scope)
        refusal = await self.refused(bench, scope)
        assert refusal.limit == "rpm"
        assert refusal.retry_after_s == pytest.approx(1.0, abs=1e-5)
        assert (refusal.used, refusal.allowed) == (3, 60)
        bench.clock.advance(refusal.retry_after_s)
        await self.granted(bench, scope)
        await self.refused(bench, scope)

    async def test_refused_calls_do_not_lengthen_the_wait(self, bench):
        scope = Scope(key="k", rpm=per_minute(60, burst=1))
        await self.granted(bench, scope)
        for _ in range(50):
            await self.refused(bench, scope)
        bench.clock.advance(1.0)
        await self.granted(bench, scope)

    async def test_settled_call_still_counts_in_its_rate(self, bench):
        scope = Scope(key="k", rpm=per_minute(2))
        for _ in range(2):
            await bench.store.settle(await self.granted(bench, scope), Used())
        await self.refused(bench, scope)

    async def test_released_call_counts_in_no_rate(self, bench):
        scope = Scope(
            key="k",
            rpm=per_minute(1),
            tpm=per_minute(100),
            concurrency=1,
            requests=RequestCount(limit=1, window_id="w"),
            budgets=(money(10),),
        )
        for _ in range(5):
            ticket = await self.granted(bench, scope, tokens=100, nano=10)
            assert await bench.store.release(ticket)
            assert not await bench.store.release(ticket)
            assert not await bench.store.settle(ticket, Used(cost_nano=10))
        assert await self.left(bench, scope) == {
            "rpm": 1,
            "tpm": 100,
            "concurrency": 1,
            "requests": 1,
            "budget": 10,
        }

    async def test_tokens_are_corrected_at_settle_in_both_directions(self, bench):
        scope = Scope(key="k", tpm=per_minute(1_000))
        ticket = await self.granted(bench, scope, tokens=1_000)
        await bench.store.settle(ticket, Used(tokens=300))
        assert await self.left(bench, scope) == {"tpm": 700}
        ticket = await self.granted(bench, scope, tokens=100)
        await bench.store.settle(ticket, Used(tokens=1_900))
        refusal = await self.refused(bench, scope, tokens=1)
        assert refusal.retry_after_s == pytest.approx((1_200 + 1) * 0.06, abs=1e-4)

    async def test_unreported_tokens_leave_the_estimate(self, bench):
        scope = Scope(key="k", tpm=per_minute(1_000))
        ticket = await self.granted(bench, scope, tokens=600)
        await bench.store.settle(ticket, Used(tokens=None))
        assert await self.left(bench, scope) == {"tpm": 400}

    async def test_call_above_the_token_burst_can_never_fit(self, bench):
        scope = Scope(key="k", tpm=per_minute(1_000))
        refusal = await self.refused(bench, scope, tokens=1_001)
        assert (refusal.limit, refusal.retry_after_s) == ("tpm", None)

    async def test_t55_corrected_token_rate_settles_on_the_limit(self, bench):
        scope = Scope(key="k", tpm=per_minute(60_000, burst=3_000))
        used = 0
        for step in range(600):
            answer = await bench.store.acquire(ask(scope, tokens=1_300))
            if isinstance(answer, Ticket):
                tokens = 700 + (step * 37) % 500
                used += tokens
                await bench.store.settle(answer, Used(tokens=tokens))
            bench.clock.advance(0.5)
        assert used / 300 == pytest.approx(1_000, rel=0.02)

    async def test_odd_rates_do_not_drift(self, bench):
        scope = Scope(key="k", rpm=Rate(7, 7))
        granted = 0
        for _ in range(700):
            answer = await bench.store.acquire(ask(scope))
            granted += isinstance(answer, Ticket)
            bench.clock.advance(1.0)
        assert abs(granted - (7 + 7 * 700 / 60)) <= 1

    async def test_t53_wall_clock_that_jumps_changes_no_rate(self, bench):
        if not self.follows_monotonic:
            pytest.skip("this store lives on its server's wall clock")
        scope = Scope(key="k", rpm=per_minute(1))
        await self.granted(bench, scope)
        for days in (1, -3):
            bench.clock.set_wall(bench.clock.now() + timedelta(days=days))
            refusal = await self.refused(bench, scope)
            assert refusal.retry_after_s == pytest.approx(60)

    follows_monotonic = True

    # Slots and counts --------------------------------------------------------------

    async def test_slots_are_taken_and_given_back(self, bench):
        scope = Scope(key="k", concurrency=2)
        first = await self.granted(bench, scope)
        await self.granted(bench, scope)
        refusal = await self.refused(bench, scope)
        assert (refusal.limit, refusal.used) == ("concurrency", 2)
        assert refusal.retry_after_s == BUSY_RETRY_S
        await bench.store.settle(first, Used())
        await self.granted(bench, scope)

    async def test_no_slots_at_all_is_refused_for_good(self, bench):
        refusal = await self.refused(bench, Scope(key="k", concurrency=0))
        assert refusal.retry_after_s is None

    async def test_requests_in_a_window_are_counted_until_it_ends(self, bench):
        end = bench.now_s() + 100
        count = RequestCount(limit=3, window_id="w1", used=1, ends_at=end)
        scope = Scope(key="k", requests=count)
        for _ in range(2):
            await bench.store.settle(await self.granted(bench, scope), Used())
        refusal = await self.refused(bench, scope)
        assert (refusal.limit, refusal.used, refusal.reset_at) == ("requests", 3, end)
        assert refusal.retry_after_s == pytest.approx(100, abs=0.01)
        fresh = RequestCount(limit=3, window_id="w2")
        await self.granted(bench, Scope(key="k", requests=fresh))

    # Leases --------------------------------------------------------------------------

    async def test_lease_that_ends_gives_back_slot_and_reservation(self, bench):
        scope = Scope(key="k", concurrency=1, budgets=(money(100),))
        await self.granted(bench, scope, nano=100)
        bench.clock.advance(bench.lease_s - 0.001)
        await self.refused(bench, scope, nano=100)
        bench.clock.advance(0.002)
        await self.granted(bench, scope, nano=100)

    async def test_renewed_lease_holds_on(self, bench):
        scope = Scope(key="k", concurrency=1, budgets=(money(100),))
        ticket = await self.granted(bench, scope, nano=100)
        for _ in range(6):
            bench.clock.advance(bench.lease_s * 0.5)
            assert await bench.store.renew(ticket)
        assert await self.left(bench, scope) == {"concurrency": 0, "budget": 0}

    async def test_renewing_one_lease_does_not_keep_another(self, bench):
        scope = Scope(key="k", concurrency=2)
        renewed = await self.granted(bench, scope)
        await self.granted(bench, scope)
        bench.clock.advance(bench.lease_s * 0.6)
        assert await bench.store.renew(renewed)
        bench.clock.advance(bench.lease_s * 0.6)
        assert await self.left(bench, scope) == {"concurrency": 1}

    async def test_id_used_again_after_its_lease_ended_counts_once(self, bench):
        scope = Scope(key="k", budgets=(money(100),))
        await self.granted(bench, scope, ticket="same", nano=30)
        bench.clock.advance(bench.lease_s + 1)
        ticket = await self.granted(bench, scope, ticket="same", nano=30)
        assert await bench.store.settle(ticket, Used(cost_nano=30))
        assert not await bench.store.settle(ticket, Used(cost_nano=30))
        assert await self.left(bench, scope) == {"budget": 70}

    async def test_ended_lease_cannot_be_renewed(self, bench):
        ticket = await self.granted(bench, Scope(key="k", concurrency=1))
        bench.clock.advance(bench.lease_s + 1)
        assert not await bench.store.renew(ticket)
        assert await self.left(bench, Scope(key="k", concurrency=1)) == {
            "concurrency": 1
        }

    async def test_settle_after_the_lease_ended_still_counts_once(self, bench):
        scope = Scope(key="k", concurrency=1, budgets=(money(100),))
        ticket = await self.granted(bench, scope, nano=50)
        bench.clock.advance(bench.lease_s + 1)
        other = await self.granted(bench, scope, nano=50)
        assert await bench.store.settle(ticket, Used(cost_nano=40))
        assert not await bench.store.settle(ticket, Used(cost_nano=40))
        assert await self.left(bench, scope) == {"concurrency": 0, "budget": 10}
        assert await bench.store.settle(other, Used(cost_nano=50))

    async def test_expired_tickets_can_be_swept(self, bench):
        scope = Scope(key="k", concurrency=5)
        for _ in range(5):
            await self.granted(bench, scope)
        assert await bench.store.free_expired() == 0
        bench.clock.advance(bench.lease_s + 1)
        await bench.store.free_expired()
        assert await self.left(bench, scope) == {"concurrency": 5}

    async def test_t52_thousands_of_lost_calls_leak_nothing(self, bench):
        scope = Scope(key="k", concurrency=100, budgets=(money(10_000),))
        for number in range(500):
            answer = await bench.store.acquire(ask(scope, nano=100))
            if isinstance(answer, Ticket) and number % 3:
                await bench.store.settle(answer, Used(cost_nano=0))
            bench.clock.advance(bench.lease_s / 50)
        bench.clock.advance(bench.lease_s + 1)
        assert await self.left(bench, scope) == {"concurrency": 100, "budget": 10_000}

    async def test_asking_twice_with_one_id_takes_once(self, bench):
        scope = Scope(key="k", rpm=per_minute(10), concurrency=9, budgets=(money(90),))
        wanted = ask(scope, nano=10)
        first = await bench.store.acquire(wanted)
        assert await bench.store.acquire(wanted) == first
        assert await self.left(bench, scope) == {
            "rpm": 9,
            "concurrency": 8,
            "budget": 80,
        }

    # All or nothing ---------------------------------------------------------------------

    @pytest.mark.parametrize(
        ("kind", "tight"),
        [
            ("rpm", {"rpm": per_minute(60, burst=1)}),
            ("tpm", {"tpm": per_minute(100)}),
            ("concurrency", {"concurrency": 1}),
            ("requests", {"requests": RequestCount(limit=1, window_id="w")}),
            ("budget", {"budgets": (money(50, budget_id=9),)}),
        ],
    )
    @pytest.mark.parametrize("is_last", [False, True])
    async def test_t51_refusal_by_one_limit_takes_nothing_of_the_others(
        self, bench, kind, tight, is_last
    ):
        roomy = {
            "rpm": per_minute(1_000),
            "tpm": per_minute(100_000),
            "concurrency": 100,
            "requests": RequestCount(limit=100, window_id="w"),
            "budgets": (money(10_000),),
        }
        narrow = Scope(key="narrow", **(roomy | tight))
        wide = Scope(key="wide", **(roomy | {"budgets": (money(9_000, budget_id=2),)}))
        scopes = (wide, narrow) if is_last else (narrow, wide)
        await self.granted(bench, *scopes, tokens=60, nano=40)
        before = [await bench.store.status(each) for each in scopes]
        for _ in range(3):
            refusal = await self.refused(bench, *scopes, tokens=60, nano=40)
            assert (refusal.limit, refusal.scope) == (kind, "narrow")
        after = [await bench.store.status(each) for each in scopes]
        assert after == before

    async def test_longest_wait_is_the_one_told(self, bench):
        slow = Scope(key="team", rpm=per_minute(1))
        fast = Scope(key="key", rpm=per_minute(60, burst=1))
        await self.granted(bench, fast, slow)
        refusal = await self.refused(bench, fast, slow)
        assert refusal.scope == "team"
        assert refusal.retry_after_s == pytest.approx(60, abs=0.001)

    async def test_ask_without_limits_is_granted(self, bench):
        ticket = await self.granted(bench, Scope(key="k"), nano=10**15, tokens=10**9)
        assert await bench.store.settle(ticket, Used(tokens=1, cost_nano=1))

    async def test_subjects_do_not_share_their_counts(self, bench):
        for name in ("a", "b"):
            scope = Scope(key=name, rpm=per_minute(1), concurrency=1)
            await self.granted(bench, scope)

    async def test_status_of_an_unused_scope_is_everything(self, bench):
        scope = Scope(
            key="new",
            rpm=per_minute(5),
            tpm=per_minute(50),
            concurrency=2,
            requests=RequestCount(limit=9, window_id="w", used=2),
            budgets=(money(100, spent=30),),
        )
        assert await self.left(bench, scope) == {
            "rpm": 5,
            "tpm": 50,
            "concurrency": 2,
            "requests": 7,
            "budget": 70,
        }

    async def test_status_says_when_a_limit_is_whole_again(self, bench):
        end = bench.now_s() + 50
        scope = Scope(key="k", rpm=per_minute(60), budgets=(money(100, ends_at=end),))
        await self.granted(bench, scope, nano=30)
        rate, budget = await bench.store.status(scope)
        assert rate.reset_s == pytest.approx(1.0, abs=1e-5)
        assert budget.reset_s == pytest.approx(50, abs=0.01)
        assert (budget.reserved, budget.budget_id) == (30, 1)
