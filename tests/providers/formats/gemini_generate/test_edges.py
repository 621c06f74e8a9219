"""Odd shapes that real servers and clients send now and then."""

from __future__ import annotations

import json
from base64 import b64encode

import msgspec
import pytest

from pricing.tokens import TokenUsage
from providers.formats import registry
from providers.formats.base import MAX_LOOSE_ITEMS, FormatError, Target
from providers.formats.errors import ErrorDetail
from providers.formats.gemini_generate.grounding import grounding_body, read_grounding
from providers.formats.gemini_generate.logprobs import logprobs_body, read_logprobs
from providers.formats.gemini_generate.schema import from_gemini, to_gemini
from providers.formats.gemini_generate.usage import UsageReader, usage_body
from providers.formats.neutral.events import (
    End,
    Failed,
    PartClose,
    PartOpen,
    UnknownSeen,
)
from providers.formats.neutral.gather import gather
from providers.formats.neutral.repair import Repair
from providers.formats.neutral.types import (
    Citation,
    Media,
    OutputFormat,
    Refusal,
    Sampling,
    Text,
    Tool,
    ToolCall,
    ToolResult,
    Turn,
)
from tests.providers.formats.envelopes.test_cloudcode import inbound
from tests.providers.formats.gemini_generate.gemini import (
    CODEC,
    FORMAT,
    asked,
    body_of,
    events,
    frames_of,
    neutral,
    request,
    sent,
    stream_of,
    user,
    view,
    whole_events,
    written,
)


def raw(value):
    return msgspec.Raw(
        value if isinstance(value, bytes) else json.dumps(value).encode()
    )


def clean(schema):
    made = to_gemini(raw({"type": "object", "properties": {"x": schema}}))
    return made["properties"]["x"]


def streamed(*candidates):
    return b"".join(
        b"data: " + json.dumps({"candidates": [each]}).encode() + b"\r\n\r\n"
        for each in candidates
    )


def parts(*found, **more):
    return {"content": {"parts": list(found)}, **more}


def test_log_probabilities_without_a_text_of_their_own_are_kept():
    result = {"chosenCandidates": [{"token": "x", "logProbability": -1}, 5]}
    data = streamed(
        parts({"text": "x"}),
        parts({"text": ""}, finishReason="STOP", logprobsResult=result),
    )
    assert len(gather(events(data)).choices[0].logprobs) == 1
    assert read_logprobs(raw(b"[]")) is None
    assert read_logprobs(raw({})) is None
    assert logprobs_body([raw(b"{}")]) is None


def test_proof_of_a_thought_in_a_stream_stays_on_it():
    data = streamed(
        parts({"text": "Hm", "thought": True, "thoughtSignature": "s"}),
        parts({"text": "x"}, finishReason="STOP"),
    )
    thought, _ = gather(events(data)).choices[0].parts
    assert thought.opaque[0].data == "s"


def test_proof_of_a_picture_stands_behind_it():
    blob = {
        "inlineData": {"mimeType": "image/png", "data": "aGk="},
        "thoughtSignature": "s",
    }
    picture, proof = (
        gather(events(streamed(parts(blob, finishReason="STOP")))).choices[0].parts
    )
    assert isinstance(picture, Media)
    assert proof.opaque[0].data == "s"


def test_calls_of_an_answer_without_an_id_get_different_ones_each_time():
    data = streamed(parts({"functionCall": {"name": "f"}}, finishReason="STOP"))
    first, second = (gather(events(data)).choices[0].parts[0].id for _ in range(2))
    assert first != second


def test_a_list_of_torn_frames_and_odd_errors_are_failures():
    assert isinstance(
        events(b'data: {"error":{"message":"m"},"candidates":3}\n\n')[-1], Failed
    )
    assert isinstance(events(b"data: [}\n\n")[-1], Failed)
    assert events(b"data: {}\n\n: bye\n")[0:1] == []
    assert events(b'data: {"candidates":[{"fin') == []


def test_parts_gemini_has_no_word_for_are_left_out_of_an_answer():
    found = [
        PartOpen(pos=0, kind="unknown"),
        UnknownSeen(pos=0, dialect="anthropic", type="x", payload=raw({})),
        PartClose(pos=0),
        PartOpen(pos=1, kind="tool_call", name="f"),
        PartClose(pos=1),
        PartOpen(pos=2, kind="reasoning"),
        PartClose(pos=2),
        End(),
    ]
    events_ = Repair().feed(found)
    first, _ = frames_of(written(events_)[0])
    wire = [{"functionCall": {"name": "f", "args": {}}}]
    assert first["candidates"][0]["content"]["parts"] == wire
    body = json.loads(CODEC.encode_answer(gather(events_), view()))
    assert body["candidates"][0]["content"]["parts"] == wire


