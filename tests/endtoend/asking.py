"""Ask the product plainly and keep what came of it for the comparison of ledgers."""

from __future__ import annotations

import sqlite3
import time
import uuid
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from tests.rig.driver import Outcome
from tests.rig.ledger import AttemptRow, RequestRow
from tests.rig.plain import Reply, call
from tests.rig.product import DEFAULT_API_KEY
from tests.rig.stage import Scene
from tests.rig.thread import UpstreamThread

MESSAGES = [{"role": "user", "content": "Tell me about the harbour."}]
Town = Scene[UpstreamThread]


@dataclass
class Asker:
    """One client of a running product."""

    town: Town
    key: str = "client"
    outcomes: list[Outcome] = field(default_factory=list)

    def ask(self, model: str, *, stream: bool = False, **request: Any) -> Reply:
        """Make a call through the pool."""
        body = {"model": model, "messages": MESSAGES, **request}
        if stream:
            body["stream"] = True
        url = self.town.product.url + "/chat/completions"
        reply = call(url, self.town.keys[self.key], body)
        outcome = Outcome(model, stream, reply.status)
        outcome.request_id = reply.headers.get("x-pool-request-id", "")
        outcome.complete = not stream or is_clean_end(reply.body)
        self.outcomes.append(outcome)
        return reply

    def ask_directly(self, model: str, *, stream: bool = False) -> Reply:
        """Make the same call without the pool, by the name a healthy model has."""
        body: dict[str, Any] = {"model": model, "messages": MESSAGES}
        if stream:
            body["stream"] = True
        url = self.town.upstream.base_url + "/chat/completions"
        return call(url, DEFAULT_API_KEY, body)

    def rows(
        self, reply: Reply, *, within_s: float = 2.0
    ) -> tuple[RequestRow, list[AttemptRow]]:
        """Return the ledger's rows of a call; they must be there within two seconds."""
        deadline = time.monotonic() + within_s
        while not has_request(self.town, reply.request_id):
            assert time.monotonic() < deadline, "the rows are not visible in time"
            time.sleep(0.05)
        ledger = self.town.product.ledger()
        (request,) = (row for row in ledger.requests if row.id == reply.request_id)
        mine = [row for row in ledger.attempts if row.request_id == request.id]
        return request, mine


def is_clean_end(body: bytes) -> bool:
    """Tell whether a stream ended as the dialect says it must."""
    return body.endswith(b"data: [DONE]\n\n") and b'"error"' not in body


def has_request(town: Town, request_id: str) -> bool:
    """Look for one request in the ledger."""
    address = f"file:{town.product.database}?mode=ro"
    with closing(sqlite3.connect(address, uri=True, timeout=10)) as connection:
        query = "select 1 from usage_request where id = ?"
        found = connection.execute(query, [uuid.UUID(request_id).hex]).fetchone()
    return found is not None


def assert_refused(reply: Reply, status: int, code: str) -> dict[str, Any]:
    """Check status, shape, code and request id of a refusal."""
    assert reply.status == status, reply.body
    assert reply.headers["content-type"].startswith("application/json")
    error = reply.error
    assert error["code"] == code
    assert error["request_id"] == reply.request_id
    assert len(reply.request_id) == 36
    return error
