from __future__ import annotations

import pytest

from providers.formats.errors import ErrorDetail
from providers.formats.neutral.events import Failed, PartOpen, Start
from tests.providers.formats.openai_responses.rs import Client, answer, opened, parsed

IN_PROGRESS = "response.in_progress"


def _types(events):
    return [event["type"] for event in events]


def test_t118_a_fault_after_text_is_failed_and_never_completed():
    client = Client()
    made = client.bytes(*answer(opened("text", "a"))[:-3])
    made += client.bytes(Failed(error=ErrorDetail(message="Cut.")))
    detail = ErrorDetail(message="Cut.", code="upstream_truncated")
    made += client.stream.error_frame(detail, request_id="req-1")
    events = parsed(made)
    assert events[-1]["type"] == "response.failed"
    assert events[-1]["response"]["error"] == {
        "code": "upstream_truncated",
        "message": "Cut.",
        "request_id": "req-1",
    }
    assert events[-1]["response"]["id"] == events[0]["response"]["id"]
    numbers = [event["sequence_number"] for event in events]
    assert numbers == list(range(len(events)))
    assert "response.completed" not in _types(events)


@pytest.mark.parametrize(
    ("detail", "code"),
    [
        (ErrorDetail(status=429), "rate_limit_exceeded"),
        (ErrorDetail(type="overloaded_error"), "slow_down"),
        (ErrorDetail(code="server_is_overloaded"), "slow_down"),
        (ErrorDetail(status=503), "slow_down"),
        (ErrorDetail(code="context_length_exceeded"), "context_length_exceeded"),
        (ErrorDetail(), "server_error"),
    ],
)
def test_p91_an_error_before_anything_opens_the_stream_first(detail, code):
    events = parsed(Client().stream.error_frame(detail, request_id="r"))
    assert _types(events) == ["response.created", "response.failed"]
    assert events[1]["response"]["error"]["code"] == code


def test_t120_keep_alives_open_the_stream_and_repeat_that_it_is_in_progress():
    client = Client()
    out = client.stream.keepalive() + client.stream.keepalive()
    out += client.bytes(*answer(opened("text", "a")))
    events = parsed(out)
    assert _types(events)[:4] == [
        "response.created",
        IN_PROGRESS,
        IN_PROGRESS,
        "response.output_item.added",
    ]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    ids = {event["response"]["id"] for event in events if "response" in event}
    assert ids == {"resp_1"}


def test_t120_a_keep_alive_in_the_middle_counts_on():
    client = Client()
    made = answer(opened("text", "a", "b"))
    out = client.bytes(*made[:3]) + client.stream.keepalive() + client.bytes(*made[3:])
    numbers = [event["sequence_number"] for event in parsed(out)]
    assert numbers == list(range(len(numbers)))


def test_t127_an_attempt_that_was_thrown_away_opened_nothing():
    client = Client()
    assert client.bytes(Start(id="a"), PartOpen(pos=0, kind="text")) == b""
    assert not client.stream.is_open
    assert client.stream.sequence == 0
