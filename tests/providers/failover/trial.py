"""Put a cell on its stage, make its call through the real pipeline, say what came."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import aiohttp

from providers.snapshot import types
from tests.providers.failover.hosts import Impostor, impostor, nameless, refusing
from tests.providers.failover.jumping import LoopClock
from tests.providers.failover.table import FIRST, Cell, Cooling, Observed, Outcome
from tests.providers.proxy.pool import Answered, Pool, chat
from tests.upstream.server import SIGN_OF_LIFE, FaultUpstream
from usage.journal.records import Settle

DEADLINES: Final = types.Timeouts(
    connect_s=2.0, first_byte_s=3.0, idle_s=3.0, total_s=60.0
)
ROUTING: Final = types.RoutingRecord(first_token_s=3.0)
ASKED: Final = "ask"
_AT_ONCE: Final = 60
SECRET: Final = "sk-{}-secret-of-{}-0123456789"


@dataclass(frozen=True)
class Town:
    """Two vendors that do as they are told, and one that is not who it says."""

    main: FaultUpstream
    other: FaultUpstream
    impostor: Impostor


@asynccontextmanager
async def town() -> AsyncIterator[Town]:
    """Start the vendors all cells share."""
    async with (
        FaultUpstream(seed=1) as main,
        FaultUpstream(seed=1) as other,
        impostor() as false,
    ):
        yield Town(main, other, false)


async def try_all(cells: Iterable[Cell]) -> dict[str, Observed]:
    """Try cells side by side; return what came of each, by its id."""
    gate = asyncio.Semaphore(_AT_ONCE)
    async with town() as there, aiohttp.ClientSession() as session:

        async def one(cell: Cell) -> tuple[str, Observed]:
            async with gate:
                return cell.id, await Trial(cell, there, session).run()

        return dict(await asyncio.gather(*(one(cell) for cell in cells)))


class Trial:
    """One cell: the pool it is tried on and the names of everybody in it."""

    def __init__(self, cell: Cell, there: Town, session: aiohttp.ClientSession) -> None:
        self.cell = cell
        self.town = there
        self.session = session
        self.model = f"a-{cell.id}"
        self.other_model = f"b-{cell.id}"
        self.secrets = {
            who: SECRET.format(cell.id, who.replace(" ", "-"))
            for who in (FIRST, "other key", "other account", "other provider")
        }
        self._who: dict[tuple[Any, ...], str] = {}

    async def run(self) -> Observed:
        """Arrange, call, look."""
        self._order()
        clock = LoopClock(asyncio.get_running_loop())
        async with Pool(clock=clock) as pool:
            self._furnish(pool)
            fields = {"stream": True} if self.cell.is_stream else {}
            began = clock.monotonic()
            answer = await pool.call(chat(ASKED, **fields))
            took_s = clock.monotonic() - began
            cooling = _cooling(pool)
            left = self._left_over(pool)
        healthy = await self._healthy(answer)
        outcome = self._outcome(pool, answer, cooling, healthy, round(took_s))
        return Observed(outcome, left is not None and await self._serves(*left))

    def _order(self) -> None:
        """Tell the vendors whom the fault strikes."""
        fault, spec = self.cell.fault, self.cell.scenario
        if fault.where == "host":
            return
        if fault.where == "request":
            struck = [self.model]
            if not fault.helped_by:
                struck.append(self.other_model)
        elif fault.where == "candidate" and self.cell.left == "other model":
            struck = [self.model]
        else:
            struck = [self.secrets[FIRST]]
        vendors = [self.town.main]
        if fault.where == "request":
            vendors.append(self.town.other)
        for vendor in vendors:
            for target in struck:
                vendor.control.orders[target] = spec

    def _furnish(self, pool: Pool) -> None:
        left = self.cell.left
        main = self._main_url()
        models: tuple[str, ...] = (self.model,)
        if left == "other model":
            models += (self.other_model,)
        first = pool.add_provider(
            main, models=models, slug="main", priority=90, timeouts=DEADLINES
        )
        credentials = [pool.credential(101, self.secrets[FIRST], main, priority=60)]
        if left == "other key":
            credentials.append(pool.credential(102, self.secrets[left], main))
        elif left == "other account":
            secret = self.secrets[left]
            account = pool.credential(103, secret, main, kind="account")
            credentials.append(account)
        pool.set_provider(first, credentials=tuple(credentials))
        targets = [types.TargetRecord(self.model)]
        if left in ("other provider", "other model elsewhere"):
            name = self.model if left == "other provider" else self.other_model
            pool.add_provider(
                self.town.other.base_url,
                models=(name,),
                secrets=(self.secrets["other provider"],),
                slug="other",
                timeouts=DEADLINES,
            )
        if left in ("other model", "other model elsewhere"):
            targets.append(types.TargetRecord(self.other_model))
        for row, model in pool.models.items():
            window = 200_000 if model.model_id == self.other_model else 8_000
            pool.models[row] = _with(model, context_window=window)
        pool.aliases[ASKED] = types.AliasRecord(ASKED, tuple(targets))
        pool.set(routing=ROUTING)

    def _main_url(self) -> str:
        if self.cell.fault.where != "host":
            return self.town.main.base_url
        hosts = {
            "refused": refusing(),
            "DNS": nameless(),
            "TLS": self.town.impostor.base_url,
        }
        return hosts[self.cell.fault.name]

    async def _healthy(self, answer: Answered) -> bytes:
        """Ask for what the vendor that served says when it is well."""
        model = answer.header("x-pool-model") or self.model
        vendor = self.town.other
        spared = vendor.control.orders.pop(model, None)
        _, data = await self._ask(vendor.base_url, "sk-direct", model)
        if spared is not None:
            vendor.control.orders[model] = spared
        # A client reads the name it asked for.
        return data.replace(model.encode(), ASKED.encode())

    def _left_over(self, pool: Pool) -> tuple[str, str, str] | None:
        """Return address, secret and model of whoever is left, None for nobody."""
        left = self.cell.left
        if left == "none":
            return None
        is_elsewhere = left in ("other provider", "other model elsewhere")
        provider = pool.providers[2 if is_elsewhere else 1]
        secret = self.secrets[FIRST]
        if left in self.secrets or is_elsewhere:
            secret = self.secrets["other provider" if is_elsewhere else left]
        is_other = left in ("other model", "other model elsewhere")
        model = self.other_model if is_other else self.model
        return provider.base_url, secret, model

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
        cooling: tuple[Cooling, ...],
        healthy: bytes,
        seconds: int,
    ) -> Outcome:
        trail = tuple(
            (self._name(attempt.target), _step(attempt)) for attempt in pool.attempts
        )
        served_by = next((who for who, step in trail if step == "served"), "")
        error = told(answer.status or 0, answer.body)
        code = "" if error is None else str(error.get("code"))
        return Outcome(
            status=answer.status or 0,
            code=code,
            retry_after=answer.header("retry-after") or "",
            served_by=served_by,
            trail=trail,
            cooling=cooling,
            seconds=seconds,
            broken=tuple(self._broken(pool, answer, error, healthy)),
        )

    def _name(self, target: Any) -> str:
        """Name a candidate in the words of the table."""
        if target.provider_slug == "other":
            return self.cell.left
        if target.upstream_model == self.other_model:
            return "other model"
        return {102: "other key", 103: "other account"}.get(target.credential_id, FIRST)

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
        yield from self._leaks(answer)
        yield from _unsettled(pool)
        if error is not None and not self.cell.fault.is_verbatim:
            yield from _untold(pool, error)
        if self.town.impostor.heard:
            yield "an impostor is told nothing"

    def _leaks(self, answer: Answered) -> Iterable[str]:
        told = answer.body + repr(answer.headers).encode()
        for secret in self.secrets.values():
            if secret.encode() in told or secret[-8:].encode() in told:
                yield "no secret and no mask reaches the client"
                return


def _with(record: types.ModelRecord, **changes: Any) -> types.ModelRecord:
    fields = {name: getattr(record, name) for name in record.__struct_fields__}
    return types.ModelRecord(**{**fields, **changes})


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


def _cooling(pool: Pool) -> tuple[Cooling, ...]:
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


def _unsettled(pool: Pool) -> Iterable[str]:
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
