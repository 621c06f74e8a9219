from __future__ import annotations

import hashlib
import hmac
import sys
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote, unquote

import pytest

from poolsite.clock import ManualClock
from poolsite.destinations import Vetter
from poolsite.egress import UpstreamClient
from poolsite.secret_type import Secret
from providers.proxy import auth_clouds, signing
from providers.proxy.exchange import AttemptFailedError
from providers.proxy.signing import Ask, Signers
from tests.providers.proxy.signer import JSON, call, candidate

AWS = "AKIDEXAMPLE:wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
ARN = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude"


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


# Headers that hold the secret itself


@pytest.mark.parametrize(
    ("scheme", "headers"),
    [
        ("", {"authorization": "Bearer s3cret"}),
        ("bearer", {"authorization": "Bearer s3cret"}),
        ("x-api-key", {"x-api-key": "s3cret"}),
        ("x-goog-api-key", {"x-goog-api-key": "s3cret"}),
        ("api-key", {"api-key": "s3cret"}),
        ("none", {}),
        ("sigv4", {}),
        ("google-sa", {}),
        ("entra", {}),
    ],
)
def test_a_scheme_says_where_the_secret_stands(
    scheme: str, headers: dict[str, str]
) -> None:
    assert signing.standing(candidate(scheme), Secret("s3cret")) == headers
    assert signing.standing(candidate(scheme), None) == {}


def test_an_unknown_scheme_sends_nothing() -> None:
    with pytest.raises(AttemptFailedError, match="unknown"):
        signing.standing(candidate("smoke"), Secret("s3cret"))


async def test_a_call_that_needs_no_signature_stays_what_it_is(
    signers: Signers,
) -> None:
    plain = call(candidate("bearer"), "s3cret")
    assert await signers.signed(plain) is plain
    ask = Ask("POST", plain.url, {}, b"")
    assert await signers.headers(candidate("bearer"), Secret("s3cret"), ask) == {
        "authorization": "Bearer s3cret"
    }


async def test_a_signing_provider_without_a_credential_is_unusable(
    signers: Signers,
) -> None:
    with pytest.raises(AttemptFailedError, match="no credential"):
        await signers.signed(call(candidate("sigv4"), None))


# AWS


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _mac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def expected(url: str, body: bytes, headers: dict[str, str], region: str) -> str:
    """Compute the signature as the documentation words it, without any library.

    The path on the wire is encoded once already; the canonical one is encoded again.
    """
    host, _, path = url.partition("://")[2].partition("/")
    day = headers["x-amz-date"][:8]
    named = {"host": host, **JSON}
    named |= {name: value for name, value in headers.items() if name[:6] == "x-amz-"}
    names = ";".join(sorted(named))
    lines = "".join(f"{name}:{named[name]}\n" for name in sorted(named))
    canonical = "\n".join(
        ["POST", quote(f"/{path}", safe="/-_.~"), "", lines, names, _hash(body)]
    )
    scope = f"{day}/{region}/bedrock/aws4_request"
    to_sign = "\n".join(
        ["AWS4-HMAC-SHA256", headers["x-amz-date"], scope, _hash(canonical.encode())]
    )
    key = b"AWS4" + AWS.split(":")[1].encode()
    for part in scope.split("/"):
        key = _mac(key, part)
    signature = _mac(key, to_sign).hex()
    return (
        f"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/{scope}, "
        f"SignedHeaders={names}, Signature={signature}"
    )


@pytest.mark.parametrize("session", ["", ":a-session-token-of-some-length-001"])
@pytest.mark.parametrize("model", ["anthropic.claude-3-haiku-20240307-v1:0", ARN])
async def test_t25_p121_a_signature_equals_the_documented_one(
    signers: Signers, model: str, session: str
) -> None:
    way = candidate("sigv4", "https://bedrock-runtime.us-east-1.amazonaws.com")
    path = way.wire.upstream_path("chat", model=model, stream=False)
    assert unquote(path) == f"/model/{model}/converse"
    made = await signers.signed(call(way, AWS + session, path, b'{"a":1}'))
    url = way.base_url + path
    assert made.headers["authorization"] == expected(
        url, b'{"a":1}', made.headers, "us-east-1"
    )
    assert ("x-amz-security-token" in made.headers) is bool(session)
    if session:
        assert session[1:].encode() in made.marks
    assert made.headers["content-type"] == "application/json"


async def test_t25_the_signed_path_is_the_one_that_travels(
    client: UpstreamClient,
) -> None:
    path = "/model/" + quote(ARN, safe="") + "/converse"
    destination = client.prepare("https://bedrock.example.com" + path)
    assert destination.url.raw_path_qs == path


@pytest.mark.parametrize(
    ("options", "url", "region"),
    [
        ({"region": "eu-west-3"}, "https://10.0.0.1/x", "eu-west-3"),
        ({}, "https://bedrock-runtime.ap-south-1.amazonaws.com/x", "ap-south-1"),
        ({}, "https://bedrock-mantle.us-gov-west-1.api.aws/x", "us-gov-west-1"),
    ],
)
def test_the_region_is_the_option_or_the_hosts(
    options: dict[str, str], url: str, region: str
) -> None:
    assert auth_clouds.aws_region(options, url) == region


def test_a_host_without_a_region_needs_the_option() -> None:
    with pytest.raises(AttemptFailedError, match="region"):
        auth_clouds.aws_region({}, "https://proxy.example.com/x")


@pytest.mark.parametrize(
    "text",
    [
        "A:S:T",
        ' {"AccessKeyId":"A","SecretAccessKey":"S","SessionToken":"T"}',
        '{"aws_access_key_id":"A","aws_secret_access_key":"S","aws_session_token":"T"}',
    ],
)
def test_aws_keys_are_read_in_each_spelling(text: str) -> None:
    keys = auth_clouds.read_aws(text)
    assert (keys.access, keys.secret, keys.session) == ("A", "S", "T")
    assert repr(keys) == "<AwsKeys>"


@pytest.mark.parametrize(
    "text", ["", "planted-secret", ":planted-secret", "{planted", "{}", "[]"]
)
@pytest.mark.parametrize(
    "read", [auth_clouds.read_aws, auth_clouds.read_google, auth_clouds.read_entra]
)
def test_t139_what_is_no_credential_is_not_quoted(read: Any, text: str) -> None:
    with pytest.raises(AttemptFailedError) as caught:
        read(text)
    error = caught.value
    assert error.failure.kind == "unreadable"
    assert "planted" not in f"{error!r} {error.failure!r} {error.__context__!r}"


async def test_a_missing_library_is_named(
    signers: Signers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "botocore.auth", None)
    way = candidate("sigv4", region="us-east-1")
    with pytest.raises(AttemptFailedError, match="pip install botocore"):
        await signers.signed(call(way, AWS))
