from __future__ import annotations

import json
from base64 import urlsafe_b64encode

import pytest

from providers.formats import registry
from providers.formats.base import FormatError, Target
from providers.formats.capabilities import capabilities
from providers.formats.envelopes.codex import INSTRUCTIONS
from providers.formats.neutral.types import (
    CacheMark,
    Request,
    Sampling,
    Text,
    Turn,
)
from tests.providers.formats.openai_responses.rs import (
    FIXTURES,
    FORMAT,
    parsed,
    request,
)

CODEX = registry.get("codex")
BRIDGE = registry.bridge("responses", "codex")
USER = Turn(role="user", parts=(Text(text="Hi"),))
TARGET = Target(model="gpt-5.5", options={"account_id": "acc-1"})


def sent_for(**fields):
    return BRIDGE.build_request(request(**fields), TARGET)


def body_for(**fields):
    return json.loads(sent_for(**fields).body)


def translated(**fields):
    asked = Request(**{"dialect": "openai", "model": "m", "turns": (USER,)} | fields)
    caps = capabilities("codex", "", "gpt-5.5")
    return CODEX.codec("gpt-5.5").encode_request(asked, TARGET, caps)


def test_t18_state_and_stream_are_forced_and_what_is_refused_is_named():
    sent = sent_for(
        stream=False,
        store=True,
        max_output_tokens=100,
        temperature=0.5,
        instructions="Be.",
        future={"a": 1},
    )
    body = json.loads(sent.body)
    assert (body["store"], body["stream"]) == (False, True)
    assert not body.keys() & {"max_output_tokens", "temperature"}
    assert body["future"] == {"a": 1}
    assert body["include"] == ["reasoning.encrypted_content"]
    assert set(sent.losses) == {"max_output_tokens", "temperature"}
    assert sent.is_stream
    assert sent.headers["chatgpt-account-id"] == "acc-1"


def test_t18_a_client_that_does_not_stream_gets_the_response_joined():
    asked = request(model="house")
    sent = BRIDGE.build_request(asked, TARGET)
    meta = BRIDGE.read_response(asked, sent, FIXTURES["codex"]["stream"].encode())
    made = json.loads(meta.body)
    assert made["model"] == "house"
    assert made["output"][0]["content"][0]["text"] == "Hé 🚢!"
    assert meta.usage.total_tokens == 48


def test_t18_a_client_that_streams_gets_the_frames():
    asked = request(model="house", stream=True)
    sent = BRIDGE.build_request(asked, TARGET)
    stream = FORMAT.open_stream(asked, request_id="r")
    tap = BRIDGE.open_tap(asked, sent, stream)
    out = tap.feed(FIXTURES["codex"]["stream"].encode()) + tap.eof()
    assert parsed(out)[-1]["type"] == "response.completed"
    assert tap.complete


def test_p18_system_messages_become_a_developers():
    system = {"role": "system", "content": "Be."}
    user = {"role": "user", "content": "Hi"}
    body = body_for(input=[system, user])
    assert body["input"] == [{"role": "developer", "content": "Be."}, user]
    assert "instructions" not in body


def test_without_any_instruction_there_is_one():
    body = body_for(input="Hi")
    assert body["instructions"] == INSTRUCTIONS
    assert body["input"] == [{"type": "message", "role": "user", "content": "Hi"}]
    said = body_for(input=[{"role": "developer", "content": "Be."}])
    assert "instructions" not in said
    assert body_for(instructions="Mine.")["instructions"] == "Mine."


def test_an_input_that_is_right_stays_as_it_is():
    body = b'{"model":"m","instructions":"a","input":[ {"role":"user","content":"b"} ]}'
    sent = BRIDGE.build_request(FORMAT.read_request(body), TARGET)
    assert b'[ {"role":"user","content":"b"} ]' in sent.body


