from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from poolsite.clock import ManualClock
from poolsite.crypto import make_internal_token
from providers.proxy.authenticate import product_of
from tests.providers.proxy.pool import CHAT, ROOT, Pool, chat
from tests.upstream.server import FaultUpstream


def spellings(key: str) -> list[dict[str, Any]]:
    basic = b64encode(f"user:{key}".encode()).decode()
    scope = f"Credential={key}/20261120/us-east-1/bedrock/aws4_request"
    signed = f"AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=0f"
    return [
        {"headers": {"authorization": f"Bearer {key}"}},
        {"headers": {"authorization": f"bearer   {key}"}},
        {"headers": {"authorization": key}},
        {"headers": {"x-api-key": key}},
        {"headers": {"x-api-key": f"Bearer {key}"}},
        {"headers": {"api-key": key}},
        {"headers": {"x-goog-api-key": key}},
        {"headers": {"authorization": f"Basic {basic}"}},
        {"headers": {"authorization": signed}},
        {"headers": {}, "query": f"key={key}".encode()},
        {"headers": {}, "query": f"a=b&api_key={key}".encode()},
        {"headers": {"authorization": "Bearer dummy", "x-api-key": key}},
        {"headers": {"authorization": f"Bearer {key}", "x-api-key": "sk-dummy"}},
        {"headers": {"authorization": f"Bearer {key}", "x-api-key": key}},
    ]


@pytest.mark.parametrize("place", range(len(spellings(""))))
async def test_a_key_is_found_in_every_spelling(pool: Pool, place: int) -> None:
    answer = await pool.call(**spellings(pool.key)[place])
    assert answer.status == 200, answer.body


async def test_the_second_call_of_a_key_is_recognised_and_revocation_still_bites(
    pool: Pool,
) -> None:
    for _ in range(2):
        assert (await pool.call()).status == 200
    pool.keys.pop(pool.key[3:11])
    pool.changed()
    assert (await pool.call()).status == 401


async def test_two_different_valid_keys_are_refused(pool: Pool) -> None:
    other = pool.add_key()
    headers = {"authorization": f"Bearer {pool.key}", "x-api-key": other}
    answer = await pool.call(headers=headers)
    assert answer.status == 400
    assert answer.error["code"] == "conflicting_api_keys"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer sk-something"},
        {"authorization": "Bearer pp_abcdefgh_" + "x" * 49},
        {"authorization": "Basic !!!"},
        {"x-api-key": "x" * 5000},
    ],
)
async def test_a_stranger_is_refused_in_the_dialect_and_not_recorded(
    pool: Pool, headers: dict[str, str], upstream: FaultUpstream
) -> None:
    client, task = pool.start(CHAT, headers=headers)
    await task
    answer = client.answer
    assert answer.status == 401
    assert answer.error["request_id"] == answer.header("x-pool-request-id")
    assert client.received == 0
    assert not pool.journal.records
    assert pool.metrics.strangers


async def test_a_key_with_a_right_id_and_a_wrong_secret_is_refused(pool: Pool) -> None:
    from zlib import crc32

    from poolsite.client_keys import new_client_key

    other = new_client_key().key.reveal()
    forged = pool.key[:12] + other[12:-6]
    number, digits = crc32(forged.encode()), ""
    alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    for _ in range(6):
        number, digit = divmod(number, 62)
        digits = alphabet[digit] + digits
    answer = await pool.call(headers={"x-api-key": forged + digits})
    assert answer.status == 401


async def test_strangers_are_slowed_by_source_and_neighbours_are_not(
    pool: Pool,
) -> None:
    statuses = [(await pool.call(headers={})).status for _ in range(70)]
    assert statuses[0] == 401
    assert statuses[-1] == 429
    assert (await pool.call(headers={}, peer="10.0.0.9")).status == 401
    assert (await pool.call()).status == 200


async def test_an_expired_key_is_refused(upstream: FaultUpstream) -> None:
    clock = ManualClock()
    async with Pool(upstream.base_url, clock=clock) as pool:
        pool.set_key(expires_at_s=clock.time_ns() / 1e9 + 60)
        assert (await pool.call()).status == 200
        clock.advance(60)
        answer = await pool.call()
        assert answer.status == 401
        assert answer.error["code"] == "api_key_expired"


