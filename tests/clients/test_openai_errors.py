"""What the official OpenAI SDK raises when something goes wrong behind the pool."""

from __future__ import annotations

import time
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.clients.openai_client import HELLO, Town, make
from tests.rig.plain import call
from tests.rig.product import DEFAULT_API_KEY

pytestmark = pytest.mark.process


def complete(client: OpenAI, model: str, **request: Any) -> list[Any]:
    """Make a call and read it to its end."""
    answer = client.chat.completions.create(model=model, messages=HELLO, **request)
    return list(answer) if request.get("stream") else [answer]


def fails_with(client: OpenAI, kind: type[Any], model: str, **request: Any) -> Any:
    with pytest.raises(kind) as caught:
        complete(client, model, **request)
    return caught.value


def test_wrong_key_is_an_authentication_error(town: Town) -> None:
    with make(town, "pp_wrong") as client:
        error = fails_with(client, openai.AuthenticationError, "gpt-test")
    assert error.status_code == 401
    assert error.code == "invalid_api_key"
    assert error.request_id == error.response.headers["x-pool-request-id"]


def test_unknown_model_names_its_neighbours(pool: OpenAI) -> None:
    error = fails_with(pool, openai.NotFoundError, "gpt-tset")
    assert error.code == "model_not_found"
    assert "gpt-test" in error.message
    assert error.request_id


def test_model_a_key_may_not_use_is_refused_without_hints(town: Town) -> None:
    with make(town, town.keys["narrow"]) as narrow:
        error = fails_with(narrow, openai.PermissionDeniedError, "fault-tools")
        assert error.code == "model_not_allowed"
        error = fails_with(narrow, openai.NotFoundError, "fault-toolz")
    assert "fault-tools" not in error.message


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("model", "kind"),
    [
        ("fault-400-param-temperature", openai.BadRequestError),
        ("fault-400-context", openai.BadRequestError),
        ("fault-422", openai.UnprocessableEntityError),
        ("fault-404", openai.NotFoundError),
    ],
)
def test_what_a_vendor_says_about_the_request_is_passed_on(
    town: Town, pool: OpenAI, direct: OpenAI, model: str, kind: Any, stream: bool
) -> None:
    ours = fails_with(pool, kind, model, stream=stream)
    theirs = fails_with(direct, kind, model, stream=stream)
    assert ours.response.read() == theirs.response.read()
    assert (ours.code, ours.param, ours.type) == (
        theirs.code,
        theirs.param,
        theirs.type,
    )
    assert ours.response.headers["x-pool-request-id"]
    assert ours.response.headers["x-should-retry"] == "false"


def test_rate_limit_of_a_vendor_tells_when_to_come_back(pool: OpenAI) -> None:
    error = fails_with(pool, openai.RateLimitError, "fault-429-retry-after-17")
    assert error.code == "rate_limit_exceeded"
    assert 1 <= int(error.response.headers["retry-after"]) <= 17
    assert error.request_id


def test_our_own_quota_is_not_the_clients_business(pool: OpenAI) -> None:
    error = fails_with(pool, openai.RateLimitError, "fault-429-quota")
    assert error.code == "insufficient_quota"
    assert error.response.headers["x-should-retry"] == "false"
    assert "pool" in error.message


def test_refusal_of_our_credential_is_not_the_clients_401(pool: OpenAI) -> None:
    error = fails_with(pool, openai.InternalServerError, "fault-401")
    assert error.status_code == 503
    assert error.code == "provider_credentials"
    assert "fault upstream" not in error.message


@pytest.mark.parametrize(
    ("model", "status"),
    [("fault-500", 502), ("fault-503", 503), ("fault-500-text", 502)],
)
@pytest.mark.parametrize("stream", [False, True])
def test_failure_of_a_vendor_is_a_server_error(
    pool: OpenAI, model: str, status: int, stream: bool
) -> None:
    error = fails_with(pool, openai.InternalServerError, model, stream=stream)
    # Cooling down after some failures, the provider is tried all the same: it is
    # the only one.
    assert error.status_code == status
    assert error.request_id
    assert len(error.response.headers["x-pool-request-id"]) == 36
    assert error.type
    assert "attempt" in error.message


def test_too_large_a_body_is_refused(town: Town, pool: OpenAI) -> None:
    huge: Any = [{"role": "user", "content": "x" * (41 * 1024 * 1024)}]
    with pytest.raises(openai.APIStatusError) as caught:
        pool.chat.completions.create(model="gpt-test", messages=huge)
    assert caught.value.status_code == 413
    assert caught.value.code == "request_too_large"


@pytest.mark.parametrize("stream", [False, True])
def test_silent_vendor_is_a_timeout(pool: OpenAI, stream: bool) -> None:
    begun = time.monotonic()
    error = fails_with(pool, openai.APIError, "fault-silence", stream=stream)
    assert 0.9 < time.monotonic() - begun < 4
    assert error.code == "upstream_timeout"


@pytest.mark.parametrize(
    "model",
    [
        "fault-len-200+stall-20",
        "fault-len-200+cut-rst-chunk-20",
        "fault-len-200+error-mid-20",
    ],
)
def test_fault_in_the_middle_is_raised_inside_the_stream(
    pool: OpenAI, model: str
) -> None:
    seen: list[Any] = []
    stream = pool.chat.completions.create(model=model, messages=HELLO, stream=True)
    with pytest.raises(openai.APIError) as caught:
        seen.extend(iter(lambda: next(stream), None))
    # A reset makes the kernel drop what nobody has read yet.
    assert 1 <= len(seen) <= 20 if "rst" in model else len(seen) == 20
    assert [each.choices[0].delta.role for each in seen].count("assistant") == 1
    assert not isinstance(caught.value, openai.APIConnectionError)
    assert not any(chunk.choices[0].finish_reason for chunk in seen)


def test_client_that_waits_no_longer_gets_its_own_timeout(town: Town) -> None:
    with make(town, timeout=0.3) as impatient:
        error = fails_with(impatient, openai.APITimeoutError, "fault-slow-first-2500")
    assert isinstance(error, openai.APITimeoutError)


def test_slow_first_byte_of_a_stream_is_bridged_by_keep_alives(town: Town) -> None:
    model = "fault-slow-first-1800+len-20"
    body = {"model": model, "messages": HELLO, "stream": True}
    ours = call(town.product.url + "/chat/completions", town.keys["client"], body)
    theirs = call(town.upstream.base_url + "/chat/completions", DEFAULT_API_KEY, body)
    comments, _, rest = ours.body.partition(b"data: ")
    lines = [line for line in comments.split(b"\n") if line]
    assert len(lines) >= 2
    assert all(line.startswith(b":") for line in lines)
    assert b"data: " + rest == theirs.body
    with make(town) as client:
        text = "".join(
            chunk.choices[0].delta.content or ""
            for chunk in client.chat.completions.create(**body)
        )
    assert text


def test_t126_retrying_sdk_stops_at_what_will_not_change(town: Town) -> None:
    with make(town, max_retries=2) as client:
        before = len(town.upstream.control.seen)
        fails_with(client, openai.BadRequestError, "fault-400-context")
        fails_with(client, openai.RateLimitError, "fault-429-quota+ok")
    assert len(town.upstream.control.seen) - before <= 2