def test_p60_reasoning_without_its_proof_stays_behind():
    bare = {"type": "reasoning", "id": "rs_1", "summary": []}
    proven = bare | {"encrypted_content": "gA"}
    user = {"role": "user", "content": "Hi"}
    assert body_for(input=[user, bare, proven])["input"] == [user, proven]


@pytest.mark.parametrize("include", [None, ["a"], 7])
def test_proof_is_asked_for_beside_what_the_client_asks(include):
    asked = ["a"] if include == ["a"] else []
    found = body_for(include=include)["include"]
    assert found == [*asked, "reasoning.encrypted_content"]


@pytest.mark.parametrize(
    "fields",
    [
        {"previous_response_id": "resp_1"},
        {"conversation": "conv_1"},
        {"input": [{"type": "item_reference", "id": "msg_1"}]},
    ],
)
def test_p119_kept_state_is_refused(fields):
    with pytest.raises(FormatError) as caught:
        sent_for(**fields)
    assert caught.value.param == "previous_response_id"


def test_state_that_is_null_is_no_state():
    assert "previous_response_id" not in body_for(previous_response_id=None)


def test_an_input_that_cannot_be_read_is_the_upstreams_to_refuse():
    assert body_for(input=[7])["input"] == [7]


def test_p8_a_translated_request_leaves_out_what_is_refused():
    encoded = translated(
        max_output=100, sampling=Sampling(temperature=0.5), end_user="u"
    )
    body = json.loads(encoded.body)
    assert not body.keys() & {"max_output_tokens", "temperature", "safety_identifier"}
    fields = {loss.field for loss in encoded.losses}
    assert fields == {"max_output_tokens", "temperature", "safety_identifier"}
    assert (body["store"], body["stream"]) == (False, True)
    assert body["instructions"] == INSTRUCTIONS
    assert encoded.is_stream
    assert encoded.headers["chatgpt-account-id"] == "acc-1"


def test_p18_translated_instructions_are_never_a_systems_items():
    def instruction(text):
        return Turn(role="instruction", parts=(Text(text=text),))

    body = json.loads(
        translated(
            instructions=(instruction("One"), instruction("Two")),
            turns=(USER, instruction("Three")),
        ).body
    )
    assert body["instructions"] == "One"
    assert [item["role"] for item in body["input"]] == [
        "developer",
        "user",
        "developer",
    ]


def test_p18_blocks_of_instructions_are_one_text_or_a_developers_item():
    blocks = Turn(role="instruction", parts=(Text(text="One"), Text(text="Two")))
    body = json.loads(translated(instructions=(blocks,)).body)
    assert body["instructions"] == "One\n\nTwo"
    marked = Turn(
        role="instruction",
        parts=(Text(text="One", cache=CacheMark()), Text(text="Two")),
    )
    body = json.loads(translated(instructions=(marked,)).body)
    assert "instructions" not in body
    assert [item["role"] for item in body["input"]] == ["developer", "user"]


def _token(claims):
    text = urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{text}.sig"


def test_a_token_names_its_account():
    claims = {"https://api.openai.com/auth": {"chatgpt_account_id": "acc-2"}}
    headers = CODEX.auth_headers(_token(claims))
    assert headers["chatgpt-account-id"] == "acc-2"
    assert headers["authorization"].startswith("Bearer e30.")


@pytest.mark.parametrize("secret", ["sk-1", "a.b.c", "a..c", _token({}), _token([])])
def test_a_token_that_names_none_is_only_a_bearer(secret):
    assert CODEX.auth_headers(secret) == {"authorization": f"Bearer {secret}"}


def test_clients_of_the_pool_do_not_speak_it():
    assert CODEX.routes == ()
    assert CODEX.relay("openai", "chat", "m") is None
    assert registry.bridge("openai", "codex", "m") is None or CODEX.codec("m")


def test_a_target_without_account_sends_none():
    sent = BRIDGE.build_request(request(), Target(model="m"))
    assert "chatgpt-account-id" not in sent.headers
