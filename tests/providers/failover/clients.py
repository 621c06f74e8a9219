"""The same fate for clients of other dialects, whose upstream speaks OpenAI's."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from providers.snapshot import types
from tests.providers.failover.expected import CELLS, expected
from tests.providers.failover.jumping import LoopClock
from tests.providers.failover.stage import ASKED, Stage, Town, town
from tests.providers.failover.table import Cell, Cooling
from tests.providers.failover.trial import cooling_of, leaks, trail_of, unsettled
from tests.providers.proxy.pool import Answered, Pool
from tests.providers.proxy.voices import VOICES

CLIENTS: Final = ("responses", "anthropic", "google", "ollama")
_AT_ONCE: Final = 60
_OWN_STATUS: Final[dict[tuple[str, str], int]] = {
    ("anthropic", "insufficient_quota"): 402,
    ("anthropic", "server_is_overloaded"): 529,
    ("ollama", "insufficient_quota"): 402,
}
"""Where a dialect has a status of its own for what happened (reference wire 2.19)."""


@dataclass(frozen=True)
class Fate:
    """What a client and the trail saw; words are the dialect's, so only their shape.

    Shapes:  ``told`` served | error | error in the stream.
    """

    status: int
    told: str
    trail: tuple[tuple[str, str], ...]
    cooling: tuple[Cooling, ...]
    broken: tuple[str, ...] = ()


@dataclass(frozen=True)
class Crossing:
    """A cell asked by a client of a dialect."""

    client: str
    cell: Cell

    @property
    def id(self) -> str:
        """Return the name of its test."""
        return f"{self.client}-{self.cell.id}"


CROSSINGS: Final = tuple(
    Crossing(client, cell)
    for cell in CELLS
    for client in CLIENTS
    if cell.left in ("other provider", "none")
)


def fate(crossing: Crossing) -> Fate:
    """Return what shall come of a crossing: that of the cell, in other words."""
    outcome = expected(crossing.cell)
    told = "served" if outcome.served_by else "error"
    if told == "error" and outcome.status == 200:
        told = "error in the stream"
    own = (crossing.client, outcome.code)
    status = outcome.status if outcome.status == 200 else _OWN_STATUS.get(own, 0)
    return Fate(status or outcome.status, told, outcome.trail, outcome.cooling)


async def try_crossings(crossings: Iterable[Crossing]) -> dict[str, Fate]:
    """Try crossings side by side; return the fate of each, by its id."""
    gate = asyncio.Semaphore(_AT_ONCE)
    async with town() as there:

        async def one(crossing: Crossing) -> tuple[str, Fate]:
            async with gate:
                return crossing.id, await _try(crossing, there)

        return dict(await asyncio.gather(*map(one, crossings)))


async def _try(crossing: Crossing, there: Town) -> Fate:
    cell = crossing.cell
    stage = Stage(cell, there, crossing.client)
    voice = VOICES[crossing.client]
    async with Pool(clock=LoopClock(asyncio.get_running_loop())) as pool:
        stage.furnish(pool)
        answer = await voice.ask(pool, stream=cell.is_stream)
        cooling = cooling_of(pool)
    broken = [*leaks(stage, answer), *unsettled(pool)]
    told = _told(crossing, answer)
    if told == "served":
        healthy = await _healthy(crossing, there, answer.header("x-pool-model") or "")
        if _text(crossing, answer) != _text(crossing, healthy):
            broken.append("a clean answer says what the healthy vendor says")
    elif answer.status != 200 and not voice.error_message(answer.body):
        broken.append("an error has words")
    if answer.header("x-pool-request-id") is None:
        broken.append("an answer names its request")
    trail = trail_of(stage, pool)
    return Fate(answer.status or 0, told, trail, cooling, tuple(broken))


def _told(crossing: Crossing, answer: Answered) -> str:
    if answer.status != 200:
        return "error"
    if not crossing.cell.is_stream or VOICES[crossing.client].is_clean(answer.body):
        return "served"
    return "error in the stream"


def _text(crossing: Crossing, answer: Answered) -> str:
    voice = VOICES[crossing.client]
    if crossing.cell.is_stream:
        return voice.text(answer.body)
    return voice.whole_text(answer.body)


async def _healthy(crossing: Crossing, there: Town, model: str) -> Answered:
    """Ask the same of a pool whose only vendor is well."""
    async with Pool(clock=LoopClock(asyncio.get_running_loop())) as pool:
        pool.add_provider(there.other.base_url, models=(model,))
        target = types.TargetRecord(model)
        pool.aliases[ASKED] = types.AliasRecord(ASKED, (target,))
        pool.changed()
        return await VOICES[crossing.client].ask(pool, stream=crossing.cell.is_stream)
