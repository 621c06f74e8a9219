from __future__ import annotations

import json
import time

import pytest

from pricing.cost import PriceSpec
from pricing.estimate import estimate_input_tokens, reserve
from providers.formats import base
from providers.formats.base import Arrival, FormatError, Target
from tests.providers.formats.chat import BRIDGE, FORMAT, request


def _patched(asked, **changes):
    return BRIDGE.build_request(asked, Target(**{"model": asked.model, **changes}))


def test_a_request_is_read_without_being_changed():
    body = (
        b'{ "model":"gpt-4o", "messages": [ {"role":"user","content":"Hi"} ],\n'
        b'"stream":true, "stream_options":{"include_usage":true},"max_tokens":9,'
        b'"n":2,"user":"bob","service_tier":"flex","prompt_cache_key":"k","unknown":{"a":1}}'
    )
    asked = FORMAT.read_request(body)
    assert asked.body is body
    assert asked.model == "gpt-4o"
    assert asked.stream
    assert asked.include_usage
    assert asked.max_output_tokens == 9
    assert asked.n == 2
    assert asked.end_user == "bob"
    assert asked.service_tier == "flex"
    assert asked.prompt_cache_key == "k"
    assert asked.needs == base.NEED_CHOICES
    assert _patched(asked).body is body
    assert not _patched(asked).usage_injected


def test_defaults_are_those_of_the_dialect():
    asked = request()
    assert not asked.stream
    assert not asked.include_usage
    assert asked.max_output_tokens is None
    assert asked.n == 1
    assert asked.needs == 0
    assert asked.session is None
    sent = _patched(asked)
    assert sent.body is asked.body
    assert sent.path == "/chat/completions"


def test_nulls_are_absent():
    asked = request(
        stream=None, n=None, max_tokens=None, stream_options=None, user=None
    )
    assert (asked.stream, asked.n, asked.max_output_tokens) == (False, 1, None)


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        (b"", "invalid_json", None),
        (b"{", "invalid_json", None),
        (b"hello", "invalid_json", None),
        (b"[]", "invalid_json", None),
        (b'"x"', "invalid_json", None),
        (b"{}", "missing_field", "model"),
        (b'{"model":null,"messages":[]}', "invalid_value", "model"),
        (b'{"model":7,"messages":[]}', "invalid_value", "model"),
        (b'{"model":" ","messages":[]}', "invalid_value", "model"),
        (b'{"model":"' + b"x" * 600 + b'","messages":[]}', "invalid_value", "model"),
        (b'{"model":"a"}', "missing_field", "messages"),
        (b'{"model":"a","messages":"x"}', "invalid_value", "messages"),
        (b'{"model":"a","messages":null}', "invalid_value", "messages"),
        (b'{"model":"a","input":"x"}', "wrong_endpoint", "input"),
        (b'{"model":"a","messages":[],"n":0}', "invalid_value", "n"),
        (b'{"model":"a","messages":[],"n":129}', "invalid_value", "n"),
        (b'{"model":"a","messages":[],"n":"2"}', "invalid_value", "n"),
        (b'{"model":"a","messages":[],"stream":"yes"}', "invalid_value", "stream"),
        (
            b'{"model":"a","messages":[],"stream":true,"stream_options":7}',
            "invalid_value",
            "stream_options",
        ),
        (b'{"model":"a","messages":[],"max_tokens":0}', "invalid_value", "max_tokens"),
        (
            b'{"model":"a","messages":[],"max_completion_tokens":1.5}',
            "invalid_value",
            "max_completion_tokens",
        ),
        (b'{"model":"a","model":"b","messages":[]}', "duplicate_field", None),
        (
            b'{"model":"a","messages":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
            "too_deep",
            None,
        ),
    ],
)
def test_a_bad_body_is_refused_with_its_field(body, code, param):
    with pytest.raises(FormatError) as caught:
        FORMAT.read_request(body)
    assert caught.value.status == 400
    assert caught.value.code == code
    assert caught.value.param == param
    assert caught.value.message.endswith(".")


