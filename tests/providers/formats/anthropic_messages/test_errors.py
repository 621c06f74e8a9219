from __future__ import annotations

import json

import pytest

from providers.formats.errors import ErrorDetail
from tests.providers.formats.anthropic_messages.messages import FORMAT


def worded(status, **detail):
    status, body = FORMAT.build_error(status, ErrorDetail(**detail), request_id="req-9")
    made = json.loads(body)
    assert made["type"] == "error"
    assert made["request_id"] == "req-9"
    return status, made["error"]["type"], made["error"]["message"]


@pytest.mark.parametrize(
    ("status", "code", "became", "type_"),
    [
        (400, "invalid_value", 400, "invalid_request_error"),
        (401, "invalid_api_key", 401, "authentication_error"),
        (402, "insufficient_quota", 402, "billing_error"),
        (403, "permission_denied", 403, "permission_error"),
        (404, "model_not_found", 404, "not_found_error"),
        (405, "method_not_allowed", 405, "invalid_request_error"),
        (408, "request_timeout", 408, "timeout_error"),
        (409, "conflict", 409, "conflict_error"),
        (413, "request_too_large", 413, "request_too_large"),
        (422, None, 422, "invalid_request_error"),
        (429, "rate_limit_exceeded", 429, "rate_limit_error"),
        (429, "insufficient_quota", 402, "billing_error"),
        (500, None, 500, "api_error"),
        (502, "upstream_error", 502, "api_error"),
        (503, "no_provider", 503, "api_error"),
        (503, "server_is_overloaded", 529, "overloaded_error"),
        (503, "overloaded", 529, "overloaded_error"),
        (504, "timeout", 504, "timeout_error"),
        (529, None, 529, "overloaded_error"),
    ],
)
def test_t113_errors_have_this_dialects_status_and_type(status, code, became, type_):
    assert worded(status, code=code, message="Words.") == (became, type_, "Words.")


def test_an_error_without_words_still_says_something():
    assert worded(500)[2]


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        (
            "This model's maximum context length is 128000 tokens. However, your "
            "messages resulted in 130512 tokens. Please reduce the length.",
            "prompt is too long: 130512 tokens > 128000 maximum",
        ),
        (
            "The input token count (1,200,000) exceeds the maximum number of tokens "
            "allowed (1,048,576).",
            "prompt is too long: 1200000 tokens > 1048576 maximum",
        ),
        (
            "prompt is too long: 210000 tokens > 200000 maximum",
            "prompt is too long: 210000 tokens > 200000 maximum",
        ),
        (
            "Your input exceeds the context window of this model.",
            "prompt is too long: Your input exceeds the context window of this model.",
        ),
        (
            "input length and max_tokens exceed context limit: 188240 + 21333 > 200000",
            "prompt is too long: input length and max_tokens exceed context limit: "
            "188240 + 21333 > 200000",
        ),
    ],
)
def test_t116_a_context_that_is_too_long_has_the_phrase_clients_look_for(text, phrase):
    assert worded(400, code="context_length_exceeded", message=text)[2] == phrase
    assert worded(400, message=text)[2] == phrase


def test_other_refusals_keep_their_words():
    assert worded(400, message="top_p is odd")[2] == "top_p is odd"


@pytest.mark.parametrize(
    ("type_", "status", "code"),
    [
        ("invalid_request_error", 400, None),
        ("authentication_error", 401, "invalid_api_key"),
        ("billing_error", 402, "insufficient_quota"),
        ("rate_limit_error", 429, "rate_limit_exceeded"),
        ("overloaded_error", 529, "server_is_overloaded"),
        ("api_error", 500, None),
        ("something_new", None, None),
    ],
)
def test_an_upstreams_error_is_read(type_, status, code):
    body = json.dumps(
        {"type": "error", "error": {"type": type_, "message": "m"}, "request_id": "r"}
    ).encode()
    detail = FORMAT.read_error(418, body)
    assert (detail.status, detail.type, detail.code) == (418, type_, code)
    assert (detail.message, detail.raw) == ("m", body)
    from providers.formats.anthropic_messages.errors import read_messages_error

    assert read_messages_error(None, body).status == status


def test_t116_an_upstreams_full_context_is_known_by_its_words():
    body = (
        b'{"type":"error","error":{"type":"invalid_request_error",'
        b'"message":"prompt is too long: 5 tokens > 4 maximum"}}'
    )
    assert FORMAT.read_error(400, body).code == "context_length_exceeded"


@pytest.mark.parametrize(
    "body", [b"", b"<html>502</html>", b"null", b"[]", b'{"error":null}', b"\xff"]
)
def test_whatever_an_upstream_sends_is_an_error_all_the_same(body):
    detail = FORMAT.read_error(502, body)
    assert (detail.status, detail.raw) == (502, body)
