"""Serve every dialect, with faults, and log the truth.

Run it as a process (`python -m tests.upstream --port N --log FILE`) or inside a test:

    async with FaultUpstream() as upstream:
        ... upstream.base_url ... upstream.served ... upstream.control ...
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from pathlib import Path
from typing import Self

from tests.upstream.answer import Answer, Ask, Dialect, Segment
from tests.upstream.control import Control, Seen
from tests.upstream.dialects.anthropic import Messages
from tests.upstream.dialects.embeddings import GeminiEmbeddings, OllamaEmbeddings
from tests.upstream.dialects.gemini import GenerateContent
from tests.upstream.dialects.ollama import OllamaChat
from tests.upstream.dialects.openai_chat import ChatCompletions
from tests.upstream.dialects.openai_models import ModelList
from tests.upstream.dialects.openai_reply import hash_of
from tests.upstream.dialects.operations import OPERATIONS
from tests.upstream.dialects.responses import Responses
from tests.upstream.faults import Plan, bend, error_headers
from tests.upstream.http import ClientGoneError, Connection, Exchange
from tests.upstream.scenario import Scenario, UnknownScenarioError
from tests.upstream.truth import Served, TruthLog

DEFAULT_MODELS = ["gpt-test", "gpt-test-mini", "gpt-test-large"]
SIGN_OF_LIFE = b": still thinking\n\n"
_SIGN_OF_LIFE_S = 0.5
REQUEST_ID_HEADERS = ("x-pool-request-id", "x-request-id", "x-client-request-id")


class FaultUpstream:
    """One listening fault upstream.

    Shapes: served holds every finished call since the last reset, oldest first;
            control holds counts, orders and the requests as they arrived.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        log: Path | None = None,
        seed: int = 0,
        models: list[str] | None = None,
    ) -> None:
        self.host, self.port, self.seed = host, port, seed
        self.control = Control(seed=seed)
        self.models = ModelList(list(models or DEFAULT_MODELS))
        self.dialects: list[Dialect] = [
            ChatCompletions(),
            Responses(),
            Messages(),
            GenerateContent(),
            OllamaChat(),
            *(operation() for operation in OPERATIONS),
            GeminiEmbeddings(),
            OllamaEmbeddings(),
            self.models,
        ]
        self.served: list[Served] = []
        self._log = TruthLog(log)
        self._server: asyncio.Server | None = None
        self._connections: set[Connection] = set()

    @property
    def base_url(self) -> str:
        """Return the base URL in the OpenAI spelling, with /v1."""
        return f"http://{self.host}:{self.port}/v1"

    async def __aenter__(self) -> Self:
        """Start listening; port 0 picks a free one."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            self._connect, self.host, self.port, backlog=4_096
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop listening and drop what is open."""
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection.reset()
        # One turn of the loop lets the served tasks note their end in the log.
        await asyncio.sleep(0.01)
        self._log.close()

    async def serve_forever(self) -> None:
        """Serve until cancelled."""
        assert self._server is not None
        await self._server.serve_forever()

    def reset(self) -> None:
        """Forget counts, orders and finished calls."""
        self.control.reset()
        self.served.clear()

    async def wait_idle(self, *, within_s: float) -> None:
        """Wait until no call is being served. Errors: TimeoutError."""
        async with asyncio.timeout(within_s):
            while self.control.open:  # noqa: ASYNC110
                await asyncio.sleep(0.005)

    def _connect(self) -> Connection:
        connection = Connection(self._serve, self._connections.discard)
        self._connections.add(connection)
        return connection

    async def _serve(self, exchange: Exchange) -> None:
        if exchange.path.startswith("/_control"):
            await self._serve_control(exchange)
            return
        if exchange.path.startswith("/_canary"):
            self.control.canary_hits += 1
            await _send_json(exchange, 200, {"canary": True})
            return
        dialect = next(
            (d for d in self.dialects if d.matches(exchange.method, exchange.path)),
            None,
        )
        if dialect is None:
            answer = ChatCompletions().error(404, "", f"No route {exchange.path}")
            await _send_json(exchange, 404, json.loads(answer.segments[0].data))
            return
        await self._serve_call(exchange, dialect)

    async def _serve_call(self, exchange: Exchange, dialect: Dialect) -> None:
        key = _key_of(exchange)
        seen = Seen(
            exchange.method, exchange.target, exchange.headers, exchange.body, key
        )
        self.control.seen.append(seen)
        refused: Answer | None = None
        ask = Ask(model="", stream=False, prompt_tokens=0, payload={})
        try:
            ask = dialect.parse(exchange.path, exchange.body)
            header = exchange.header("x-fault")
            scenario = self.control.choose(key=key, model=ask.model, header=header)
        except UnknownScenarioError as exc:
            scenario = Scenario("unknown", {})
            refused = dialect.error(418, "", f"no such directive: {exc}")
        except ValueError as exc:
            scenario = Scenario("malformed", {})
            refused = dialect.error(400, "", str(exc))
        if not key:
            refused = dialect.error(401, "", "You did not provide an API key.")
        served = self._arrive(exchange, dialect, ask, key)
        served.scenario = scenario.spec
        seen.served = served
        answer = refused or self._answer(dialect, ask, scenario)
        plan = bend(answer, scenario, dialect, key, self.seed)
        await self._deliver(exchange, plan, answer, served)

    def _answer(self, dialect: Dialect, ask: Ask, scenario: Scenario) -> Answer:
        if scenario.status is not None:
            answer = dialect.error(scenario.status, scenario.detail, "")
            answer.headers += error_headers(scenario.detail)
            return answer
        seed = hash_of(ask.payload) if ask.payload else 0
        return dialect.answer(ask, scenario, random.Random(seed + self.seed))

    def _arrive(
        self, exchange: Exchange, dialect: Dialect, ask: Ask, key: str
    ) -> Served:
        control = self.control
        control.serial += 1
        control.open += 1
        control.by_key[key] += 1
        control.by_model[ask.model] += 1
        request_id = next(filter(None, map(exchange.header, REQUEST_ID_HEADERS)), "")
        if request_id:
            control.attempts[request_id] += 1
        served = Served(
            serial=control.serial,
            request_id=request_id,
            attempt=control.attempts[request_id] or 1,
            key=key,
            dialect=dialect.name,
            path=exchange.path,
            model=ask.model,
            scenario="",
            stream=ask.stream,
            prompt_tokens=ask.prompt_tokens,
            started_at=time.time(),
        )
        self._log.begin(served)
        return served

    async def _deliver(
        self, exchange: Exchange, plan: Plan, answer: Answer, served: Served
    ) -> None:
        try:
            await _write_plan(exchange, plan, served)
            served.ended = "cut" if plan.ending in ("rst", "fin") else "complete"
        except ClientGoneError:
            served.ended = "client_gone"
        except asyncio.CancelledError:
            served.ended = "upstream_stopped"
            raise
        finally:
            if served.usage_sent:
                served.usage = answer.usage
                details = (answer.usage or {}).get("prompt_tokens_details") or {}
                served.cached_tokens = details.get("cached_tokens", 0)
            served.ended_at = time.time()
            self.control.by_status[served.status] += 1
            self.control.by_ending[served.ended] += 1
            self.served.append(served)
            self._log.end(served)
            # Last: a test of another thread that sees nobody open reads all of it.
            self.control.open -= 1

    async def _serve_control(self, exchange: Exchange) -> None:
        action = exchange.path.removeprefix("/_control").strip("/")
        order = json.loads(exchange.body) if exchange.body else {}
        if exchange.method == "POST" and action == "reset":
            self.reset()
        elif exchange.method == "POST" and action == "scenario":
            self._order(order["target"], order.get("spec"))
        elif exchange.method == "POST" and action == "models":
            self.models.models = list(order["models"])
        await _send_json(exchange, 200, self.control.report())

    def _order(self, target: str, spec: str | None) -> None:
        if spec is None:
            self.control.orders.pop(target, None)
        else:
            self.control.orders[target] = spec


