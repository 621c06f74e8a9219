"""A client that leaves frees its upstream, whatever either of them speaks."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest

from tests.clients.sdks.conftest import Town
from tests.endtoend.asking import has_request

pytestmark = pytest.mark.process

WORDS = "Tell me about the harbour."
HELLO = {"messages": [{"role": "user", "content": WORDS}], "stream": True}
CLIENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "openai": ("/v1/chat/completions", HELLO),
    "responses": ("/v1/responses", {"input": WORDS, "stream": True}),
    "anthropic": ("/v1/messages", {**HELLO, "max_tokens": 1000}),
    "google": (
        "/v1beta/models/{}:streamGenerateContent?alt=sse",
        {"contents": [{"parts": [{"text": WORDS}]}]},
    ),
}


def stream(house: Town, root: str, client: str, model: str) -> Any:
    path, body = CLIENTS[client]
    return httpx.stream(
        "POST",
        root + path.format(model),
        json={"model": model, **body},
        headers={"authorization": f"Bearer {house.keys['client']}"},
        timeout=0.5 if "silence" in model else 10,
    )


def check(house: Town, calls: int, request_id: str = "") -> None:
    """See that the upstream was let go of within a second, and not asked again."""
    house.upstream.wait_idle(within_s=1)
    served = house.upstream.truth()[calls:]
    assert [each.ended for each in served] == ["client_gone"]
    if not request_id:
        return
    deadline = time.monotonic() + 5
    while not has_request(house, request_id):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    ledger = house.product.ledger().only({request_id})
    (request,) = ledger.requests
    assert request.status == 499
    assert request.cost_nano_usd


@pytest.mark.parametrize("client", CLIENTS)
def test_t123_leaving_in_the_middle_frees_the_upstream(
    house: Town, root: str, client: str, upstream: str
) -> None:
    calls = len(house.upstream.truth())
    model = f"{upstream}/fault-len-400+gap-5"
    with stream(house, root, client, model) as reply:
        assert reply.status_code == 200
        lines = reply.iter_lines()
        while "data:" not in next(lines):
            pass
        next(lines)
        request_id = reply.headers["x-pool-request-id"]
    check(house, calls, request_id)


@pytest.mark.parametrize("client", CLIENTS)
def test_t123_leaving_before_the_first_word_frees_the_upstream(
    house: Town, root: str, client: str, upstream: str
) -> None:
    calls = len(house.upstream.truth())
    with (
        pytest.raises(httpx.ReadTimeout),
        stream(house, root, client, f"{upstream}/fault-silence") as reply,
    ):
        reply.read()
    check(house, calls)
