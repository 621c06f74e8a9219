from __future__ import annotations

import json

import pytest

from providers.formats import base
from providers.formats.base import Arrival, FormatError
from tests.providers.formats.anthropic_messages.messages import FORMAT, asked, body


def test_a_request_is_peeked_into():
    request = asked(stream=True, service_tier="auto", system="Be kind.")
    assert request.dialect == "anthropic"
    assert (request.model, request.max_output_tokens) == ("claude-x", 100)
    assert request.stream
    assert request.include_usage
    assert request.service_tier == "auto"
    assert request.needs == 0
    spans = [request.body[first:last] for first, last in request.content_spans]
    assert spans == [b'"Be kind."', b'[{"role": "user", "content": "Hi"}]']


def test_max_tokens_may_be_missing_or_zero():
    raw = json.dumps({"model": "m", "messages": []}).encode()
    assert FORMAT.read_request(raw).max_output_tokens is None
    assert asked(max_tokens=0).max_output_tokens == 0


@pytest.mark.parametrize(
    ("user_id", "end_user", "session"),
    [
        ("plain", "plain", None),
        (
            "user_ab12_account__session_0123-4567-89",
            "user_ab12_account_",
            "0123-4567-89",
        ),
        (
            '{"device_id":"d","account_uuid":"a","session_id":"s-1"}',
            "a",
            "s-1",
        ),
        ('{"device_id":"d","account_uuid":"","session_id":"s-1"}', "d", "s-1"),
        ('{"session_id":"s-1"}', None, "s-1"),
        ("{broken", "{broken", None),
        (7, None, None),
        ("", None, None),
    ],
)
def test_t75_a_user_id_names_whom_and_which_session(user_id, end_user, session):
    request = asked(metadata={"user_id": user_id})
    assert (request.end_user, request.session) == (end_user, session)


@pytest.mark.parametrize(
    ("fields", "bit"),
    [
        ({"tools": [{"name": "t", "input_schema": {}}]}, base.NEED_TOOLS),
        ({"tools": []}, 0),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, base.NEED_REASONING),
        ({"thinking": {"type": "adaptive"}}, base.NEED_REASONING),
        ({"thinking": {"type": "disabled"}}, 0),
        ({"thinking": 3}, 0),
        (
            {"output_config": {"format": {"type": "json_schema", "schema": {}}}},
            base.NEED_JSON_SCHEMA,
        ),
        ({"output_config": {"effort": "low"}}, 0),
        ({"output_config": []}, 0),
        ({"output_format": {"type": "json_schema"}}, base.NEED_JSON_SCHEMA),
        (
            {"messages": [{"role": "user", "content": [{"type": "image"}]}]},
            base.NEED_VISION,
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "document"}]}]},
            base.NEED_FILES,
        ),
        ({"messages": [{"role": "user", "content": 'an "image" of'}]}, 0),
        ({"messages": [{"role": "user", "content": [{"text": "image"}]}]}, 0),
    ],
)
def test_what_a_model_must_be_able_to_do_is_seen(fields, bit):
    assert asked(**fields).needs == bit


@pytest.mark.parametrize(
    ("raw", "code", "param"),
    [
        (b"", "invalid_json", None),
        (b"[]", "invalid_json", None),
        (b'{"model":"a","model":"b","messages":[]}', "duplicate_field", None),
        (b'{"messages":[]}', "missing_field", "model"),
        (b'{"model":" ","messages":[]}', "invalid_value", "model"),
        (b'{"model":7,"messages":[]}', "invalid_value", "model"),
        (b'{"model":"m"}', "missing_field", "messages"),
        (b'{"model":"m","messages":{}}', "invalid_value", "messages"),
        (b'{"model":"m","messages":[],"stream":"x"}', "invalid_value", "stream"),
        (
            b'{"model":"m","messages":[],"max_tokens":-1}',
            "invalid_value",
            "max_tokens",
        ),
        (b'{"model":"%b","messages":[]}' % (b"m" * 513), "invalid_value", "model"),
        (b'{"a":' + b"[" * 100_000, "too_deep", None),
    ],
)
def test_what_is_no_request_is_refused_by_name(raw, code, param):
    with pytest.raises(FormatError) as caught:
        FORMAT.read_request(raw)
    assert (caught.value.code, caught.value.param) == (code, param)


def test_too_many_fields_are_refused():
    crowd = b",".join(b'"f%d":0' % number for number in range(2_000))
    with pytest.raises(FormatError, match="too many"):
        FORMAT.read_request(b'{"model":"m","messages":[],' + crowd + b"}")


def test_a_model_in_the_path_is_refused():
    with pytest.raises(FormatError, match="path"):
        FORMAT.read_request(body(), Arrival(path_model="m"))


def test_a_count_is_never_streamed():
    request = asked(Arrival(op="count_tokens"), stream=True)
    assert not request.stream
    assert request.max_output_tokens is None
