from __future__ import annotations

import json

import pytest

from providers.formats import base
from providers.formats.base import Arrival, FormatError
from tests.providers.formats.openai_responses.rs import FORMAT, request


def test_what_the_rooms_must_know_is_read():
    asked = request(
        stream=True,
        max_output_tokens=50,
        safety_identifier="u",
        prompt_cache_key="k",
        service_tier="flex",
        client_metadata={"session_id": "s"},
    )
    assert (asked.dialect, asked.model, asked.stream) == ("responses", "m", True)
    assert (asked.max_output_tokens, asked.end_user) == (50, "u")
    assert (asked.prompt_cache_key, asked.session) == ("k", "s")
    assert asked.service_tier == "flex"
    assert "Hi" not in repr(asked)


def test_what_a_model_reads_is_where_it_stands():
    asked = request(instructions="Be.", tools=[{"type": "web_search"}], user="u")
    read = [asked.body[start:end] for start, end in asked.content_spans]
    assert read == [b'"Be."', b'"Hi"', b'[{"type": "web_search"}]']


@pytest.mark.parametrize(
    ("fields", "need"),
    [
        ({"tools": [{"type": "web_search"}]}, base.NEED_TOOLS),
        ({"input": [{"type": "additional_tools", "tools": []}]}, base.NEED_TOOLS),
        ({"input": [{"type": "input_image"}]}, base.NEED_VISION),
        ({"input": [{"type": "input_audio"}]}, base.NEED_AUDIO),
        ({"input": [{"type": "input_file"}]}, base.NEED_FILES),
        ({"text": {"format": {"type": "json_schema"}}}, base.NEED_JSON_SCHEMA),
        ({"include": ["message.output_text.logprobs"]}, base.NEED_LOGPROBS),
        ({"reasoning": {"effort": "low"}}, base.NEED_REASONING),
        ({"reasoning": {"effort": "none"}}, 0),
        ({"tools": []}, 0),
        ({"input": 'say "input_image"'}, 0),
        ({"reasoning": "much"}, 0),
        ({}, 0),
    ],
)
def test_what_a_request_needs_is_found_without_parsing_it(fields, need):
    assert request(**fields).needs == need


def test_a_session_is_found_in_metadata_and_headers():
    body = json.dumps({"model": "m", "input": "a", "metadata": {"thread_id": "t"}})
    assert FORMAT.read_request(body.encode()).session == "t"
    arrival = Arrival(fields={b"session-id": b"h"})
    plain = b'{"model":"m","input":"a","client_metadata":7}'
    assert FORMAT.read_request(plain, arrival).session == "h"
    assert FORMAT.read_request(plain).session is None


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        (b"nonsense", "invalid_json", None),
        (b"[]", "invalid_json", None),
        (b'{"input":' + b"[" * 3000, "too_deep", None),
        (b'{"model":"m","model":"n"}', "duplicate_field", None),
        (
            json.dumps(dict.fromkeys(map(str, range(2000)))).encode(),
            "too_many_fields",
            None,
        ),
        (b'{"input":"a"}', "missing_field", "model"),
        (b'{"model":" ","input":"a"}', "invalid_value", "model"),
        (b'{"model":7,"input":"a"}', "invalid_value", "model"),
        (json.dumps({"model": "m" * 600}).encode(), "invalid_value", "model"),
        (b'{"model":"m"}', "missing_field", "input"),
        (b'{"model":"m","input":7}', "invalid_value", "input"),
        (b'{"model":"m","messages":[]}', "wrong_endpoint", "messages"),
        (b'{"model":"m","input":"a","stream":"yes"}', "invalid_value", "stream"),
        (
            b'{"model":"m","input":"a","max_output_tokens":0}',
            "invalid_value",
            "max_output_tokens",
        ),
    ],
)
def test_t131_what_is_no_request_is_refused(body, code, param):
    with pytest.raises(FormatError) as caught:
        FORMAT.read_request(body)
    assert (caught.value.code, caught.value.param) == (code, param)


def test_kept_state_stands_in_for_an_input():
    body = b'{"model":"m","previous_response_id":"resp_1"}'
    assert FORMAT.read_request(body).model == "m"


def test_a_path_with_a_model_is_not_ours():
    with pytest.raises(FormatError):
        FORMAT.read_request(b"{}", Arrival(path_model="m"))
