from __future__ import annotations

import json

import msgspec
import pytest

from pricing.tokens import TokenUsage
from providers.formats.base import MAX_EVENT_BYTES, FramingError, Target
from providers.formats.errors import ErrorDetail
from tests.providers.formats.chat import (
    BRIDGE,
    FORMAT,
    asking_for_usage,
    chunk,
    open_tap,
    request,
    run,
    sse,
)

DONE = b"data: [DONE]\n\n"
USAGE = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}


def test_an_error_before_content_hands_out_nothing():
    tap = open_tap(asking_for_usage())
    out = run(
        tap,
        [
            b": wait\n\n",
            sse(chunk({"role": "assistant"})),
            sse({"error": {"message": "busy", "code": 503}}),
            sse(chunk({"content": "late"})),
        ],
    )
    assert out == b""
    assert not tap.useful
    assert not tap.complete
    assert tap.error.message == "busy"
    assert tap.error.status == 503


def test_an_empty_error_is_none():
    data = sse(chunk({"content": "a"}, error=None), chunk({"content": "b"}, error={}))
    tap = open_tap(asking_for_usage())
    assert tap.feed(data) == data
    assert tap.error is None


def test_an_error_object_without_the_error_member_is_known():
    tap = open_tap(asking_for_usage())
    assert tap.feed(sse({"object": "error", "message": "full", "code": 400})) == b""
    assert tap.error.message == "full"


def test_a_terminator_without_an_answer_is_not_an_answer():
    tap = open_tap(asking_for_usage())
    assert run(tap, [sse(chunk({"role": "assistant"}), "[DONE]")]) == b""
    assert not tap.complete


def test_an_empty_body_is_not_an_answer():
    tap = open_tap(asking_for_usage())
    assert run(tap, []) == b""
    assert not tap.complete


def test_nothing_follows_the_terminator():
    tap = open_tap(asking_for_usage())
    data = sse(chunk({"content": "a"}), "[DONE]")
    assert run(tap, [data + sse(chunk({"content": "b"})), DONE]) == data


def test_a_frame_that_is_no_json_breaks_the_answer():
    tap = open_tap(asking_for_usage())
    good = sse(chunk({"content": "a"}))
    assert run(tap, [good + b"data: {oops\n\n" + good]) == good
    assert tap.error.code == "upstream_invalid_response"
    assert not tap.complete


def test_comments_pass_and_empty_data_passes():
    tap = open_tap(asking_for_usage())
    data = sse(chunk({"content": "a"})) + b": ping\n\ndata: \n\n" + DONE
    assert run(tap, [data]) == data


def test_a_flood_of_comments_is_not_kept():
    tap = open_tap(asking_for_usage())
    for _ in range(2_000):
        tap.feed(b": " + b"x" * 98 + b"\n\n")
    assert 60_000 < len(tap.feed(sse(chunk({"content": "a"})))) < 70_000


def test_a_flood_of_openings_is_refused():
    tap = open_tap(asking_for_usage())
    opening = sse(chunk({"role": "assistant"}, pad="x" * 1_000_000))
    for _ in range(4):
        tap.feed(opening)
    with pytest.raises(FramingError):
        tap.feed(opening)


def test_an_event_above_the_limit_is_refused():
    tap = open_tap(asking_for_usage())
    with pytest.raises(FramingError):
        tap.feed(b"data: " + b"x" * MAX_EVENT_BYTES)


def test_text_is_counted_in_bytes_also_outside_ascii():
    tap = open_tap(asking_for_usage())
    tap.feed(sse(chunk({"content": "aé漢"}), chunk({"reasoning": "é"})))
    assert tap.text_bytes == 8


def test_the_vendors_cost_and_tier_are_read():
    tap = open_tap(asking_for_usage())
    tap.feed(sse(chunk({"content": "a"}, service_tier="flex")))
    tap.feed(b'data: {"choices":[],"usage":{"prompt_tokens":1,"cost":1.5e-05}}\n\n')
    assert tap.vendor_cost_nano_usd == 15_000
    assert tap.service_tier == "flex"


def test_a_json_answer_to_a_stream_request_becomes_a_stream():
    body = {
        "id": "chatcmpl-9",
        "object": "chat.completion",
        "created": 5,
        "model": "up",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "Hi",
                    "tool_calls": [{"id": "c", "function": {"name": "f"}}],
                },
                "finish_reason": "stop",
            }
        ],
        "usage": USAGE,
    }
    data = b"\n" + json.dumps(body).encode()
    for asked, frames in ((asking_for_usage(), 4), (request(stream=True), 3)):
        tap = open_tap(asked, model="up")
        out = run(tap, [data[:20], data[20:]])
        assert out.endswith(DONE)
        parts = out.decode().split("\n\n")[:-1]
        assert len(parts) == frames
        first = json.loads(parts[0][6:])
        assert first["model"] == "gpt-4o"
        assert first["object"] == "chat.completion.chunk"
        assert first["choices"][0]["delta"]["content"] == "Hi"
        assert first["choices"][0]["delta"]["tool_calls"][0]["index"] == 0
        assert tap.complete
        assert tap.usage == TokenUsage(input_tokens=9, output_tokens=2)


