from __future__ import annotations

import json
import random

import pytest

from pricing.tokens import TokenUsage
from providers.formats.framings import SseSplitter
from providers.formats.neutral.events import (
    CitationSeen,
    Delta,
    End,
    Failed,
    Finish,
    UsageSeen,
)
from providers.formats.neutral.gather import gather
from providers.formats.neutral.types import Media, Reasoning, Text, ToolCall, Unknown
from tests.providers.formats.gemini_generate.gemini import (
    FIXTURES,
    answer,
    events,
    stream_of,
    whole_events,
)


def frame(parts, **candidate):
    body = {"content": {"parts": parts, "role": "model"}, "index": 0, **candidate}
    return b"data: " + json.dumps({"candidates": [body]}).encode() + b"\r\n\r\n"


@pytest.mark.parametrize("name", FIXTURES)
def test_t99_a_stream_cut_anywhere_reads_the_same(name):
    data = stream_of(name)
    expected = events(data)
    for at in range(len(data) + 1):
        assert events([data[:at], data[at:]]) == expected
    assert events([data[at : at + 1] for at in range(len(data))]) == expected
    pieces = [raw for raw, _ in SseSplitter().feed(data)]
    rest = data[sum(map(len, pieces)) :]
    assert events([*pieces, rest]) == expected
    source = random.Random(name)
    for _ in range(20):
        cuts = sorted(source.sample(range(len(data)), min(6, len(data))))
        borders = zip([0, *cuts], [*cuts, len(data)], strict=True)
        assert events([data[a:b] for a, b in borders]) == expected


@pytest.mark.parametrize(
    "name", [name for name, fixture in FIXTURES.items() if "whole" in fixture]
)
def test_a_whole_answer_is_the_same_as_its_stream(name):
    streamed = answer(name)
    buffered = gather(whole_events(FIXTURES[name]["whole"]))
    assert buffered.usage == streamed.usage
    assert buffered.is_complete
    assert streamed.is_complete
    if name != "codeassist":
        assert buffered.choices == streamed.choices
        assert (buffered.id, buffered.model) == (streamed.id, streamed.model)


def test_usage_counts_every_token_once():
    assert answer("text").usage == TokenUsage(
        input_tokens=8, cache_read_tokens=4, output_tokens=14, reasoning_tokens=9
    )


def test_modalities_of_the_answer_are_taken_out_of_it():
    usage = answer("image").usage
    assert (usage.output_tokens, usage.image_out_tokens) == (5, 1290)
    assert usage.total_tokens == 1298


def test_tokens_of_server_tools_are_input_and_a_rest_is_thought():
    said = {
        "promptTokenCount": 10,
        "toolUsePromptTokenCount": 3,
        "candidatesTokenCount": 4,
        "totalTokenCount": 24,
    }
    body = {"candidates": [{"finishReason": "STOP"}], "usageMetadata": said}
    usage = gather(whole_events(body)).usage
    assert usage == TokenUsage(input_tokens=13, output_tokens=11, reasoning_tokens=7)


def test_cached_audio_is_counted_as_cached_only():
    said = {
        "promptTokenCount": 100,
        "cachedContentTokenCount": 60,
        "promptTokensDetails": [
            {"modality": "TEXT", "tokenCount": 30},
            {"modality": "AUDIO", "tokenCount": 70},
        ],
        "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 60}],
        "candidatesTokenCount": 1,
        "totalTokenCount": 101,
    }
    body = {"candidates": [{"finishReason": "STOP"}], "usageMetadata": said}
    usage = gather(whole_events(body)).usage
    assert (usage.input_tokens, usage.audio_in_tokens) == (30, 10)
    assert usage.total_tokens == 101


def test_a_counter_missing_from_the_last_frame_is_kept():
    data = b"".join(
        b"data: " + json.dumps(each).encode() + b"\n\n"
        for each in (
            {"usageMetadata": {"promptTokenCount": 5, "thoughtsTokenCount": 2}},
            {
                "candidates": [{"finishReason": "STOP"}],
                "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 1},
            },
        )
    )
    assert gather(events(data)).usage == TokenUsage(
        input_tokens=5, output_tokens=3, reasoning_tokens=2
    )