def test_a_responses_body_is_told_where_to_go():
    with pytest.raises(FormatError, match="/v1/responses"):
        FORMAT.read_request(b'{"model":"a","input":"x"}')


def test_the_smaller_of_both_limits_counts():
    asked = request(max_tokens=50, max_completion_tokens=20)
    assert asked.max_output_tokens == 20


@pytest.mark.parametrize(
    ("fields", "needs"),
    [
        ({"tools": [{"type": "function"}]}, base.NEED_TOOLS),
        ({"tools": []}, 0),
        ({"functions": [{"name": "f"}]}, base.NEED_TOOLS),
        ({"logprobs": True}, base.NEED_LOGPROBS),
        ({"logprobs": False}, 0),
        ({"response_format": {"type": "json_schema"}}, base.NEED_JSON_SCHEMA),
        ({"response_format": {"type": "json_object"}}, 0),
        ({"response_format": "odd"}, 0),
        ({"modalities": ["text", "audio"]}, base.NEED_AUDIO),
        ({"reasoning_effort": "high"}, base.NEED_REASONING),
        ({"reasoning_effort": "none"}, 0),
        ({"n": 2}, base.NEED_CHOICES),
    ],
)
def test_what_a_model_must_be_able_to_do_is_seen(fields, needs):
    assert request(**fields).needs == needs


@pytest.mark.parametrize(
    ("part", "needs"),
    [
        ({"type": "image_url", "image_url": {"url": "x"}}, base.NEED_VISION),
        ({"type": "input_audio", "input_audio": {"data": "x"}}, base.NEED_AUDIO),
        ({"type": "file", "file": {"file_id": "x"}}, base.NEED_FILES),
        ({"type": "text", "text": '{"type":"image_url"}'}, 0),
        ({"type": "text", "text": "image_url"}, 0),
        ({"type": "text", "text": "file"}, 0),
    ],
)
def test_media_are_seen_and_talk_of_media_is_not(part, needs):
    asked = request(messages=[{"role": "user", "content": [part]}])
    assert asked.needs == needs


@pytest.mark.parametrize(
    ("metadata", "session"),
    [
        ({"session_id": "s-1"}, "s-1"),
        ({"user_id": "user_ab_account_cd_session_0f-12345678"}, "0f-12345678"),
        ({"user_id": '{"session_id":"s-2"}'}, "s-2"),
        ({"user_id": "bob"}, None),
        ({"user_id": "{broken"}, None),
        ({"session_id": 7}, None),
        ("odd", None),
        (None, None),
    ],
)
def test_a_session_is_found_in_the_metadata(metadata, session):
    assert request(metadata=metadata).session == session


def test_the_safety_identifier_goes_before_the_user():
    assert request(user="bob", safety_identifier="s").end_user == "s"
    assert request(user=7).end_user is None


def test_only_the_model_changes_for_another_upstream_name():
    body = b'{"messages":[{"role":"user","content":"\\u00e9 model"}] , "model" : "a","x":1.0}'
    asked = FORMAT.read_request(body)
    sent = _patched(asked, model='up"1')
    assert sent.body == body.replace(b'"a"', b'"up\\"1"')
    assert sent.model == 'up"1'


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (b"", b',"stream_options":{"include_usage":true}'),
        (b',"stream_options":null', b',"stream_options":{"include_usage":true}'),
        (b',"stream_options":{}', b',"stream_options":{"include_usage":true}'),
        (
            b',"stream_options":{"include_usage":false}',
            b',"stream_options":{"include_usage":true}',
        ),
        (
            b',"stream_options":{"x":1,"x":2}',
            b',"stream_options":{"include_usage":true}',
        ),
        (
            b',"stream_options": { "include_obfuscation" : false }',
            b',"stream_options": { "include_obfuscation" : false,"include_usage":true }',
        ),
    ],
)
def test_t9_usage_is_asked_for_where_the_client_did_not(options, expected):
    head = b'{"model":"a","messages":[],"stream":true'
    asked = FORMAT.read_request(head + options + b"}")
    assert not asked.include_usage
    sent = _patched(asked)
    assert sent.usage_injected
    assert sent.body == head + expected + b"}"