async def _write_plan(exchange: Exchange, plan: Plan, served: Served) -> None:
    if plan.silent:
        await exchange.wait_gone()
    if plan.slow_first_s:
        await _write_in_silence(exchange, plan, served)
    headers = [*plan.headers, ("x-request-id", f"req_{served.serial}")]
    served.status = plan.status
    await exchange.start(plan.status, headers, length=plan.length)
    for position, segment in enumerate(plan.segments):
        if plan.late_token_s and position == 1:
            await _dawdle(exchange, plan.late_token_s)
        if plan.gap_s and position and segment.data:
            await exchange.sleep(plan.gap_s)
        await exchange.send(segment.data)
        _credit(served, segment)
    if plan.ending == "stall":
        await exchange.wait_gone()
    elif plan.ending == "rst":
        exchange.connection.reset()
    elif plan.ending == "fin":
        exchange.connection.close()
    else:
        await exchange.finish()
        if plan.length is not None and plan.length > served.bytes:
            exchange.connection.close()


async def _write_in_silence(exchange: Exchange, plan: Plan, served: Served) -> None:
    """Keep the client waiting; a vendor charges what it had written when one leaves."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    try:
        await exchange.sleep(plan.slow_first_s)
    except ClientGoneError:
        share = min(1.0, (loop.time() - begun) / plan.slow_first_s)
        for segment in plan.segments:
            if not segment.data:
                served.completion_tokens += round(segment.tokens * share)
                served.reasoning_tokens += round(segment.reasoning_tokens * share)
        raise


async def _dawdle(exchange: Exchange, seconds: float) -> None:
    """Keep the client waiting for the first token, a stream with signs of life."""
    left = seconds
    while left > 0:
        if exchange.chunked:
            await exchange.send(SIGN_OF_LIFE)
        step = min(left, _SIGN_OF_LIFE_S)
        await exchange.sleep(step)
        left -= step


def _credit(served: Served, segment: Segment) -> None:
    served.bytes += len(segment.data)
    served.completion_tokens += segment.tokens
    served.reasoning_tokens += segment.reasoning_tokens
    served.usage_sent = served.usage_sent or segment.usage


def _key_of(exchange: Exchange) -> str:
    bearer = exchange.header("authorization")
    if bearer.lower().startswith("bearer "):
        return bearer[7:].strip()
    names = ("x-api-key", "x-goog-api-key", "api-key")
    return next(filter(None, map(exchange.header, names)), "")


async def _send_json(exchange: Exchange, status: int, body: object) -> None:
    data = json.dumps(body).encode()
    headers = [("content-type", "application/json")]
    await exchange.start(status, headers, length=len(data))
    await exchange.send(data)
