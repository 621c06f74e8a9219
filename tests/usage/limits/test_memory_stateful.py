"""Random lives of tickets against a ledger kept by hand (T46)."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from poolsite.clock import ManualClock
from usage.limits.contract import Ask, Budget, Refusal, Scope, Ticket, Used
from usage.limits.gcra import per_minute
from usage.limits.memory import MemoryLimits

LEASE_S = 60


def call(coroutine):
    """Run a method of the store, none of which ever waits."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("The store awaited inside a step.")


class Life(RuleBasedStateMachine):
    """Reserve, settle, expire, crash, ship, roll windows and change limits.

    Every call costs at most its reservation, so a hard budget may never be exceeded,
    except where the owner lowers its limit below what is committed.
    """

    tickets = Bundle("tickets")

    @initialize(limit=st.integers(0, 2_000), seed=st.integers(0, 300))
    def begin(self, limit, seed):
        self.clock = ManualClock()
        self.store = MemoryLimits(self.clock, origin="me", lease_s=LEASE_S)
        self.limit = limit
        self.slots = 5
        self.day = 1
        self.ledger = {1: seed}
        self.shipped = {1: seed}
        self.mine = {1: 0}
        self.seeds = {1: seed}
        self.open = {}
        self.number = 0
        self.was_lowered = seed > limit

    def scope(self):
        budget = Budget(
            budget_id=1,
            window_id=str(self.day),
            limit_nano=self.limit,
            spent_nano=self.seeds[self.day],
        )
        return Scope(
            key="k", rpm=per_minute(10**6), concurrency=self.slots, budgets=(budget,)
        )

    def alive(self):
        now = self.clock.monotonic()
        return {k: v for k, v in self.open.items() if v[1] > now}

    def held(self, day):
        return sum(nano for nano, _, d in self.alive().values() if d == day)

    @rule(target=tickets, nano=st.integers(0, 400))
    def acquire(self, nano):
        self.number += 1
        fits = nano == 0 or self.spent() + self.held(self.day) + nano <= self.limit
        has_slot = len(self.alive()) < self.slots
        ask = Ask(ticket_id=str(self.number), scopes=(self.scope(),), reserve_nano=nano)
        answer = call(self.store.acquire(ask))
        assert isinstance(answer, Ticket) == (fits and has_slot)
        if isinstance(answer, Refusal):
            assert answer.retry_after_s is None or answer.retry_after_s > 0
            return multiple()
        self.open[answer.id] = (nano, self.clock.monotonic() + LEASE_S, self.day)
        return answer

    def spent(self):
        return self.ledger[self.day]

    @rule(ticket=consumes(tickets), share=st.integers(0, 100), times=st.integers(1, 3))
    def settle(self, ticket, share, times):
        nano, _, day = self.open.pop(ticket.id)
        cost = nano * share // 100
        answers = [
            call(self.store.settle(ticket, Used(cost_nano=cost))) for _ in range(times)
        ]
        assert answers == [True] + [False] * (times - 1)
        self.ledger[day] += cost
        self.mine[day] += cost

    @rule(ticket=consumes(tickets))
    def release(self, ticket):
        assert call(self.store.release(ticket))
        del self.open[ticket.id]

    @rule(ticket=tickets, more=st.integers(-50, 200))
    def re_reserve(self, ticket, more):
        if ticket.id not in self.alive():
            return
        nano, ends, day = self.open[ticket.id]
        wanted = max(0, nano + more)
        others = self.held(day) - nano
        limit = ticket.ask.scopes[0].budgets[0].limit_nano
        fits = wanted <= nano or self.ledger[day] + others + wanted <= limit
        answer = call(self.store.re_reserve(ticket, wanted))
        assert isinstance(answer, Ticket) == fits
        if fits:
            self.open[ticket.id] = (wanted, ends, day)

    @rule(ticket=tickets)
    def renew(self, ticket):
        is_alive = ticket.id in self.alive()
        assert call(self.store.renew(ticket)) == is_alive
        if is_alive:
            nano, _, day = self.open[ticket.id]
            self.open[ticket.id] = (nano, self.clock.monotonic() + LEASE_S, day)

    @rule(seconds=st.sampled_from([0.001, 1, 20, 61]))
    def wait(self, seconds):
        had = len(self.open)
        expiring = self.open.keys() - self.alive().keys()
        self.clock.advance(seconds)
        # A call that outlived its lease may settle beyond what the budget holds now.
        self.was_lowered |= len(self.alive()) < had - len(expiring)

    @rule()
    def ship(self):
        """The keeper ships everything and tells the store, twice for good measure."""
        for day, total in self.ledger.items():
            for _ in range(2):
                call(
                    self.store.set_shipped(
                        1,
                        str(day),
                        total_nano=total,
                        by_origin={"me": self.mine[day]},
                    )
                )

    @rule(nano=st.integers(0, 100))
    def spend_elsewhere(self, nano):
        """Another process's spending arrives through the ledger."""
        self.ledger[self.day] += nano
        self.was_lowered |= nano > 0
        self.ship()

    @precondition(lambda self: self.day < 4)
    @rule()
    def roll_window(self):
        self.day += 1
        for table in (self.ledger, self.mine, self.seeds):
            table[self.day] = 0
        self.was_lowered = False

    @rule(limit=st.integers(0, 2_000), slots=st.integers(1, 6))
    def change_limits(self, limit, slots):
        self.was_lowered |= limit < self.limit
        self.limit, self.slots = limit, slots

    @invariant()
    def counts_equal_the_ledger(self):
        (_, slots, budget) = call(self.store.status(self.scope()))
        spent, held = self.spent(), self.held(self.day)
        assert budget.reserved == held >= 0
        assert budget.remaining == max(0, self.limit - spent - held)
        assert slots.remaining == max(0, self.slots - len(self.alive()))
        if not self.was_lowered:
            assert spent + held <= self.limit


def test_t46_random_lives_of_tickets_keep_the_books():
    run_state_machine_as_test(
        Life, settings=settings(max_examples=200, stateful_step_count=50, deadline=None)
    )


@pytest.mark.long
def test_t46_long_random_lives_of_tickets_keep_the_books():
    run_state_machine_as_test(
        Life,
        settings=settings(max_examples=400, stateful_step_count=200, deadline=None),
    )