def test_the_skip_value_is_known_in_base64_too():
    skip = b"skip_thought_signature_validator"
    part = {"functionCall": {"name": "f"}, "thoughtSignature": b64encode(skip).decode()}
    (turn,) = neutral({"contents": [{"role": "model", "parts": [part]}]}).turns
    assert turn.parts[0].opaque == ()


def test_json_in_words_without_a_schema():
    tool = Tool(kind="function", name="f")
    made = request(tools=(tool,), output=OutputFormat(kind="json"))
    body = body_of(made, "gemini-2.0-flash")
    assert body["systemInstruction"]["parts"][0]["text"].startswith("Answer with JSON")


def test_learned_refusals_of_what_is_not_there_change_nothing():
    _, body = sent(request(), drop=frozenset({"a", "b.c"}))
    assert body.keys() == {"contents"}


def test_a_second_word_about_the_prompt_is_not_heard():
    blocked = b'data: {"promptFeedback":{"blockReason":"OTHER"}}\r\n\r\n'
    assert len(gather(events(blocked + blocked)).choices) == 1


def test_odd_usage_is_not_believed():
    reader = UsageReader()
    assert reader.take(raw({"promptTokenCount": None})) is None
    assert reader.take(raw({"promptTokenCount": None})) is None
    reader = UsageReader()
    assert reader.take(raw(b"[]")) is None
    assert reader.flags == ("usage:type",)
    assert reader.take(raw({})) is None
    assert reader.take(raw({"totalTokenCount": 9})) == TokenUsage(input_tokens=9)
    details = {"promptTokensDetails": [3, {"modality": 1}], "promptTokenCount": 2}
    assert UsageReader().take(raw(details)) == TokenUsage(input_tokens=2)
    said = usage_body(TokenUsage(input_tokens=1, audio_in_tokens=2, image_out_tokens=3))
    assert said["promptTokensDetails"] == [{"modality": "AUDIO", "tokenCount": 2}]
    assert said["candidatesTokensDetails"] == [{"modality": "IMAGE", "tokenCount": 3}]


def test_odd_grounding_cites_what_it_can():
    said = {
        "groundingChunks": [{"web": {"uri": "u"}}, {"x": 1}, 7],
        "groundingSupports": [
            {"segment": 3},
            {
                "segment": {"endIndex": 99, "text": "word"},
                "groundingChunkIndices": [0, 9, "x"],
            },
            {
                "segment": {"startIndex": 0, "endIndex": 2, "text": "no"},
                "groundingChunkIndices": [0],
            },
        ],
    }
    found = list(read_grounding(raw(said), "a word"))
    assert [(each.start, each.end) for each in found] == [(2, 6), (None, None)]
    assert list(read_grounding(raw(b"[]"), "x")) == []


def test_citations_share_their_source_and_may_lack_a_place():
    cited = [
        (0, "é x", Citation(url="u", start=2, end=3)),
        (2, "y", Citation(url="u", start=0, end=1)),
    ]
    body = grounding_body(cited)
    assert len(body["groundingChunks"]) == 1
    first, second = (each["segment"] for each in body["groundingSupports"])
    assert (first["startIndex"], first["endIndex"], first["text"]) == (3, 4, "x")
    assert second["partIndex"] == 2
    assert "groundingSupports" not in grounding_body([(0, "", Citation(url="u"))])


@pytest.mark.parametrize(
    ("schema", "made"),
    [
        ({"allOf": [3]}, {"type": "STRING"}),
        ({"minimum": 1, "type": "integer"}, {"type": "INTEGER", "minimum": 1}),
        ({"enum": [None]}, {"type": "STRING", "nullable": True}),
        ({"const": 3}, {"type": "INTEGER", "description": "One of: 3."}),
        ({"items": {}}, {"type": "ARRAY", "items": {"type": "STRING"}}),
        ({"anyOf": [True, {"type": "string"}]}, {"type": "STRING"}),
        (
            {
                "properties": {"a": {}},
                "required": ["b"],
                "propertyOrdering": ["a", "z"],
            },
            {
                "type": "OBJECT",
                "properties": {"a": {"type": "STRING"}},
                "propertyOrdering": ["a"],
            },
        ),
        (
            {
                "type": "object",
                "additionalProperties": {
                    "anyOf": [{"type": "string"}, {"type": "number"}]
                },
            },
            {
                "type": "OBJECT",
                "properties": {
                    "any_key": {"anyOf": [{"type": "STRING"}, {"type": "NUMBER"}]}
                },
            },
        ),
    ],
)
def test_odd_schemas(schema, made):
    assert clean(schema) == made


def test_a_choice_at_the_root_and_bottomless_schemas():
    assert to_gemini(raw({"anyOf": [{"type": "string"}]})) == {"type": "STRING"}
    deep = {"type": "STRING"}
    for _ in range(80):
        deep = {"type": "ARRAY", "items": deep}
    for turn in (to_gemini, from_gemini):
        with pytest.raises(FormatError):
            turn(raw(deep))
    assert json.loads(bytes(from_gemini(raw({"items": True, "nullable": True})))) == {
        "items": True
    }