def test_an_upstream_that_refuses_stream_options_is_not_sent_any():
    asked = request(stream=True, stream_options={"include_usage": True}, seed=1)
    sent = _patched(asked, drop=frozenset({"stream_options", "seed", "top_k"}))
    assert not sent.usage_injected
    assert set(json.loads(sent.body)) == {"model", "messages", "stream"}
    assert sent.losses == ("seed", "stream_options")
    plain = request(stream=True)
    assert _patched(plain, drop=frozenset({"stream_options"})).body is plain.body


def test_the_input_is_what_the_model_reads():
    small = request(metadata={"note": "x" * 9_000})
    assert estimate_input_tokens(small.body, "gpt-4o", spans=small.content_spans) < 20
    large = request(tools=[{"type": "function", "x": "y" * 9_000}])
    assert (
        estimate_input_tokens(large.body, "gpt-4o", spans=large.content_spans) > 2_000
    )


def test_a_path_model_is_not_this_dialects():
    with pytest.raises(FormatError):
        FORMAT.read_request(b"{}", Arrival(path_model="x"))


def test_a_repr_shows_no_prompt():
    asked = request(messages=[{"role": "user", "content": "secret"}])
    assert "secret" not in repr(asked)
    assert "secret" not in repr(_patched(asked))


@pytest.mark.parametrize(
    "body",
    [
        b'{"mod\xffel":"m","model":"m","messages":[]}',
        b'{"model":"\xff","messages":[]}',
        b'{"model":"m","messages":[],"stream":true,"stream_options":"\xff"}',
    ],
)
def test_text_that_is_not_utf8_is_the_clients_fault(body):
    with pytest.raises(FormatError):
        FORMAT.read_request(body)


@pytest.mark.parametrize("text", [b'"\xff"', b'"\\ud800"', b'"\\q"'])
@pytest.mark.parametrize("field", ["user", "prompt_cache_key", "service_tier"])
def test_unreadable_text_in_a_field_nothing_depends_on_reads_as_absent(field, text):
    body = b'{"model":"m","messages":[],"%b":%b}' % (field.encode(), text)
    try:
        request = FORMAT.read_request(body)
    except FormatError:
        return
    assert getattr(request, "end_user" if field == "user" else field) is None


def test_an_absurd_maximum_stays_a_number_the_ledger_can_hold():
    body = b'{"model":"m","messages":[],"max_tokens":%d,"n":128}' % 2**63
    asked = FORMAT.read_request(body).max_output_tokens
    dearest = PriceSpec(input=0, output=1_000 * 10**9)
    reserved = reserve(input_tokens=1, asked_output=asked, n=128, price=dearest)
    assert reserved.cost_nano_usd < 2**63


def test_a_body_of_a_million_fields_is_refused():
    body = b"{" + b",".join(b'"k%d":1' % n for n in range(100_000)) + b"}"
    with pytest.raises(FormatError) as refused:
        FORMAT.read_request(body)
    assert refused.value.code == "too_many_fields"


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"m","messages":[' + b",".join([b'"file"'] * 500_000) + b"]}",
        b'{"' + b"a" * 4_000_000 + b'":1,"model":"m","messages":[]}',
        b'{"model":"m","messages":[]' + b" " * 4_000_000 + b"}",
    ],
)
def test_a_body_made_to_be_slow_is_read_as_fast_as_any(body):
    start = time.perf_counter()
    FORMAT.read_request(body)
    assert time.perf_counter() - start < 0.3