def test_t92_p66_thought_and_text_are_not_mixed():
    plan, text, proof = answer("thoughts").choices[0].parts
    assert plan == Reasoning(text="**Plan** go", kind="summary")
    assert text == Text(text="Answer")
    assert isinstance(proof, Reasoning)
    assert proof.is_redacted
    assert proof.opaque[0].data == "c2ln"
    assert proof.opaque[0].model == "gemini-2.5-flash"


def test_t80_p21_parallel_calls_of_separate_frames_have_ids_of_their_own():
    choice = answer("parallel_calls").choices[0]
    first, second = choice.parts
    assert isinstance(first, ToolCall)
    assert first.id != second.id
    assert json.loads(first.arguments) == {"city": "Paris", "n": 1000.0}
    assert second.arguments == '{"city": "Oslo"}'
    assert [opaque.data for opaque in first.opaque] == ["c2ln"]
    assert second.opaque == ()
    assert choice.finish.reason == "tool_calls"


def test_an_id_the_upstream_gives_is_kept():
    call = {"functionCall": {"id": "abc", "name": "f"}}
    found = gather(events(frame([call], finishReason="STOP")))
    assert found.choices[0].parts == (ToolCall(name="f", arguments="{}", id="abc"),)


def test_t93_safety_is_a_refusal():
    choice = answer("safety").choices[0]
    assert (choice.finish.reason, choice.finish.raw) == ("refusal", "SAFETY")
    assert choice.finish.detail == "Blocked by safety."
    assert choice.parts == (Text(text="Well"),)


def test_t93_a_refused_prompt_is_no_empty_success():
    found = answer("prompt_blocked")
    assert found.is_complete
    assert found.choices[0].finish.reason == "prompt_blocked"
    assert found.choices[0].finish.raw == "PROHIBITED_CONTENT"


def test_t93_a_spoiled_call_and_nothing_else_is_a_failure_that_is_billed():
    found = answer("malformed_call")
    assert found.error is not None
    assert found.error.code == "upstream_invalid_response"
    assert "Malformed function call" in found.error.message
    assert not found.is_complete
    assert found.usage.input_tokens == 8


def test_t93_a_spoiled_call_behind_text_says_so():
    data = frame([{"text": "Let me"}]) + frame([], finishReason="MALFORMED_RESPONSE")
    assert gather(events(data)).choices[0].finish.reason == "malformed"


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("STOP", "end"),
        ("MAX_TOKENS", "max_tokens"),
        ("RECITATION", "refusal"),
        ("SPII", "refusal"),
        ("IMAGE_SAFETY", "refusal"),
        ("OTHER", "end"),
        ("NEVER_HEARD", "end"),
    ],
)
def test_reasons_are_read(word, reason):
    found = gather(events(frame([{"text": "x"}], finishReason=word)))
    assert found.choices[0].finish.reason == reason


def test_an_unknown_reason_with_nothing_to_show_is_a_failure():
    assert gather(events(frame([], finishReason="OTHER"))).error is not None


def test_t98_p129_grounding_counts_characters_not_bytes():
    (text,) = answer("grounding").choices[0].parts
    (citation,) = text.citations
    assert citation.url == "https://a.example/x"
    assert text.text[citation.start : citation.end] == "Spain won Euro 2024."
    assert citation.start == 2


def test_grounding_repeated_on_every_frame_cites_once():
    grounding = {"groundingChunks": [{"web": {"uri": "u", "title": "t"}}]}
    data = frame([{"text": "a"}], groundingMetadata=grounding)
    data += frame([{"text": "b"}], groundingMetadata=grounding, finishReason="STOP")
    cited = [each for each in events(data) if isinstance(each, CitationSeen)]
    assert len(cited) == 1
    assert cited[0].citation.start is None