async def test_a_key_bound_to_addresses_is_refused_elsewhere(pool: Pool) -> None:
    pool.set_key(ip_allow=("10.0.0.0/8", "2001:db8::/32"))
    assert (await pool.call(peer="10.1.2.3")).status == 200
    assert (await pool.call(peer="::ffff:10.1.2.3")).status == 200
    assert (await pool.call(peer="2001:db8::5")).status == 200
    refused = await pool.call(peer="192.0.2.1")
    assert refused.status == 403
    assert refused.error["code"] == "address_not_allowed"


async def test_an_internal_token_calls_for_a_key_with_its_purpose(pool: Pool) -> None:
    token = make_internal_token(
        ROOT, key_id=pool.key[3:11], purpose="probe", clock=pool.clock
    )
    answer = await pool.call(headers={"authorization": f"Bearer {token.reveal()}"})
    assert answer.status == 200
    assert pool.request.head.purpose == "probe"
    assert pool.request.head.client_key_id == 1


async def test_an_internal_token_without_a_key_calls_for_the_pool(pool: Pool) -> None:
    token = make_internal_token(ROOT, key_id="", purpose="verify", clock=pool.clock)
    answer = await pool.call(headers={"authorization": f"Bearer {token.reveal()}"})
    assert answer.status == 200
    assert pool.request.head.client_key_id is None


async def test_a_late_or_foreign_internal_token_is_refused(
    upstream: FaultUpstream,
) -> None:
    clock = ManualClock()
    async with Pool(upstream.base_url, clock=clock) as pool:
        late = make_internal_token(ROOT, key_id="", purpose="verify", clock=clock)
        foreign = make_internal_token("y" * 32, key_id="", purpose="x", clock=clock)
        clock.advance(61)
        for token in (late, foreign):
            headers = {"authorization": f"Bearer {token.reveal()}"}
            assert (await pool.call(headers=headers)).status == 401


@pytest.mark.parametrize(
    ("headers", "body", "session", "agent"),
    [
        ({"x-pool-session": "ci:main:7"}, {}, "ci:main:7", "ci"),
        ({"x-claude-code-session-id": "s1"}, {}, "s1", ""),
        ({"session-id": "s2"}, {}, "s2", ""),
        ({"session-id": "s2"}, {"prompt_cache_key": "k"}, "s2", ""),
        ({}, {"prompt_cache_key": "k"}, "k", ""),
        ({"x-session-id": "s"}, {"metadata": {"session_id": "m"}}, "m", ""),
        ({"user-agent": "OpenAI/Python 3.51.0"}, {}, "", "openai-python"),
        ({"user-agent": "curl/8"}, {"user": "olivia"}, "", "other"),
    ],
)
async def test_session_and_agent_are_found(
    pool: Pool, headers: dict[str, str], body: dict[str, Any], session: str, agent: str
) -> None:
    headers = {"authorization": f"Bearer {pool.key}", **headers}
    await pool.call(chat(**body), headers=headers)
    head = pool.request.head
    assert (head.session, head.agent) == (session, agent)
    assert head.end_user == body.get("user", "")


@pytest.mark.parametrize(
    ("user_agent", "product"),
    [
        (b"claude-cli/2.0.1 (external, cli)", "claude-code"),
        (b"codex_cli_rs/0.40 (Linux)", "codex"),
        (b"GeminiCLI/0.3", "gemini-cli"),
        (b"AsyncOpenAI/Python 3.51.0", "openai-python"),
        (b"", ""),
    ],
)
def test_products_are_known_by_their_user_agent(
    user_agent: bytes, product: str
) -> None:
    assert product_of(user_agent) == product


async def test_only_a_replay_names_the_request_it_repeats(pool: Pool) -> None:
    original = "0198f2a4-77c1-7b2e-9d41-5b0c2f1e9c41"
    heads = [{"authorization": f"Bearer {pool.key}"}]
    for purpose in ("replay", "playground"):
        token = make_internal_token(
            ROOT, key_id=pool.key[3:11], purpose=purpose, clock=pool.clock
        )
        heads.append({"authorization": f"Bearer {token.reveal()}"})
    for head in heads:
        await pool.call(headers={**head, "x-pool-replay-of": original})
    said = {s.head.purpose: s.head.replay_of for s in pool.settles if s.request}
    assert said == {"client": "", "replay": original, "playground": ""}
