"""Try cells on the whole running product: its processes, its database, real time.

A cell has providers, keys and models of its own, so that many are tried one after
another on one installation. Each call waits as long as a client would.
"""

from __future__ import annotations

import json
import re
import sqlite3
import time
import uuid
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from tests.providers.failover.stage import SECRET
from tests.providers.failover.table import FIRST, Cell, Cooling, Outcome
from tests.providers.failover.trial import told
from tests.providers.proxy.pool import chat
from tests.rig.driver import Outcome as Seen
from tests.rig.plain import Reply, call
from tests.rig.stage import Scene
from tests.rig.upstream import UpstreamProcess
from tests.upstream.server import SIGN_OF_LIFE

DEADLINES: Final = {"connect_s": 1.5, "first_byte_s": 1.5, "idle_s": 1.5}
FIRST_TOKEN_S: Final = 1.5
CLIENT: Final = "client"
_AT_ONCE: Final = 6
_ELSEWHERE: Final = ("other provider", "other model elsewhere")
_OTHER_MODEL: Final = ("other model", "other model elsewhere")
_TRAIL: Final = """
    select p.value, m.value, c.value, o.value, e.value, d.value
    from usage_attempt a
    left join usage_dimension p on p.id = a.provider_dim
    left join usage_dimension m on m.id = a.model_dim
    left join usage_dimension c on c.id = a.credential_dim
    left join usage_dimension o on o.id = a.outcome_dim
    left join usage_dimension e on e.id = a.error_dim
    left join usage_dimension d on d.id = a.decision_dim
    where a.request_id = ? order by a.number
"""
_COOLDOWNS: Final = """
    select f.key, f.payload from providers_fact f
    left join providers_providermodel m on f.key = 'model:' || m.id
    join providers_provider p
      on p.id = coalesce(m.provider_id, json_extract(f.payload, '$.provider_id'))
    where f.kind = 'cooldown' and p.slug = ?
"""

Town = Scene[UpstreamProcess]


@dataclass(frozen=True)
class Tried:
    """A cell, what the client saw and what came of it."""

    cell: Cell
    seen: Seen
    outcome: Outcome


class Street:
    """The names of one cell in a product it shares with others."""

    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        self.slug = re.sub(r"[^a-z0-9]+", "-", cell.id.lower())
        self.models = (f"a-{self.slug}", f"b-{self.slug}")
        self.asked = f"ask-{self.slug}"
        self.first = SECRET.format(self.slug, FIRST)
        self.left = SECRET.format(self.slug, cell.left.replace(" ", "-"))

    def arrange(self, scene: Town, dead: dict[str, str]) -> None:
        """Ask for providers and alias, and tell the vendor whom the fault strikes."""
        left = self.cell.left
        models = list(self.models) if left == "other model" else [self.models[0]]
        keys = [self.first, self.left] if left == "other key" else [self.first]
        scene.provider(
            self.slug,
            models=models,
            api_keys=keys,
            base_url=self._host(dead),
            priority=90,
            timeouts=DEADLINES,
        )
        if left == "other account":
            scene.account(self.slug, self.left)
        targets = [f"{self.slug}/{model}" for model in models]
        if left in _ELSEWHERE:
            model = self.models[left in _OTHER_MODEL]
            other = f"{self.slug}-other"
            # Another name for the same machine is another host to the pool.
            url = scene.upstream.base_url.replace("127.0.0.1", "localhost")
            scene.provider(
                other,
                models=[model],
                api_keys=[self.left],
                base_url=url,
                timeouts=DEADLINES,
            )
            targets.append(f"{other}/{model}")
        scene.alias(self.asked, *targets)
        for model, tokens in zip(self.models, (8_000, 200_000), strict=True):
            scene.window(model, tokens)
        for target in self._struck():
            scene.upstream.order(target, self.cell.scenario)

    def ask(self, scene: Town) -> tuple[Reply, bytes]:
        """Make the call; return it with what the healthy vendor says itself."""
        body = chat(self.asked, **({"stream": True} if self.cell.is_stream else {}))
        url = scene.product.url + "/chat/completions"
        reply = call(url, scene.keys[CLIENT], body, timeout_s=60)
        served = reply.headers.get("x-pool-model", "")
        if told(reply.status, reply.body) is not None:
            return reply, b""
        # The direct call has a key of its own, and no model that served is struck still.
        body["model"] = served
        direct = call(f"{scene.upstream.base_url}/chat/completions", "sk-direct", body)
        return reply, direct.body.replace(served.encode(), self.asked.encode())

    def who(self, provider: str, model: str, credential: str, first: str) -> str:
        """Name a candidate in the words of the table."""
        if provider.endswith("-other") or model == self.models[1]:
            return self.cell.left
        return FIRST if credential == first else self.cell.left

    def _host(self, dead: dict[str, str]) -> str:
        fault = self.cell.fault
        return dead[fault.name] if fault.where == "host" else ""

    def _struck(self) -> Iterable[str]:
        fault = self.cell.fault
        if fault.where == "host":
            return ()
        if fault.where == "request":
            return self.models[:1] if fault.helped_by else self.models
        if fault.where == "candidate" and self.cell.left == "other model":
            return self.models[:1]
        return (self.first,)


