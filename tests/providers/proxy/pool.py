"""A pipeline with real parts and a small ASGI client to talk to it.

One file above the usual size: whoever writes a test of the pipeline reads it whole, and
its halves (what a pool holds, how it is asked) know each other's every field.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

import msgspec

from poolsite.client_keys import new_client_key
from poolsite.clock import Clock, SystemClock
from poolsite.crypto import KeyRing, Peppers
from poolsite.destinations import Vetter
from poolsite.egress import UpstreamClient, tls_context
from poolsite.ids import uuid7
from pricing.cost import PriceSpec
from providers.formats import registry
from providers.proxy.exchange import Inbound, Message
from providers.proxy.pipeline import Pipeline
from providers.proxy.ports import Parts, Trust
from providers.routing.health import Health
from providers.routing.order import Turns
from providers.routing.pulse import Pulse
from providers.snapshot import types
from providers.snapshot.view import ClientKeys, Snapshot, Tables
from usage.bodies.spool import Raw
from usage.budgets.personal import SCOPES
from usage.journal.records import AttemptIntent, Fact, Record, Settle
from usage.limits.memory import MemoryLimits

FERNET = "x" * 43 + "="
PEPPER = "p" * 32
ROOT = "internal-root-of-the-tests"
PRICE = PriceSpec(input=1_000_000_000, output=2_000_000_000)
LOOPBACK = ("127.0.0.0/8",)
# Reading the system's certificates takes longer than most tests.
TLS = tls_context()


class MemoryJournal:
    """A journal in a list; ``fail`` makes it a full disk."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.is_open = True

    def append(self, record: Record) -> None:
        self.records.append(record)

    async def append_durable(self, record: Record) -> None:
        self.append(record)

    def can_admit(self) -> bool:
        return self.is_open


class Counted:
    """Metrics in lists."""

    def __init__(self) -> None:
        self.requests: list[Any] = []
        self.attempts: list[tuple[str, str]] = []
        self.strangers: list[str] = []
        self.flags: list[tuple[str, ...]] = []
        self.unpriced: list[tuple[str, str]] = []

    def request_finished(self, outcome: Any, **_: Any) -> None:
        self.requests.append(outcome)

    def attempt_finished(self, slug: str, outcome: str, *, seconds: float) -> None:
        self.attempts.append((slug, outcome))

    def stranger_refused(self, reason: str) -> None:
        self.strangers.append(reason)

    def usage_flagged(self, slug: str, flags: Any) -> None:
        self.flags.append(tuple(flags))

    def request_unpriced(self, slug: str, model: str) -> None:
        self.unpriced.append((slug, model))


class Bodies:
    """Where prompts and answers go that are to be kept."""

    def __init__(self) -> None:
        self.kept: list[Raw] = []

    def keep(self, raw: Raw) -> None:
        self.kept.append(raw)


class Tokens:
    """A token source that hands out one prepared token."""

    def __init__(self) -> None:
        self.newer: types.CredentialRecord | None = None
        self.asked: list[tuple[int, int]] = []

    async def refresh(
        self, account_id: int, *, seen_version: int
    ) -> types.CredentialRecord | None:
        self.asked.append((account_id, seen_version))
        return self.newer


@dataclass
class Answered:
    """What a client saw."""

    status: int | None = None
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    pieces: list[bytes] = field(default_factory=list)
    is_complete: bool = False

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> Any:
        return self.json["error"]

    def header(self, name: str) -> str | None:
        wanted = name.encode()
        return next((v.decode() for n, v in self.headers if n == wanted), None)

    @property
    def events(self) -> list[Any]:
        lines = [
            line for line in self.body.decode().splitlines() if line[:5] == "data:"
        ]
        payloads = [line[5:].strip() for line in lines]
        return [json.loads(p) if p != "[DONE]" else p for p in payloads]