def test_recitations_are_cited_too():
    sources = {"citationSources": [{"startIndex": 0, "endIndex": 3, "uri": "u"}]}
    data = frame([{"text": "é!"}], citationMetadata=sources, finishReason="STOP")
    (text,) = gather(events(data)).choices[0].parts
    assert (text.citations[0].start, text.citations[0].end) == (0, 2)


def test_an_offset_inside_a_character_is_left_out():
    support = {
        "segment": {"startIndex": 1, "endIndex": 2},
        "groundingChunkIndices": [0],
    }
    grounding = {
        "groundingChunks": [{"web": {"uri": "u"}}],
        "groundingSupports": [support],
    }
    data = frame([{"text": "é"}], groundingMetadata=grounding, finishReason="STOP")
    (text,) = gather(events(data)).choices[0].parts
    assert text.citations[0].start is None


def test_parts_of_server_tools_are_kept_as_they_are():
    code, result, text = answer("code").choices[0].parts
    assert isinstance(code, Unknown)
    assert (code.type, result.type) == ("executableCode", "codeExecutionResult")
    assert json.loads(bytes(code.payload))["executableCode"]["code"] == "print(1)"
    assert text == Text(text="It is 1.")


def test_a_picture_in_the_answer_is_media():
    _, picture = answer("image").choices[0].parts
    assert picture == Media(
        kind="image", source="base64", data="aGk=", media_type="image/png"
    )


def test_two_candidates_are_two_choices():
    first, second = answer("two_choices").choices
    assert first.parts == (Text(text="Aa"),)
    assert second.parts == (Text(text="Bb"),)
    assert second.finish.reason == "max_tokens"


def test_log_probabilities_are_chats():
    (raw,) = answer("logprobs").choices[0].logprobs
    (entry,) = json.loads(bytes(raw))
    assert (entry["token"], entry["logprob"]) == ("Hi", -0.5)
    assert [each["token"] for each in entry["top_logprobs"]] == ["Hi", "Yo"]


def test_an_error_frame_ends_the_stream():
    found = events(stream_of("error_frame"))
    assert isinstance(found[-1], Failed)
    assert found[-1].error.type == "UNAVAILABLE"
    assert found[-1].error.status == 503


def test_p127_an_error_in_a_list_is_an_error():
    found = answer("error_array")
    assert found.error.type == "RESOURCE_EXHAUSTED"
    assert found.error.status == 429


def test_a_stream_without_a_reason_does_not_end_well():
    assert not any(isinstance(each, End) for each in events(stream_of("no_reason")))


def test_a_frame_that_is_no_json_is_a_failure():
    assert isinstance(events(b"data: {oops}\n\n")[-1], Failed)
    assert isinstance(events(b"data: <html>\n\n")[-1], Failed)
    assert isinstance(whole_events(b"<html>")[-1], Failed)
    assert isinstance(whole_events(b"{}")[-1], Failed)
    assert isinstance(whole_events(b"[1")[-1], Failed)


def test_empty_frames_and_foreign_terminators_are_skipped():
    data = b"data: {}\n\n" + frame([{"text": "x"}], finishReason="STOP")
    found = events(data + b"data: [DONE]\n\n")
    assert gather(found).is_complete


def test_p78_an_answer_that_came_as_an_array_is_read():
    frames = [
        json.loads(line[6:])
        for line in stream_of("text").decode().split("\r\n")
        if line
    ]
    found = gather(whole_events(frames))
    assert found.choices == answer("text").choices
    assert found.usage == answer("text").usage


def test_t13_the_envelope_gives_its_id():
    found = answer("codeassist")
    assert found.id == "t-9"
    assert found.choices[0].parts == (Text(text="Héllo"),)


def test_a_whole_answer_without_a_reason_is_whole():
    body = {"candidates": [{"content": {"parts": [{"text": "x"}]}}]}
    assert gather(whole_events(body)).is_complete


def test_usage_that_repeats_is_said_once():
    found = events(stream_of("text"))
    assert sum(isinstance(each, UsageSeen) for each in found) == 2
    assert sum(isinstance(each, Delta) for each in found) == 2
    assert sum(isinstance(each, Finish) for each in found) == 1
