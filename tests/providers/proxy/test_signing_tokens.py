from __future__ import annotations

import asyncio
import json
from base64 import urlsafe_b64decode
from collections.abc import AsyncIterator
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from poolsite.clock import ManualClock
from poolsite.destinations import Vetter
from poolsite.egress import UpstreamClient
from providers.proxy import auth_clouds
from providers.proxy.auth_tokens import Minted, TokenCache
from providers.proxy.exchange import AttemptFailedError, Candidate
from providers.proxy.signing import Signers
from tests.providers.proxy.signer import TokenServer, call, candidate

ENTRA = "tenant-1.example:client-1:entra-client-secret-0001"
KEY = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
PEM = KEY.private_bytes(
    serialization.Encoding.PEM,
    serialization.PrivateFormat.PKCS8,
    serialization.NoEncryption(),
).decode()
GOOGLE = json.dumps(
    {"client_email": "a@p.iam", "private_key": PEM, "private_key_id": "k1"}
)


@pytest.fixture
async def server() -> AsyncIterator[TokenServer]:
    async with TokenServer() as running:
        yield running


@pytest.fixture
async def client() -> AsyncIterator[UpstreamClient]:
    made = UpstreamClient(Vetter(("127.0.0.0/8",)))
    yield made
    await made.aclose()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def signers(client: UpstreamClient, clock: ManualClock) -> Signers:
    return Signers(client, clock)


# Google


def _claims(assertion: str) -> dict[str, Any]:
    head, body, signature = assertion.split(".")
    pad = "=" * 3
    KEY.public_key().verify(
        urlsafe_b64decode(signature + pad),
        f"{head}.{body}".encode(),
        padding.PKCS1v15(),
        hashes.SHA256(),
    )
    assert json.loads(urlsafe_b64decode(head + pad))["kid"] == "k1"
    claims: dict[str, Any] = json.loads(urlsafe_b64decode(body + pad))
    return claims


async def test_a_service_account_becomes_a_token(
    signers: Signers, server: TokenServer, clock: ManualClock
) -> None:
    server.token("ya29.minted-token-of-google-001")
    url = server.origin + "/token"
    way = candidate("google-sa", server.origin, token_url=url)
    made = await signers.signed(call(way, GOOGLE))
    assert made.headers["authorization"] == "Bearer ya29.minted-token-of-google-001"
    assert made.secret is not None
    assert made.secret.reveal() == "ya29.minted-token-of-google-001"
    assert made.secret.origin == server.origin
    assert b"ya29.minted-token-of-google-001" in made.marks
    (form,) = server.forms
    assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    now = int(clock.time_ns() / 1e9)
    assert _claims(form["assertion"]) == {
        "iss": "a@p.iam",
        "aud": url,
        "scope": "https://www.googleapis.com/auth/cloud-platform",
        "iat": now,
        "exp": now + 3600,
    }


async def test_a_damaged_private_key_is_not_quoted(signers: Signers) -> None:
    account = json.dumps({"client_email": "a", "private_key": "planted-key"})
    with pytest.raises(AttemptFailedError, match="private key") as caught:
        await signers.signed(call(candidate("google-sa"), account))
    assert "planted" not in repr((caught.value.failure, caught.value.__context__))


# Entra


async def test_a_client_secret_becomes_a_token(
    signers: Signers, server: TokenServer
) -> None:
    server.token("entra-token", "3599")
    way = candidate("entra", server.origin, token_url=server.origin + "/t")
    made = await signers.signed(call(way, ENTRA))
    assert made.headers["authorization"] == "Bearer entra-token"
    assert server.forms == [
        {
            "grant_type": "client_credentials",
            "client_id": "client-1",
            "client_secret": "entra-client-secret-0001",
            "scope": "https://cognitiveservices.azure.com/.default",
        }
    ]


def test_an_entra_client_is_read_from_json() -> None:
    text = '{"tenantId":"t","clientId":"c","clientSecret":"s:x"}'
    client = auth_clouds.read_entra(text)
    assert (client.tenant_id, client.client_secret) == ("t", "s:x")
    assert auth_clouds.read_entra("t:c:s:x") == client
    assert repr(client) == "<EntraClient>"


@pytest.mark.parametrize("scheme", ["entra", "google-sa"])
@pytest.mark.parametrize(
    "url",
    ["https://evil.example/token", "http://login.microsoftonline.com/x", "no url"],
)
async def test_t139_a_secret_goes_to_no_other_endpoint(
    signers: Signers, scheme: str, url: str
) -> None:
    way = candidate(scheme, token_url=url)
    secret = ENTRA if scheme == "entra" else GOOGLE
    with pytest.raises(AttemptFailedError, match="neither the cloud's"):
        await signers.signed(call(way, secret))


