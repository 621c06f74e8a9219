"""Odd answers: whatever a server or a model of another maker may come up with."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pricing.tokens import TokenUsage
from providers.formats.base import Arrival, FormatError, Target
from providers.formats.bedrock_converse.answer_out import ConverseEncoder, encode_answer
from providers.formats.bedrock_converse.dialect import FORMAT
from providers.formats.bedrock_converse.usage import read_usage, worded_usage
from providers.formats.errors import ErrorDetail
from providers.formats.framing_eventstream import encode_frame
from providers.formats.neutral.codec import Reply
from providers.formats.neutral.events import (
    Answer,
    AnyEvent,
    Choice,
    CitationSeen,
    Delta,
    End,
    Failed,
    Finish,
    FinishReason,
    MediaSeen,
    Meta,
    OpaqueSeen,
    PartClose,
    PartOpen,
    Start,
    UnknownSeen,
    UsageSeen,
)
from providers.formats.neutral.gather import gather
from providers.formats.neutral.repair import Repair
from providers.formats.neutral.smuggle import is_packed
from providers.formats.neutral.types import (
    Citation,
    Media,
    Opaque,
    Reasoning,
    Refusal,
    Text,
)
from tests.providers.formats.bedrock_converse.talk import (
    CLAUDE,
    CODEC,
    FIXTURES,
    ask,
    decoded,
    frames,
    read_frames,
)

GOOGLE = Opaque(family="google", slot="thought_signature", data="x")


def whole(body: Any) -> Answer:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return gather(Repair().feed(CODEC.decode_answer(data, Reply(model=CLAUDE))))


def answer(*content: Any, **fields: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": list(content)}
    return {"output": {"message": message}, "stopReason": "end_turn", **fields}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"output":{}}',
        b'{"output":{"message":{"content":[]}}}',
        b'{"output":{"message":{"content":[{"text":5}]}},"stopReason":"end_turn"}',
        b'{"x":[' + b"1," * 600_000 + b"1]}",
    ],
)
def test_what_is_no_answer_is_a_failure(body: bytes) -> None:
    read = whole(body)
    assert read.error is not None
    assert not read.is_complete


def test_an_error_under_a_200_is_an_error() -> None:
    read = whole({"__type": "ThrottlingException", "message": "Slow down"})
    assert read.error is not None
    assert (read.error.status, read.error.message) == (429, "Slow down")


def test_pictures_come_and_what_a_server_ran_does_not() -> None:
    picture = {"image": {"format": "png", "source": {"bytes": "AAAA"}}}
    remote = {"image": {"format": "png", "source": {"s3Location": {"uri": "s3://b"}}}}
    read = whole(answer(picture, remote, {"guardContent": {}}, usage={}))
    (part,) = read.choices[0].parts
    assert isinstance(part, Media)
    assert part.data == "AAAA"
    assert read.usage is None


@pytest.mark.parametrize(
    ("extra", "sequence"),
    [
        ({"stop_sequence": "END"}, "END"),
        ({"delta": {"stop_sequence": "END"}}, "END"),
        ({"delta": {"stop_sequence": None}}, ""),
        ([], ""),
        (None, ""),
    ],
)
def test_t97_the_stop_sequence_that_was_met_is_kept(extra: Any, sequence: str) -> None:
    fields = {"stopReason": "stop_sequence", "additionalModelResponseFields": extra}
    read = whole(answer({"text": "a"}, **fields))
    assert read.choices[0].finish.stop_sequence == sequence
    told = json.loads(encode_answer(read))
    assert ("additionalModelResponseFields" in told) is bool(sequence)
    stop = ["messageStop", fields]
    streamed = gather(decoded(frames([["messageStart", {}], stop])))
    assert streamed.choices[0].finish.stop_sequence == sequence


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        ("end", "end_turn"),
        ("stop_sequence", "stop_sequence"),
        ("max_tokens", "max_tokens"),
        ("context_full", "model_context_window_exceeded"),
        ("tool_calls", "tool_use"),
        ("pause", "end_turn"),
        ("refusal", "content_filtered"),
        ("prompt_blocked", "guardrail_intervened"),
        ("malformed", "malformed_model_output"),
        ("cancelled", "end_turn"),
    ],
)
def test_t96_every_reason_has_a_word(reason: FinishReason, word: str) -> None:
    events = [Start(), Finish(reason=reason, raw="x", stop_sequence="E"), End()]
    told = dict(read_frames(ConverseEncoder().encode(events)))
    assert told["messageStop"]["stopReason"] == word
    assert told["messageStop"]["additionalModelResponseFields"]["stop_sequence"] == "E"
    assert told["metadata"]["usage"]["totalTokens"] == 0


@pytest.mark.parametrize(
    "word", ["guardrail_intervened", "malformed_tool_use", "content_filtered"]
)
def test_t93_bedrocks_own_word_comes_back(word: str) -> None:
    read = whole(answer({"text": "a"}, stopReason=word))
    assert json.loads(encode_answer(read))["stopReason"] == word


def test_an_answer_without_an_end_ends_without_a_reason_of_its_own() -> None:
    told = dict(read_frames(ConverseEncoder().encode([End()])))
    assert told["messageStop"] == {"stopReason": "end_turn"}
    assert json.loads(encode_answer(Answer()))["stopReason"] == "end_turn"


def test_a_client_is_told_what_has_words() -> None:
    events: list[AnyEvent] = [
        Start(service_tier="flex"),
        PartOpen(pos=0, kind="text"),
        PartClose(pos=0),
        PartOpen(pos=1, kind="refusal"),
        Delta(pos=1, text="No"),
        OpaqueSeen(pos=1, opaque=GOOGLE),
        PartClose(pos=1),
        PartOpen(pos=2, kind="text"),
        Delta(pos=2, text=""),
        Delta(pos=2, text="See"),
        CitationSeen(pos=2, citation=Citation(url="https://a/")),
        CitationSeen(pos=2, citation=Citation()),
        PartClose(pos=2),
        PartOpen(pos=3, kind="media"),
        Delta(pos=3, text="odd"),
        MediaSeen(pos=3, data="AA", media_type="image/png"),
        MediaSeen(pos=3, data="BB", media_type="image/png"),
        MediaSeen(pos=3, data="CC", media_type="audio/wav"),
        PartClose(pos=3),
        PartOpen(pos=4, kind="reasoning"),
        OpaqueSeen(pos=4, opaque=GOOGLE),
        PartClose(pos=4),
        PartOpen(pos=5, kind="unknown"),
        UnknownSeen(pos=5, dialect="x", type="y", payload=b"{}"),  # type: ignore[arg-type]
        PartClose(pos=5),
        PartOpen(pos=6, kind="text", choice=1),
        Delta(pos=6, text="Another"),
        CitationSeen(pos=6, citation=Citation(url="https://a/")),
        PartClose(pos=6),
        Finish(reason="end", choice=0),
        Finish(reason="max_tokens", choice=1),
        UsageSeen(usage=TokenUsage(input_tokens=1)),
        Meta(),
        Failed(error=ErrorDetail()),
        End(),
    ]
    told = read_frames(ConverseEncoder().encode(events))
    deltas = [v["delta"] for name, v in told if name == "contentBlockDelta"]
    assert deltas[:3] == [
        {"text": "No"},
        {"text": "See"},
        {"citation": {"location": {"web": {"url": "https://a/"}}}},
    ]
    assert [each["image"]["source"]["bytes"] for each in deltas[3:5]] == ["AA", "BB"]
    assert is_packed(deltas[5]["reasoningContent"]["signature"])
    assert len(deltas) == 6
    stops = [v["contentBlockIndex"] for n, v in told if n == "contentBlockStop"]
    assert stops == [0, 1, 2, 3]
    assert told[-2] == ("messageStop", {"stopReason": "content_filtered"})
    assert told[-1][1]["serviceTier"] == {"type": "flex"}


def test_a_whole_answer_keeps_another_makers_proof() -> None:
    parts = (
        Reasoning(text="Hm."),
        Reasoning(opaque=(GOOGLE,)),
        Reasoning(),
        Refusal(text="No"),
        Text(text="a", citations=(Citation(url="u"),)),
    )
    told = json.loads(
        encode_answer(Answer(choices=(Choice(parts=parts),), service_tier="flex"))
    )
    content = told["output"]["message"]["content"]
    bare, packed, refused, cited = content
    assert bare == {"reasoningContent": {"reasoningText": {"text": "Hm."}}}
    signature = packed["reasoningContent"]["reasoningText"]["signature"]
    assert is_packed(signature)
    assert refused == {"text": "No"}
    assert cited["citationsContent"]["citations"] == [
        {"location": {"web": {"url": "u"}}}
    ]
    assert told["serviceTier"] == {"type": "flex"}


@pytest.mark.parametrize("raw", [b"[]", b'{"cacheDetails":5}', b"{}", b"null"])
def test_what_is_no_usage_is_not_reported(raw: bytes) -> None:
    assert read_usage(raw) is None


def test_odd_counters_are_named() -> None:
    read = read_usage(
        b'{"inputTokens":-1,"outputTokens":3,"cacheDetails":[{"ttl":"1h","inputTokens":4}]}'
    )
    assert read == (
        TokenUsage(output_tokens=3, cache_write_1h_tokens=4),
        ("prompt:negative",),
    )
    assert worded_usage(read[0]) == {
        "inputTokens": 0,
        "outputTokens": 3,
        "totalTokens": 7,
        "cacheWriteInputTokens": 4,
        "cacheDetails": [
            {"ttl": "5m", "inputTokens": 0},
            {"ttl": "1h", "inputTokens": 4},
        ],
    }


def test_events_nobody_asked_for_are_skipped() -> None:
    start, *rest = FIXTURES["text"]["events"]
    odd = [
        ["unheardOf", {}],
        ["contentBlockStart", {}],
        ["contentBlockDelta", {"contentBlockIndex": 0, "delta": {}}],
        ["contentBlockDelta", {"contentBlockIndex": 0}],
    ]
    assert gather(decoded(frames([start, *odd, *rest]))) == gather(
        decoded(frames([start, *rest]))
    )


def test_an_exception_ends_what_is_read_of_a_chunk() -> None:
    broken = encode_frame({":message-type": "exception"}, b"")
    events = decoded([broken + frames(FIXTURES["text"]["events"])[0]])
    assert [type(event) for event in events] == [Failed]


def test_paths_need_a_model() -> None:
    with pytest.raises(FormatError):
        FORMAT.read_request(b'{"messages":[]}', Arrival(path_model=""))


def test_messages_that_cannot_be_read_are_left_to_the_upstream() -> None:
    bridge = FORMAT.relay("bedrock", "chat", CLAUDE)
    body = b'{"messages":[{"content":[{"text":"ppool1.x"}]}, 5, "ppool1."]}'
    assert bridge is not None
    assert json.loads(
        bridge.build_request(ask(body), Target(model=CLAUDE)).body
    ) == json.loads(body)
