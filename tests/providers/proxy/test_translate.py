from __future__ import annotations

from base64 import b64encode

import pytest

from poolsite.secret_type import Secret
from providers.formats.errors import ErrorDetail
from providers.proxy.translate import redact, redacted_detail, secret_marks
from tests.providers.proxy.pool import CHAT, Pool, chat
from tests.upstream.server import FaultUpstream

SECRET = "sk-test-key-of-provider-1-0001"


async def test_only_listed_headers_reach_the_upstream(
    pool: Pool, upstream: FaultUpstream
) -> None:
    headers = {
        "host": "pool.example",
        "authorization": f"Bearer {pool.key}",
        "x-api-key": "dummy",
        "cookie": "a=b",
        "x-forwarded-for": "10.0.0.1",
        "openai-organization": "org-1",
        "accept-encoding": "br",
        "content-type": "application/json; charset=utf-8",
        "user-agent": "OpenAI/Python 3.51.0",
        "x-stainless-lang": "python",
        "openai-beta": "assistants=v2",
        "idempotency-key": "i-1",
        "accept": "application/json",
        "x-other": "x",
    }
    pool.set_provider(1, headers={"X-Team": "blue", "Authorization": "Bearer other"})
    await pool.call(headers=headers)
    seen = dict(upstream.control.seen[0].headers)
    assert seen["authorization"] == f"Bearer {SECRET}"
    assert seen["x-pool-request-id"] == pool.request.head.request_id
    assert seen["user-agent"] == "OpenAI/Python 3.51.0"
    assert seen["x-stainless-lang"] == "python"
    assert seen["openai-beta"] == "assistants=v2"
    # Another client's i-1 is another key to the vendor.
    owner = pool.key.removeprefix("pp_").partition("_")[0]
    assert seen["idempotency-key"] == f"{owner}-i-1"
    assert seen["x-team"] == "blue"
    assert seen["content-type"] == "application/json"
    assert seen["accept-encoding"] == "identity"
    gone = ("cookie", "x-forwarded-for", "openai-organization", "x-api-key", "x-other")
    assert not [name for name in gone if name in seen]
    assert pool.key not in str(upstream.control.seen[0].headers)


async def test_the_body_arrives_as_it_was_sent(
    pool: Pool, upstream: FaultUpstream
) -> None:
    body = b'{ "model":"gpt-test" , "x": 1.0e5, "messages":[{"role":"user","content":"\\u00e9"}]}'
    await pool.call(body)
    assert upstream.control.seen[0].body == body


@pytest.mark.parametrize(
    "spec", ["echo-secret-header", "400+echo-secret-error", "401+echo-secret-error"]
)
@pytest.mark.parametrize("body", [CHAT, chat(stream=True)])
async def test_a_secret_the_upstream_echoes_does_not_come_back(
    pool: Pool, upstream: FaultUpstream, spec: str, body: dict[str, object]
) -> None:
    upstream.control.orders["gpt-test"] = spec
    answer = await pool.call(body)
    told = answer.body + repr(answer.headers).encode()
    for mark in secret_marks(Secret(SECRET)):
        assert mark not in told
    assert SECRET not in repr(pool.journal.records)


async def test_a_secret_bound_to_another_address_is_not_sent(
    pool: Pool, upstream: FaultUpstream
) -> None:
    moved = pool.credential(1, SECRET, "http://127.0.0.1:9/v1")
    pool.set_provider(1, credentials=(moved,))
    answer = await pool.call()
    assert answer.status == 503
    assert not upstream.control.seen
    assert pool.facts[0].payload["reason"] == "unreadable"


async def test_a_secret_is_not_sent_beside_its_origin(
    pool: Pool, upstream: FaultUpstream
) -> None:
    """The record's origin is right, the base URL leads elsewhere."""
    pool.set_provider(1, origin="http://127.0.0.1:9")
    moved = pool.credential(1, SECRET, "http://127.0.0.1:9/v1")
    pool.set_provider(1, credentials=(moved,))
    answer = await pool.call()
    assert answer.status == 503
    assert not upstream.control.seen


async def test_an_answers_own_headers_are_few(
    pool: Pool, upstream: FaultUpstream
) -> None:
    answer = await pool.call()
    names = {name for name, _ in answer.headers}
    assert not names & {b"set-cookie", b"server", b"date", b"alt-svc", b"location"}
    assert b"x-pool-overhead-ms" in names


def test_redaction_finds_the_secret_its_base64_and_its_tail() -> None:
    secret = Secret("sk-abcdefghijklmnopqrstuvwxyz0123456789")
    encoded = b64encode(secret.reveal().encode())
    text = b"a " + secret.reveal().encode() + b" b " + encoded + b" c yz0123456789"
    clean = redact(text, secret)
    assert b"yz0123456789" not in clean
    assert encoded[:20] not in clean
    assert redact(b"nothing", secret) == b"nothing"
    assert redact(b"x", None) == b"x"


def test_an_error_body_too_large_to_scan_is_not_passed_on() -> None:
    detail = ErrorDetail(message="m", raw=b"x" * 70_000)
    assert redacted_detail(detail, None).raw == b""