def test_odd_contents_are_read():
    made = neutral(
        {
            "contents": [
                {"role": "model", "parts": []},
                {"role": "system", "parts": ["Be brief."]},
                {
                    "role": "user",
                    "parts": [
                        {
                            "functionResponse": {
                                "name": "f",
                                "response": {"a": 1, "b": 2},
                                "parts": [
                                    {
                                        "inlineData": {
                                            "mimeType": "image/png",
                                            "data": "aGk=",
                                        }
                                    },
                                    {},
                                ],
                            }
                        },
                        {"functionResponse": {"name": "g", "response": [1]}},
                    ],
                },
            ],
            "generationConfig": {"stopSequences": "END"},
        }
    )
    instruction, tools = made.turns
    assert instruction.parts == (Text(text="Be brief."),)
    assert len(tools.parts[0].content) == 2
    assert tools.parts[1].json is None
    assert made.sampling.stop == ("END",)


def test_wishes_and_parts_without_a_word():
    turns = (
        user("x"),
        Turn(role="assistant", parts=(ToolCall(name="f"), Refusal(text="r"))),
        Turn(role="tool", parts=(ToolResult(call_id="c"), Text(text="t"))),
        Turn(role="user", parts=()),
    )
    _, body = sent(request(*turns, sampling=Sampling(logprobs=False)))
    _, model, tool = body["contents"]
    assert "id" not in model["parts"][0]["functionCall"]
    assert tool["parts"][0]["functionResponse"]["name"] == "unknown"
    assert tool["parts"][1] == {"text": "t"}
    found = sent(request(Turn(role="user", parts=(ToolResult(),))))[0].losses
    assert found[0].field == "toolresult"
    named = {
        "inlineData": {"mimeType": "image/png", "data": "aGk=", "displayName": "n"}
    }
    assert body_of(neutral({"contents": [{"parts": [named]}]}))["contents"][0][
        "parts"
    ] == [named]


def test_code_assist_clients_get_every_frame_in_the_envelope():
    found = events(stream_of("text"))
    frames = frames_of(written(found, inbound())[0])
    assert all(each["traceId"] == "r-1" for each in frames)
    assert frames[-1]["response"]["candidates"][0]["finishReason"] == "STOP"
    body = CODEC.encode_answer(gather(found), view(inbound()))
    assert json.loads(body)["response"]["responseId"] == "r-1"


def test_errors_without_an_id_and_crowded_ones():
    _, body = FORMAT.build_error(500, ErrorDetail(), request_id="")
    assert json.loads(body)["error"]["details"] == []
    crowded = b"[" + b"1," * (MAX_LOOSE_ITEMS + 1) + b"1]"
    assert FORMAT.read_error(500, crowded).status == 500


def test_bodies_too_large_in_number_or_depth_are_refused():
    many = b'{"a":' + b"[" * 3000 + b"]" * 3000 + b"}"
    crowd = b"{" + b",".join(b'"k%d":1' % at for at in range(1500)) + b"}"
    for body in (many, crowd):
        with pytest.raises(FormatError):
            asked(body)


@pytest.mark.parametrize(
    "pair",
    [("google", "cloudcode"), ("cloudcode", "google"), ("cloudcode", "cloudcode")],
)
@pytest.mark.parametrize(
    "body", [b"[1]", b'{"error":{"message":"m"}}', b"{}", b"{oops"]
)
def test_envelopes_leave_alone_what_is_no_answer(pair, body):
    bridge = registry.bridge(*pair, "up")
    client = (
        asked(stream=False)
        if pair[0] == "google"
        else inbound(method="generateContent")
    )
    sent_on = bridge.build_request(client, Target(model="up"))
    assert bridge.read_response(client, sent_on, body).error is not None


def test_an_answer_renamed_by_its_place_or_by_its_members():
    bridge = registry.bridge("google", "google", "up")
    client = asked(stream=False)
    sent_on = bridge.build_request(client, Target(model="up"))
    same = b'{"modelVersion":"gemini-2.5-flash","candidates":[{"finishReason":"STOP"}]}'
    assert bridge.read_response(client, sent_on, same).body == same
    inner = b'{"candidates":[{"finishReason":"STOP","x":{"modelVersion":"y"}}]}'
    assert bridge.read_response(client, sent_on, inner).body == inner


def test_a_tap_of_a_foreign_stream_makes_its_own():
    bridge = registry.bridge("google", "google", "up")
    client = asked()
    sent_on = bridge.build_request(client, Target(model="up"))
    other = registry.get("openai").open_stream(client, request_id="q")
    tap = bridge.open_tap(client, sent_on, other)
    assert frames_of(tap.feed(stream_of("text")) + tap.eof())
    assert CODEC.open_encoder(view(client), other).encode(whole_events(b"{}")) == b""
