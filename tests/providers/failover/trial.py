"""Put a cell on its stage, make its call through the real pipeline, say what came."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

import aiohttp

from tests.providers.failover.jumping import LoopClock
from tests.providers.failover.stage import ASKED, DEADLINES, Stage, Town, town
from tests.providers.failover.table import Cell, Cooling, Observed, Outcome
from tests.providers.proxy.pool import Answered, Pool, chat
from tests.upstream.server import SIGN_OF_LIFE
from usage.journal.records import Settle

_AT_ONCE: Final = 60


async def try_all(cells: Iterable[Cell]) -> dict[str, Observed]:
    """Try cells side by side; return what came of each, by its id."""
    gate = asyncio.Semaphore(_AT_ONCE)
    async with town() as there, aiohttp.ClientSession() as session:

        async def one(cell: Cell) -> tuple[str, Observed]:
            async with gate:
                return cell.id, await Trial(cell, there, session).run()

        return dict(await asyncio.gather(*(one(cell) for cell in cells)))


class Trial:
    """One cell on its stage."""

    def __init__(self, cell: Cell, there: Town, session: aiohttp.ClientSession) -> None:
        self.cell = cell
        self.stage = Stage(cell, there)
        self.session = session

    async def run(self) -> Observed:
        """Arrange, call, look."""
        clock = LoopClock(asyncio.get_running_loop())
        async with Pool(clock=clock) as pool:
            self.stage.furnish(pool)
            fields = {"stream": True} if self.cell.is_stream else {}
            began = clock.monotonic()
            answer = await pool.call(chat(ASKED, **fields))
            seconds = round(clock.monotonic() - began)
            outcome = self._outcome(pool, answer, await self._healthy(answer))
            attempts = len(outcome.trail)
            await pool.call(chat(ASKED, **fields))
            again = trail_of(self.stage, pool)[attempts:]
            left = self.stage.left_over(pool)
        could_serve = left is not None and await self._serves(*left)
        return Observed(replace(outcome, seconds=seconds, again=again), could_serve)

    async def _healthy(self, answer: Answered) -> bytes:
        """Ask for what the vendor that served says when it is well."""
        model = answer.header("x-pool-model") or self.stage.model
        vendor = self.stage.town.other
        spared = vendor.control.orders.pop(model, None)
        _, data = await self._ask(vendor.base_url, "sk-direct", model)
        if spared is not None:
            vendor.control.orders[model] = spared
        # A client reads the name it asked for.
        return data.replace(model.encode(), ASKED.encode())

    async def _serves(self, base_url: str, secret: str, model: str) -> bool:
        try:
            async with asyncio.timeout(DEADLINES.first_byte_s):
                status, data = await self._ask(base_url, secret, model)
        except (aiohttp.ClientError, TimeoutError):
            return False
        return status == 200 and b'"error"' not in data

    async def _ask(self, base_url: str, secret: str, model: str) -> tuple[int, bytes]:
        body = chat(model, **({"stream": True} if self.cell.is_stream else {}))
        url = base_url + "/chat/completions"
        headers = {"authorization": f"Bearer {secret}"}
        async with self.session.post(url, json=body, headers=headers) as response:
            return response.status, await response.read()

    def _outcome(
        self,
        pool: Pool,
        answer: Answered,
        healthy: bytes,
    ) -> Outcome:
        trail = trail_of(self.stage, pool)
        served_by = next((who for who, step in trail if step == "served"), "")
        error = told(answer.status or 0, answer.body)
        code = "" if error is None else str(error.get("code"))
        return Outcome(
            status=answer.status or 0,
            code=code,
            retry_after=answer.header("retry-after") or "",
            served_by=served_by,
            trail=trail,
            cooling=cooling_of(pool),
            broken=tuple(self._broken(pool, answer, error, healthy)),
        )

    def _broken(
        self,
        pool: Pool,
        answer: Answered,
        error: dict[str, Any] | None,
        healthy: bytes,
    ) -> Iterable[str]:
        """Name the promises that hold in every cell and did not in this one."""
        said = answer.body.replace(SIGN_OF_LIFE, b"")
        if answer.status == 200 and error is None and said != healthy:
            yield "a clean answer is the healthy vendor's, byte for byte"
        if not answer.is_complete:
            yield "every answer comes to an end"
        if error is not None and b"[DONE]" in answer.body:
            yield "a broken stream never ends cleanly"
        yield from leaks(self.stage, answer)
        yield from unsettled(pool)
        if error is not None and not self.cell.fault.is_verbatim:
            yield from _untold(pool, error)
        if self.stage.town.dead.impostor.heard:
            yield "an impostor is told nothing"


def leaks(stage: Stage, answer: Answered) -> Iterable[str]:
    """Look for secrets, and for the masks operators see them under."""
    shown = answer.body + repr(answer.headers).encode()
    for secret in stage.secrets.values():
        if secret.encode() in shown or f"…{secret[-4:]}".encode() in shown:
            yield "no secret and no mask reaches the client"
            return


def trail_of(stage: Stage, pool: Pool) -> tuple[tuple[str, str], ...]:
    """Return who was asked, how that ended and what followed."""
    return tuple((stage.name(each.target), _step(each)) for each in pool.attempts)


def _step(attempt: Any) -> str:
    """Return a failure's kind with the decision after it, or that it served."""
    if attempt.outcome == "ok":
        return str(attempt.decision)
    return f"{attempt.error_class}: {attempt.decision}"


def told(status: int, body: bytes) -> dict[str, Any] | None:
    """Return the error a client was told, also inside its stream."""
    if status != 200:
        error: dict[str, Any] = json.loads(body)["error"]
        return error
    for line in body.split(b"\n"):
        if line.startswith(b'data: {"error"'):
            inside: dict[str, Any] = json.loads(line[5:])["error"]
            return inside
    return None


def cooling_of(pool: Pool) -> tuple[Cooling, ...]:
    """Read the cooldowns in force, and from the journal how long each was opened for."""
    opened = {
        fact.key: round(fact.payload["until_s"] - fact.at_ns / 1e9)
        for fact in pool.facts
        if fact.kind == "cooldown" and fact.payload["until_s"] is not None
    }
    return tuple(
        Cooling(subject.partition(":")[0], state.reason, opened.get(subject, 0))
        for subject, state in sorted(pool.health.states().items())
    )


def unsettled(pool: Pool) -> Iterable[str]:
    """Compare the journal with itself: one close a call, one close an attempt."""
    closes = [each.request for each in pool.settles if each.request is not None]
    if len(closes) != 1:
        yield "a call is settled exactly once"
        return
    announced = [intent.attempt_id for intent in pool.intents]
    settled = [attempt.attempt_id for attempt in pool.attempts]
    if announced != settled or len(set(settled)) != len(settled):
        yield "an attempt is settled exactly once"
    if closes[0].attempts != len(settled):
        yield "a call's record counts its attempts"
    if not _is_billed(pool.settles):
        yield "a call costs what its attempts cost"


def _is_billed(settles: list[Settle]) -> bool:
    costs = [each.attempt.cost_nano or 0 for each in settles if each.attempt]
    request = next(each.request for each in settles if each.request)
    return (request.cost_nano or 0) == sum(costs)


def _untold(pool: Pool, error: dict[str, Any]) -> Iterable[str]:
    """Look for what an error of the pool must name."""
    if error.get("request_id") != pool.request.head.request_id:
        yield "an error names its request"
    tried = {attempt.target.provider_slug for attempt in pool.attempts}
    message = str(error.get("message"))
    if not all(f"{slug}:" in message for slug in tried):
        yield "an error lists what was tried"
