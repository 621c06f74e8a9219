from __future__ import annotations

import json

import pytest

from providers.formats.errors import ErrorDetail
from tests.providers.formats.chat import FORMAT


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            {"error": {"message": "m", "type": "t", "param": "p", "code": "c"}},
            ("m", "t", "c", "p"),
        ),
        ({"error": {"message": "m", "code": 404}}, ("m", None, "404", None)),
        ({"error": {"message": "m", "status": "NOT"}}, ("m", "NOT", None, None)),
        ({"error": "m", "code": "c"}, ("m", None, "c", None)),
        ({"message": "m", "type": "t"}, ("m", "t", None, None)),
        ({"detail": "m"}, ("m", None, None, None)),
        ({"detail": [{"loc": ["x"], "msg": "m"}]}, ("m", None, None, None)),
        ({"errors": [{"message": "m"}]}, ("m", None, None, None)),
        ([{"error": {"message": "m", "code": 400}}], ("m", None, "400", None)),
        ({"error_msg": "m", "error_code": 336}, ("m", None, "336", None)),
        ({"error": {}}, ("", None, None, None)),
        ("m", ("m", None, None, None)),
        (None, ("", None, None, None)),
        (7, ("", None, None, None)),
        ([], ("", None, None, None)),
    ],
)
def test_an_upstreams_error_is_read_in_any_shape(body, expected):
    raw = json.dumps(body).encode()
    detail = FORMAT.read_error(418, raw)
    assert (detail.message, detail.type, detail.code, detail.param) == expected
    assert detail.status == 418
    assert detail.raw is raw


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"upstream down\n", "upstream down"),
        (b"<html>x</html>", ""),
        (b"", ""),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"[" * 50_000, None),
    ],
)
def test_an_error_that_is_no_json_keeps_its_words(body, message):
    detail = FORMAT.read_error(502, body)
    assert detail.message == message or message is None
    assert len(detail.message) <= 2_000


def test_a_long_message_is_cut():
    detail = FORMAT.read_error(500, json.dumps({"error": "x" * 9_999}).encode())
    assert len(detail.message) == 2_000


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (400, "invalid_request_error", "invalid_request"),
        (401, "authentication_error", "invalid_api_key"),
        (403, "permission_error", "permission_denied"),
        (404, "invalid_request_error", "not_found"),
        (413, "invalid_request_error", "request_too_large"),
        (429, "rate_limit_error", "rate_limit_exceeded"),
        (500, "server_error", None),
        (502, "server_error", "upstream_error"),
        (503, "server_error", "service_unavailable"),
        (504, "server_error", "timeout"),
    ],
)
def test_an_error_has_the_dialects_shape(status, kind, code):
    found, body = FORMAT.build_error(status, ErrorDetail(message="m"), request_id="r-1")
    assert found == status
    assert json.loads(body) == {
        "error": {
            "message": "m",
            "type": kind,
            "param": None,
            "code": code,
            "request_id": "r-1",
        }
    }


def test_what_an_error_says_itself_goes_first():
    detail = ErrorDetail(message="m", type="t", code="c", param="p")
    _, body = FORMAT.build_error(429, detail, request_id="r")
    error = json.loads(body)["error"]
    assert (error["type"], error["code"], error["param"]) == ("t", "c", "p")