class Client:
    """One ASGI call: feed it a body, take what comes, leave when told to."""

    def __init__(self, parts: list[bytes], *, slow: float = 0.0) -> None:
        self._parts = parts
        self._slow = slow
        self.left = asyncio.Event()
        self.answer = Answered()
        self.received = 0
        self.sent_after_leaving = 0
        self.wrote = asyncio.Event()
        self.stall = False

    async def receive(self) -> Message:
        if self._parts:
            if self._slow:
                await asyncio.sleep(self._slow)
            part = self._parts.pop(0)
            self.received += len(part)
            return {
                "type": "http.request",
                "body": part,
                "more_body": bool(self._parts),
            }
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if self.left.is_set():
            self.sent_after_leaving += 1
            return
        if message["type"] == "http.response.start":
            self.answer.status = message["status"]
            self.answer.headers = list(message["headers"])
            return
        if message.get("body"):
            self.answer.pieces.append(bytes(message["body"]))
            self.wrote.set()
        if not message.get("more_body", False):
            self.answer.is_complete = True
        if self.stall:
            await asyncio.sleep(3600)


class Pool:
    """Everything a pipeline needs, and what it did.

    Shapes:  ``key`` is the client key in clear; records are replaced by ``set_*`` and
             take effect with the next call.
    """

    def __init__(self, *base_urls: str, clock: Clock | None = None) -> None:
        self.clock = clock or SystemClock()
        self.journal = MemoryJournal()
        self.metrics = Counted()
        self.bodies = Bodies()
        self.tokens = Tokens()
        self.health = Health(self.clock)
        self.limits = MemoryLimits(self.clock, origin="test")
        self.ring = KeyRing([FERNET])
        self.peppers = Peppers([PEPPER])
        self.keys: dict[str, types.ClientKeyRecord] = {}
        self.settings = types.SettingsRecord(keepalive_after_s=0.0)
        self.providers: dict[int, types.ProviderRecord] = {}
        self.models: dict[int, types.ModelRecord] = {}
        self.aliases: dict[str, types.AliasRecord] = {}
        self.budgets: dict[int, types.BudgetRecord] = {}
        self.turns = Turns()
        self.pulse = Pulse()
        self.version = 1
        self.key = self.add_key()
        for number, url in enumerate(base_urls, 1):
            self.add_provider(url, priority=100 - number)
        self.client = UpstreamClient(Vetter(LOOPBACK), tls=TLS)
        self.pipeline = Pipeline(
            Parts(
                snapshot=self.snapshot,
                limits=self.limits,
                journal=self.journal,
                tokens=self.tokens,
                health=self.health,
                client=self.client,
                ring=self.ring,
                trust=Trust(self.peppers, ROOT, self.clock),
                metrics=self.metrics,
                clock=self.clock,
                pulse=self.pulse,
                bodies=self.bodies,
            )
        )
        self._snapshot: Snapshot | None = None

    async def __aenter__(self) -> Pool:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.pipeline.finish(1.0)
        await self.client.aclose()

    def add_key(self, **changes: Any) -> str:
        """Add a client key and return it in clear."""
        made = new_client_key()
        text = made.key.reveal()
        pepper_id, digest = self.peppers.digest(text)
        number = len(self.keys) + 1
        self.keys[made.public_id] = types.ClientKeyRecord(
            id=number,
            public_id=made.public_id,
            digest=digest,
            pepper_id=pepper_id,
            name=f"key {number}",
            **changes,
        )
        self._snapshot = None
        return text

    def set_key(self, **changes: Any) -> None:
        """Change the first key."""
        public_id = self.key[3:11]
        self.keys[public_id] = msgspec.structs.replace(self.keys[public_id], **changes)
        self.changed()

    def set(self, **changes: Any) -> None:
        """Change the settings."""
        self.settings = msgspec.structs.replace(self.settings, **changes)
        self.changed()

    def set_provider(self, number: int, **changes: Any) -> None:
        self.providers[number] = msgspec.structs.replace(
            self.providers[number], **changes
        )
        self.changed()

    def credential(
        self, number: int, secret: str, base_url: str, **changes: Any
    ) -> types.CredentialRecord:
        """Make a credential, sealed for its origin."""
        origin = base_url.rpartition("/v1")[0]
        context = f"api_key:{number}:secret"
        return types.CredentialRecord(
            **{
                "id": number,
                "kind": "api_key",
                "label": f"c{number}",
                "mask": f"sk-…{secret[-4:]}",
                "token": self.ring.seal(secret, context=context, origin=origin).token,
                "context": context,
                "origin": origin,
                **changes,
            }
        )

    def add_provider(
        self,
        base_url: str,
        *,
        secrets: tuple[str, ...] = (),
        models: tuple[str, ...] = ("gpt-test",),
        price: PriceSpec | None = PRICE,
        **changes: Any,
    ) -> int:
        """Add a provider with its keys and models; return its id."""
        number = len(self.providers) + 1
        secrets = secrets or (f"sk-test-key-of-provider-{number}-0001",)
        self.providers[number] = types.ProviderRecord(
            **{
                "id": number,
                "slug": f"p{number}",
                "name": f"P{number}",
                "format": "openai",
                "base_url": base_url,
                "origin": base_url.rpartition("/v1")[0],
                "location": "cloud",
                "priority": 50,
                "credentials": tuple(
                    self.credential(number * 10 + place, secret, base_url)
                    for place, secret in enumerate(secrets)
                ),
                **changes,
            }
        )
        for name in models:
            row = len(self.models) + 1
            self.models[row] = types.ModelRecord(
                id=row,
                provider_id=number,
                model_id=name,
                price=price,
                price_version_id=7 if price else None,
                price_source="book" if price else "unknown",
            )
        self.changed()
        return number

    def changed(self) -> None:
        self.version += 1
        self._snapshot = None

    def snapshot(self) -> Snapshot:
        if self._snapshot is None:
            raw = {name: msgspec.json.encode(key) for name, key in self.keys.items()}
            tables = Tables(
                self.settings,
                self.providers,
                self.models,
                self.aliases,
                self.budgets,
                {n: each for n, each in self.budgets.items() if each.scope in SCOPES},
            )
            made = Snapshot(ClientKeys(raw), tables, None, self.turns)
            made_at = self.clock.time_ns() / 1e9
            self._snapshot = made.at_version(self.version, made_at)
        return self._snapshot

    def inbound(self, headers: dict[str, str], **changes: Any) -> Inbound:
        """Make what the door would make of a request."""
        pairs = [(n.lower().encode(), v.encode()) for n, v in headers.items()]
        pairs += changes.pop("more_headers", [])
        return Inbound(
            **{
                "request_id": str(uuid7(self.clock)),
                "received_at_ns": self.clock.time_ns(),
                "received_at": self.clock.monotonic(),
                "method": "POST",
                "path": "/v1/chat/completions",
                "query": b"",
                "headers": pairs,
                "fields": dict(pairs),
                "peer": "127.0.0.1",
                "wire": registry.get("openai"),
                "op": "chat",
                **changes,
            }
        )

    def start(
        self,
        body: Any,
        *,
        headers: dict[str, str] | None = None,
        client: Client | None = None,
        **changes: Any,
    ) -> tuple[Client, asyncio.Task[None]]:
        """Start a call and return its client and its task."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        client = client or Client([data])
        if headers is None:
            headers = {"authorization": f"Bearer {self.key}"}
        inbound = self.inbound(headers, **changes)
        task = asyncio.get_running_loop().create_task(
            self.pipeline.handle(inbound, client.receive, client.send)
        )
        return client, task

    async def call(self, body: Any = None, **options: Any) -> Answered:
        """Make a call and wait for its end."""
        client, task = self.start(CHAT if body is None else body, **options)
        async with asyncio.timeout(20):
            await task
        return client.answer

    async def sent(self) -> None:
        """Wait until an attempt was announced."""
        while not self.intents:  # noqa: ASYNC110 - the journal has no events
            await asyncio.sleep(0.005)

    @property
    def settles(self) -> list[Settle]:
        return [r for r in self.journal.records if isinstance(r, Settle)]

    @property
    def request(self) -> Settle:
        """The one settle that closes a request."""
        found = [s for s in self.settles if s.request is not None]
        assert len(found) == 1, found
        return found[0]

    @property
    def intents(self) -> list[AttemptIntent]:
        return [r for r in self.journal.records if isinstance(r, AttemptIntent)]

    @property
    def attempts(self) -> list[Any]:
        return [s.attempt for s in self.settles if s.attempt is not None]

    @property
    def decisions(self) -> list[str]:
        return [attempt.decision for attempt in self.attempts]

    @property
    def facts(self) -> list[Fact]:
        return [r for r in self.journal.records if isinstance(r, Fact)]


def chat(model: str = "gpt-test", **fields: Any) -> dict[str, Any]:
    return {
        "model": model,
        "messages": [{"role": "user", "content": "Hello"}],
        **fields,
    }


CHAT = chat()
STREAM = chat(stream=True)