def arrange(scene: Town, cells: Iterable[Cell], dead: dict[str, str]) -> list[Street]:
    """Prepare the product for cells; it is not started yet."""
    streets = [Street(cell) for cell in cells]
    for street in streets:
        street.arrange(scene, dead)
    scene.price("*", input_usd="3", output_usd="15")
    scene.setting(keepalive_after_s=0)
    scene.routing(first_token_s=FIRST_TOKEN_S)
    scene.key(CLIENT)
    return streets


def try_streets(scene: Town, streets: list[Street]) -> list[Tried]:
    """Make every call, some side by side, and read what was recorded of each."""
    with ThreadPoolExecutor(_AT_ONCE) as hands:
        return list(hands.map(lambda street: _try(scene, street), streets))


def _try(scene: Town, street: Street) -> Tried:
    reply, healthy = street.ask(scene)
    wait_recorded(scene.product.database, reply.request_id)
    # At once: a short cooldown is over soon, and its row is swept up.
    cooling = tuple(_cooldowns(scene.product.database, street.slug))
    return _tried(scene, street, reply, healthy, cooling)


def wait_recorded(database: Path, request_id: str, *, within_s: float = 15) -> None:
    """Wait until a request stands in the ledger. Errors: TimeoutError."""
    deadline = time.monotonic() + within_s
    wanted = uuid.UUID(request_id).hex
    while not _rows(database, "select 1 from usage_request where id = ?", wanted):
        if time.monotonic() > deadline:
            raise TimeoutError(f"the ledger lacks {request_id}")
        time.sleep(0.05)


def _tried(
    scene: Town, street: Street, reply: Reply, healthy: bytes, cooling: tuple[Any, ...]
) -> Tried:
    error = told(reply.status, reply.body)
    rows = _rows(scene.product.database, _TRAIL, uuid.UUID(reply.request_id).hex)
    trail = tuple(_steps(street, rows))
    outcome = Outcome(
        status=reply.status,
        code="" if error is None else str(error.get("code")),
        retry_after=reply.headers.get("retry-after", ""),
        served_by=next((who for who, step in trail if step == "served"), ""),
        trail=trail,
        cooling=cooling,
        broken=tuple(_broken(street, reply, error, healthy)),
    )
    stream = street.cell.is_stream
    seen = Seen(street.asked, stream, reply.status, reply.request_id)
    seen.complete = reply.status == 200 and error is None
    return Tried(street.cell, seen, outcome)


def _steps(street: Street, rows: list[tuple[Any, ...]]) -> Iterable[tuple[str, str]]:
    for provider, model, credential, ended, error, decision in rows:
        who = street.who(provider, model, credential, rows[0][2])
        yield who, decision if ended == "ok" else f"{error}: {decision}"


def _broken(
    street: Street, reply: Reply, error: dict[str, Any] | None, healthy: bytes
) -> Iterable[str]:
    said = reply.body.replace(SIGN_OF_LIFE, b"")
    if reply.status == 200 and error is None and said != healthy:
        yield "a clean answer is the healthy vendor's, byte for byte"
    if error is not None and b"[DONE]" in reply.body:
        yield "a broken stream never ends cleanly"
    shown = reply.body + repr(reply.headers).encode()
    if any(_is_shown(secret, shown) for secret in (street.first, street.left)):
        yield "no secret and no mask reaches the client"
    is_own = error is not None and not street.cell.fault.is_verbatim
    if is_own and error is not None and error.get("request_id") != reply.request_id:
        yield "an error names its request"


def _is_shown(secret: str, shown: bytes) -> bool:
    return secret.encode() in shown or f"…{secret[-4:]}".encode() in shown


def _cooldowns(database: Path, slug: str) -> Iterable[Cooling]:
    """Read what is left alone of a provider; how long is the pipeline's own table."""
    for key, payload in _rows(database, _COOLDOWNS, slug):
        yield Cooling(key.partition(":")[0], json.loads(payload)["reason"], 0)


def without_times(outcome: Outcome) -> Outcome:
    """Return an expected outcome without times and without the second call."""
    cooling = tuple(replace(each, seconds=0) for each in outcome.cooling)
    return replace(outcome, cooling=cooling, seconds=0, again=())


def _rows(database: Path, query: str, *values: Any) -> list[tuple[Any, ...]]:
    address = f"file:{database}?mode=ro"
    with closing(sqlite3.connect(address, uri=True, timeout=10)) as connection:
        return connection.execute(query, values).fetchall()