async def test_a_national_cloud_is_a_known_endpoint(signers: Signers) -> None:
    url = "https://login.microsoftonline.us/t/oauth2/v2.0/token"
    way = candidate("entra", token_url=url)
    with pytest.raises(AttemptFailedError, match="no connection"):
        await signers.signed(call(way, ENTRA))


# Keeping tokens


@pytest.fixture
def way(server: TokenServer) -> Candidate:
    return candidate("entra", server.origin, token_url=server.origin + "/t")


async def token_of(signers: Signers, way: Candidate) -> str:
    made = await signers.signed(call(way, ENTRA))
    return made.headers["authorization"].removeprefix("Bearer ")


async def test_many_calls_ask_once(
    signers: Signers, server: TokenServer, way: Candidate
) -> None:
    server.token("one")
    server.gate.clear()
    tasks = [asyncio.create_task(token_of(signers, way)) for _ in range(20)]
    await asyncio.sleep(0.05)
    tasks[0].cancel()
    server.gate.set()
    told = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(told[0], asyncio.CancelledError)
    assert told[1:] == ["one"] * 19
    assert len(server.forms) == 1


async def test_a_token_is_kept_until_a_minute_before_its_end(
    signers: Signers, server: TokenServer, way: Candidate, clock: ManualClock
) -> None:
    server.token("one", 3600)
    server.token("two", 100)
    server.token("three", 0)
    assert await token_of(signers, way) == "one"
    clock.advance(3539)
    assert await token_of(signers, way) == "one"
    clock.advance(2)
    assert await token_of(signers, way) == "two"
    clock.advance(89)
    assert await token_of(signers, way) == "two"
    clock.advance(2)
    assert await token_of(signers, way) == "three"
    assert len(server.forms) == 3


async def test_a_refused_token_is_forgotten(
    signers: Signers, server: TokenServer, way: Candidate
) -> None:
    server.token("one")
    server.token("two")
    assert await token_of(signers, way) == "one"
    signers.forget(candidate("entra", server.origin))
    assert await token_of(signers, way) == "two"


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, b'{"error":"invalid_grant","error_description":"no"}', "auth"),
        (401, b'{"error":{"code":1}}', "auth"),
        (429, b"", "rate_limit"),
        (503, b"<html>", "unavailable"),
        (200, b'{"token":"x"}', "unavailable"),
        (200, b'{"access_token":"x","expires_in":"soon"}', "unavailable"),
        (299, b'{"access_token":"x"}', "server_error"),
    ],
)
async def test_a_refusal_is_told_without_the_secret(
    signers: Signers,
    server: TokenServer,
    way: Candidate,
    *,
    status: int,
    body: bytes,
    kind: str,
) -> None:
    server.answers.append((status, body))
    with pytest.raises(AttemptFailedError) as caught:
        await signers.signed(call(way, ENTRA))
    assert caught.value.failure.kind == kind
    told = repr((caught.value, caught.value.failure, caught.value.__context__))
    assert "entra-client-secret" not in told
    server.answers.clear()
    server.token("later")
    assert await token_of(signers, way) == "later"


async def test_an_endpoint_that_is_away_is_a_failure_to_connect(
    signers: Signers,
) -> None:
    way = candidate("entra", "http://127.0.0.1:9", token_url="http://127.0.0.1:9/t")
    with pytest.raises(AttemptFailedError) as caught:
        await signers.signed(call(way, ENTRA))
    assert caught.value.failure.kind == "connect"


async def test_an_endless_answer_is_given_up(
    signers: Signers, server: TokenServer, way: Candidate
) -> None:
    server.answers.append((200, b'{"access_token":"' + b"x" * 300_000 + b'"}'))
    with pytest.raises(AttemptFailedError):
        await signers.signed(call(way, ENTRA))


def test_what_holds_a_secret_does_not_show_it() -> None:
    account = auth_clouds.read_google(GOOGLE)
    assert "PRIVATE" not in repr(account)
    assert "planted" not in repr(Minted("planted-token", 5))


async def test_old_tokens_do_not_pile_up(clock: ManualClock) -> None:
    cache = TokenCache(clock)

    async def fetch() -> Minted:
        return Minted("t", 3600)

    for number in range(1_001):
        await cache.get(number, fetch)
    asked: list[int] = []

    async def again() -> Minted:
        asked.append(1)
        return Minted("t", 3600)

    await cache.get(1_000, again)
    assert asked == []
    await cache.get(0, again)
    assert asked == [1]
