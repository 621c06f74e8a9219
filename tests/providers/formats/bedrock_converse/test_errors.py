from __future__ import annotations

import json

import pytest

from providers.formats.bedrock_converse.dialect import FORMAT, BedrockConverse
from providers.formats.errors import ErrorDetail
from tests.providers.formats.bedrock_converse.talk import ask, read_frames

HELLO = {"messages": [{"role": "user", "content": [{"text": "Hi"}]}]}


@pytest.mark.parametrize(
    ("status", "code", "told", "exception"),
    [
        (400, "invalid_request", 400, "ValidationException"),
        (400, "context_length_exceeded", 400, "ValidationException"),
        (401, "invalid_api_key", 403, "AccessDeniedException"),
        (403, None, 403, "AccessDeniedException"),
        (404, "model_not_found", 404, "ResourceNotFoundException"),
        (405, None, 405, "ValidationException"),
        (413, None, 413, "ValidationException"),
        (422, None, 400, "ValidationException"),
        (429, "rate_limit_exceeded", 429, "ThrottlingException"),
        (429, "insufficient_quota", 400, "ServiceQuotaExceededException"),
        (500, None, 500, "InternalServerException"),
        (502, None, 424, "ModelErrorException"),
        (503, "server_is_overloaded", 503, "ServiceUnavailableException"),
        (504, "timeout", 408, "ModelTimeoutException"),
        (529, None, 503, "ServiceUnavailableException"),
    ],
)
def test_t113_an_error_is_worded_as_bedrock_does(
    status: int, code: str | None, told: int, exception: str
) -> None:
    detail = ErrorDetail(message="No.", code=code)
    assert FORMAT.build_error(status, detail, request_id="r") == (
        told,
        b'{"message":"No."}',
    )
    wire = BedrockConverse()
    assert wire.error_headers(status, detail) == {"x-amzn-errortype": exception}


@pytest.mark.parametrize(
    ("status", "exception"),
    [
        (429, "throttlingException"),
        (503, "serviceUnavailableException"),
        (504, "modelTimeoutException"),
        (400, "validationException"),
        (500, "internalServerException"),
        (403, "internalServerException"),
        (None, "modelStreamErrorException"),
    ],
)
def test_t118_an_error_in_a_stream_is_one_of_six(
    status: int | None, exception: str
) -> None:
    stream = FORMAT.open_stream(ask(HELLO), request_id="r")
    detail = ErrorDetail(message="No.", status=status)
    frame = stream.error_frame(detail, request_id="r")
    assert read_frames(frame) == [(exception, {"message": "No."})]


@pytest.mark.parametrize(
    ("status", "body", "message", "code"),
    [
        (429, b'{"message":"Slow down"}', "Slow down", None),
        (400, b'{"message":"Input is too long for requested model."}', "Input is too long for requested model.", "context_length_exceeded"),
        (400, b'{"message":"The provided model identifier is invalid."}', "The provided model identifier is invalid.", "model_not_found"),
        (403, b'{"__type":"com.amazon.coral.service#UnrecognizedClientException","Message":"Bad"}', "Bad", "invalid_api_key"),
        (403, b'{"__type":"ExpiredTokenException:http://x/","message":"Old"}', "Old", "invalid_api_key"),
        (500, b"<html>no</html>", "", None),
        (500, b"plain", "plain", None),
        (500, b"", "", None),
        (500, b"[1]", "[1]", None),
        (500, b'"x"', '"x"', None),
        (500, b'{"message":5}', "", None),
        (500, b"\xff{" * 9, None, None),
    ],
)  # fmt: skip
def test_t105_p96_an_error_body_is_read_whatever_it_is(
    status: int, body: bytes, message: str | None, code: str | None
) -> None:
    detail = FORMAT.read_error(status, body)
    assert detail.status == status
    assert detail.code == code
    assert message is None or detail.message == message


def test_models_are_listed() -> None:
    assert json.loads(FORMAT.models_list(["a"]))["modelSummaries"][0]["modelId"] == "a"
    assert json.loads(FORMAT.model_body("a"))["modelDetails"]["modelId"] == "a"


def test_paths_and_headers_of_the_upstream() -> None:
    assert FORMAT.upstream_path("chat", model="a:0", stream=True) == (
        "/model/a%3A0/converse-stream"
    )
    assert FORMAT.upstream_path("models", model="", stream=False) == (
        "/foundation-models"
    )
    assert FORMAT.auth_headers("k") == {"authorization": "Bearer k"}
    assert FORMAT.relay("bedrock", "embeddings", "m") is None
    assert FORMAT.relay("openai", "chat", "m") is None