def test_a_json_error_to_a_stream_request_is_an_error():
    tap = open_tap(asking_for_usage())
    assert run(tap, [b'{"error":{"message":"no"}}']) == b""
    assert tap.error.message == "no"
    assert not tap.complete


def test_a_finished_answer_is_whole_even_if_its_last_frame_is_torn():
    tap = open_tap(asking_for_usage())
    data = sse(chunk({"content": "a"}), chunk({}, "stop"))
    assert run(tap, [data + b'data: {"choices":[],"us']) == data + DONE
    assert tap.complete


def test_a_json_answer_above_the_limit_is_refused():
    tap = open_tap(asking_for_usage())
    tap.feed(b"{")
    with pytest.raises(FramingError):
        tap.feed(b"x" * 41 * 1024 * 1024)


def test_padded_and_foreign_data_are_told_apart():
    tap = open_tap(asking_for_usage())
    padded = b"data:   " + sse(chunk({"content": "a"}))[6:]
    assert tap.feed(padded) == padded
    assert tap.feed(b"data: hello\n\n") == b""
    assert tap.error is not None


def test_a_web_page_is_not_an_answer():
    tap = open_tap(asking_for_usage())
    assert run(tap, [b"<html><body>502 Bad Gateway</body></html>"]) == b""
    assert not tap.useful
    assert not tap.complete


def test_the_proxys_own_frames_are_a_comment_and_an_error_without_a_terminator():
    stream = FORMAT.open_stream(request(stream=True), request_id="req-1")
    assert stream.keepalive() == b": keep-alive\n\n"
    frame = stream.error_frame(
        ErrorDetail(message="gone", code="upstream_truncated"), request_id="req-1"
    )
    assert frame.startswith(b"data: {")
    assert frame.endswith(b"}\n\n")
    error = msgspec.json.decode(frame[6:])["error"]
    assert error == {
        "message": "gone",
        "type": "server_error",
        "param": None,
        "code": "upstream_truncated",
        "request_id": "req-1",
    }


def test_numbers_json_does_not_have_break_no_stream():
    usage = b'{"choices": [], "usage": {"prompt_tokens": NaN, "completion_tokens": 4}}'
    asked = asking_for_usage()
    tap = open_tap(asked)
    out = run(
        tap,
        [sse(chunk({"content": "Hi"}), chunk({}, "stop")), b"data: " + usage + b"\n\n"],
    )
    assert tap.complete
    assert b"NaN" not in out
    assert tap.usage.output_tokens == 4


@pytest.mark.parametrize(
    "body",
    [
        b'data: {"choices":"x", "a": tru}\n\n',
        b'data: {"choices":[{"index":"' + b"9" * 5000 + b'"}]}\n\n',
        b'data: {"choices":[{"index":' + b"9" * 5000 + b"}]}\n\n",
        b'data: {"choices":[{"delta":{"content":"\xff"}}]}\n\n',
        b'data: {"choices":[[]],"model":"\xff"}\r\n\r\n',
        b'{"choices":["x"],"usage":{"prompt_tokens":1}}',
        b'{"choices":[{"message":"abc","finish_reason":"stop"}]}',
        b'{"choices":[{"message":{"tool_calls":[1]},"finish_reason":"stop"}]}',
        b'{"choices":[{"message":{"tool_calls":5},"finish_reason":"stop"}]}',
        b'{"choices":[{"message":{"content":"\xff"},"finish_reason":"stop"}]}',
    ],
)
def test_nothing_a_vendor_sends_breaks_the_tap(body):
    """An exception here would end the request: no failover, no word to the client."""
    request = FORMAT.read_request(b'{"model":"m","messages":[],"stream":true}')
    bridge = BRIDGE
    sent = bridge.build_request(request, Target(model="m"))
    for cut in (0, len(body) // 2, len(body) - 1):
        stream = FORMAT.open_stream(request, request_id="r")
        tap = bridge.open_tap(request, sent, stream)
        assert tap.feed(body[:cut]) + tap.feed(body[cut:]) + tap.eof() == b""
        assert not tap.complete
