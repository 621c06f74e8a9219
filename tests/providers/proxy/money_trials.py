"""Trials of money through the proxy, for tests and for ``make prove``."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass

from pricing.cost import PriceSpec
from providers.proxy.exchange import Message
from providers.snapshot.types import AliasRecord, BudgetRecord, TargetRecord
from tests.providers.proxy.pool import STREAM, Client, Pool, chat
from tests.upstream.server import FaultUpstream

CALL = 10_000_000
CHEAP = PriceSpec(input=0, output=0, per_request=CALL * 10**6)
DEAR = PriceSpec(input=0, output=0, per_request=10 * CALL * 10**6)


class Deserter(Client):
    """Leave after so many events: with the last text, before the usage can come."""

    def __init__(self, most: int) -> None:
        super().__init__([json.dumps(STREAM).encode()])
        self._most = most

    async def send(self, message: Message) -> None:
        await super().send(message)
        if b"".join(self.answer.pieces).count(b"data:") >= self._most:
            self.left.set()


@dataclass
class Abuse:
    """What streams dropped before their usage were billed (T54).

    Shapes:  ``streams`` really left early.
    """

    streams: int
    billed: int
    true: int
    unsettled: int

    @property
    def share(self) -> float:
        """Billed among true output tokens."""
        return self.billed / self.true


async def desert(upstream: FaultUpstream, *, streams: int, at_once: int = 40) -> Abuse:
    """Drop streams just before the chunk that states their usage."""
    upstream.control.orders["gpt-test"] = "len-60+chunks-20+gap-2"
    async with Pool(upstream.base_url) as pool:
        pool.set(max_in_flight=streams + 10)
        whole = await pool.call(STREAM)
        # Two end it: why it finished, and the mark of the end.
        texts = len(whole.events) - 2
        true = pool.attempts[0].usage.output_tokens
        pool.journal.records.clear()
        gate = asyncio.Semaphore(at_once)

        async def one() -> bool:
            async with gate:
                client, task = pool.start(STREAM, client=Deserter(texts))
                await task
            return not client.answer.is_complete

        left = await asyncio.gather(*(one() for _ in range(streams)))
        await pool.pipeline.finish(30.0)
        billed = [attempt.usage for attempt in pool.attempts]
        settled = {attempt.attempt_id for attempt in pool.attempts}
        asked = {intent.attempt_id for intent in pool.intents}
        return Abuse(
            sum(left),
            sum(usage.output_tokens or 0 for usage in billed if usage),
            true * streams,
            len(asked - settled) + len(pool.attempts) - len(settled),
        )


@dataclass
class Dearer:
    """What became of a budget whose fallback costs ten times as much.

    Shapes:  ``lost`` attempts were asked for and not settled, ``double`` settled twice.
    Units:   nano-USD; ``difference`` lies between the budget and the journal.
    """

    served: int
    refused: int
    spent: int
    limit: int
    difference: int
    lost: int
    double: int


async def fall_back_dearer(upstream: FaultUpstream, *, calls: int = 40) -> Dearer:
    """Let a cheap target fail and a dear one serve, in parallel, on a hard budget."""
    upstream.control.orders["gpt-test"] = "500"
    upstream.control.orders["gpt-dear"] = "ok"
    limit = 10 * CALL * (calls // 4)
    async with Pool() as pool:
        pool.add_provider(upstream.base_url, price=CHEAP, priority=90)
        pool.add_provider(
            upstream.base_url, price=DEAR, models=("gpt-dear",), priority=10
        )
        _join(pool)
        pool.budgets[1] = BudgetRecord(1, "key", limit, "total")
        pool.set_key(budget_ids=(1,))
        body = chat("either", max_tokens=10)
        answers = await asyncio.gather(*(pool.call(body) for _ in range(calls)))
        spent = sum(attempt.cost_nano or 0 for attempt in pool.attempts)
        charged = sum(
            nano for attempt in pool.attempts for _, _, nano in attempt.budget_deltas
        )
        held = pool.limits._windows[1, "total"]
        settled = [attempt.attempt_id for attempt in pool.attempts]
        asked = {intent.attempt_id for intent in pool.intents}
        return Dearer(
            sum(answer.status == 200 for answer in answers),
            sum(answer.status != 200 for answer in answers),
            spent,
            limit,
            abs(charged - spent) + abs(held.spent - spent) + held.reserved,
            len(asked - set(settled)),
            len(settled) - len(set(settled)),
        )


def _join(pool: Pool) -> None:
    targets = (TargetRecord("gpt-test"), TargetRecord("gpt-dear"))
    pool.aliases["either"] = AliasRecord("either", targets)
    pool.changed()
