from __future__ import annotations

import json

import pytest

from providers.formats import registry
from providers.formats.base import Arrival, FormatError, Target
from providers.formats.errors import ErrorDetail
from providers.formats.neutral.smuggle import PREFIX
from tests.providers.formats.gemini_generate.gemini import (
    FIXTURES,
    FORMAT,
    asked,
    frames_of,
    stream_of,
)

BRIDGE = registry.bridge("google", "google")
COUNT = registry.bridge("google", "google", "", "count_tokens")
EMBED = registry.bridge("google", "google", "", "embeddings")
UP = "gemini-2.5-flash-001"
SNAKE = (
    b'{ "contents":[{"parts":[{"text":"caf\\u00e9"}]}],"weird" : 1e3,'
    b'"generation_config":{"max_output_tokens":5} }'
)


def opened(client, model=UP):
    sent = BRIDGE.build_request(client, Target(model=model))
    stream = FORMAT.open_stream(client, request_id="q")
    return BRIDGE.open_tap(client, sent, stream), stream


def run(client, pieces):
    tap, stream = opened(client)
    out = b"".join([tap.feed(piece) for piece in pieces]) + tap.eof()
    return tap, stream, out


def test_t11_the_body_is_unchanged_and_the_key_goes_into_its_header():
    client = asked(SNAKE, query=b"alt=sse&key=secret")
    sent = BRIDGE.build_request(client, Target(model="m2"))
    assert sent.body is client.body
    assert sent.path == "/models/m2:streamGenerateContent?alt=sse"
    assert b"secret" not in sent.body + sent.path.encode()
    assert FORMAT.auth_headers("k") == {"x-goog-api-key": "k"}
    assert FORMAT.auth_headers("ya29.x") == {"authorization": "Bearer ya29.x"}


def test_only_what_an_upstream_was_learned_to_refuse_is_taken_out():
    client = asked(SNAKE)
    sent = BRIDGE.build_request(client, Target(model="m", drop=frozenset({"weird"})))
    assert json.loads(sent.body).keys() == {"contents", "generation_config"}
    assert sent.losses == ("weird:drop",)


def test_packed_proof_of_another_family_becomes_the_skip_value():
    part = {"functionCall": {"name": "f"}, "thoughtSignature": PREFIX + "a\\/b="}
    client = asked({"contents": [{"role": "model", "parts": [part]}]})
    body = json.loads(BRIDGE.build_request(client, Target(model="m")).body)
    assert body["contents"][0]["parts"][0]["thoughtSignature"] == (
        "skip_thought_signature_validator"
    )


def test_an_enveloped_body_without_a_model_or_project_keeps_to_itself():
    bridge = registry.bridge("cloudcode", "cloudcode", "up", "count_tokens")
    wire = registry.get("cloudcode")
    arrival = Arrival(op="count_tokens", path="/v1internal:countTokens")
    body = b'{"request":{"model":"models/up","contents":[]}}'
    client = wire.read_request(body, arrival)
    assert bridge.build_request(client, Target(model="up")).body == body
    sent = bridge.build_request(client, Target(model="b"))
    assert json.loads(sent.body)["request"]["model"] == "models/b"


def test_an_answer_that_has_its_own_id_keeps_it():
    bridge = registry.bridge("google", "cloudcode", "up")
    client = asked(stream=False)
    sent = bridge.build_request(client, Target(model="up"))
    inner = {"candidates": [{"finishReason": "STOP"}], "responseId": "own"}
    body = json.dumps({"response": inner, "traceId": "t"}).encode()
    assert (
        json.loads(bridge.read_response(client, sent, body).body)["responseId"] == "own"
    )


def test_a_name_that_stands_early_is_found_too():
    client = asked(stream=False)
    sent = BRIDGE.build_request(client, Target(model="up"))
    torn = b'{"modelVersion":"x","candidates":[{"finishReason":"STOP"}]'
    assert BRIDGE.read_response(client, sent, torn).error is not None
    twice = b'{"modelVersion":"x","modelVersion":"y","candidates":[]}'
    assert BRIDGE.read_response(client, sent, twice).body == twice


def test_frames_leave_as_they_came_but_for_the_models_name():
    data = stream_of("text")
    tap, _, out = run(asked(model=UP), [data])
    assert out == data
    tap, _, out = run(asked(), [data])
    assert out == data.replace(UP.encode(), b"gemini-2.5-flash")
    assert tap.complete
    assert tap.model == UP
    assert tap.usage.total_tokens == 26
    assert tap.out_bytes == len(out)


def test_t12_p78_without_alt_sse_the_client_gets_one_array():
    data = stream_of("text")
    for pieces in ([data], [data[at : at + 1] for at in range(len(data))]):
        tap, stream, out = run(asked(query=b""), pieces)
        assert stream.content_type == "application/json"
        frames = json.loads(out)
        assert [each["modelVersion"] for each in frames] == ["gemini-2.5-flash"] * 2
        assert frames[1]["usageMetadata"]["totalTokenCount"] == 26
        assert tap.complete
        assert tap.usage.total_tokens == 26
        assert tap.out_bytes == len(out)


def test_t101_a_relayed_array_that_breaks_off_stays_json():
    tap, stream, out = run(asked(query=b""), [stream_of("no_reason")])
    assert not tap.complete
    detail = ErrorDetail(message="It broke off.", status=502)
    frames = json.loads(out + stream.error_frame(detail, request_id="q"))
    assert frames[-1]["error"]["message"] == "It broke off."


def test_p94_comments_and_foreign_terminators_are_not_passed_on():
    data = b": hello\n\n" + stream_of("text") + b"event: x\ndata: [DONE]\n\n"
    _, _, out = run(asked(), [data])
    assert len(frames_of(out)) == 2


def test_a_frame_of_several_lines_leaves_on_one():
    text = json.dumps(json.loads(stream_of("text").split(b"\r\n")[2][6:]), indent=1)
    lines = "".join(f"data: {line}\n" for line in text.split("\n")) + "\n"
    _, _, out = run(asked(), [lines.encode()])
    assert len(frames_of(out)) == 1


def test_an_error_before_anything_useful_is_no_stream():
    for name in ("error_array", "malformed_call"):
        tap, _, out = run(asked(), [stream_of(name)])
        assert out == b""
        assert tap.error is not None
    tap, _, _ = run(asked(), [stream_of("error_frame")])
    assert tap.error.status == 503


def test_an_answer_that_came_whole_is_split():
    body = json.dumps(FIXTURES["text"]["whole"], indent=1).encode()
    for query in (b"alt=sse", b""):
        tap, _, out = run(asked(query=query), [body[:9], body[9:]])
        frames = json.loads(out) if not query else frames_of(out)
        assert frames[0]["candidates"][0]["content"]["parts"] == [{"text": "Héllo 👋"}]
        assert tap.complete


def test_a_whole_answer_is_renamed_and_metered():
    client = asked(stream=False)
    sent = BRIDGE.build_request(client, Target(model=UP))
    assert sent.path.endswith(":generateContent")
    body = json.dumps(FIXTURES["text"]["whole"]).encode()
    meta = BRIDGE.read_response(client, sent, body)
    assert meta.body == body.replace(UP.encode(), b"gemini-2.5-flash")
    assert meta.usage.total_tokens == 26
    assert meta.finish_reasons == ("STOP",)
    odd = b'{"modelVersion":"x","candidates":[{"finishReason":"STOP"}]}'
    renamed = BRIDGE.read_response(client, sent, odd).body
    assert json.loads(renamed)["modelVersion"] == "gemini-2.5-flash"


def test_t103_a_stream_nobody_asked_for_is_joined():
    client = asked(stream=False)
    sent = BRIDGE.build_request(client, Target(model=UP))
    body = json.loads(BRIDGE.read_response(client, sent, stream_of("text")).body)
    assert body["candidates"][0]["content"]["parts"] == [{"text": "Héllo 👋"}]


def test_a_text_that_names_the_field_is_left_alone():
    client = asked(stream=False)
    sent = BRIDGE.build_request(client, Target(model=UP))
    text = 'say "modelVersion":"x"}'
    body = json.dumps(
        {
            "candidates": [
                {"content": {"parts": [{"text": text}]}, "finishReason": "STOP"}
            ]
        }
    ).encode()
    assert BRIDGE.read_response(client, sent, body).body == body


def counting(body, op="count_tokens", method="countTokens"):
    path = f"/v1beta/models/gemini-2.5-flash:{method}"
    return asked(body, stream=False, op=op, path=path)


def test_a_count_of_tokens_is_relayed():
    client = counting({"generateContentRequest": {"model": "models/a", "contents": []}})
    sent = COUNT.build_request(client, Target(model="b"))
    assert sent.path == "/models/b:countTokens"
    assert json.loads(sent.body)["generateContentRequest"]["model"] == "models/b"
    body = b'{"totalTokens": 7}'
    assert COUNT.read_response(client, sent, body).body == body


@pytest.mark.parametrize(
    ("method", "body", "named"),
    [
        (
            "embedContent",
            {"model": "models/a", "content": {}},
            {"model": "models/b", "content": {}},
        ),
        (
            "batchEmbedContents",
            {"requests": [{"model": "models/a", "content": {}}]},
            {"requests": [{"model": "models/b", "content": {}}]},
        ),
    ],
)
def test_embeddings_are_relayed_under_the_upstreams_name(method, body, named):
    client = counting(body, "embeddings", method)
    sent = EMBED.build_request(client, Target(model="b"))
    assert sent.path == f"/models/b:{method}"
    assert json.loads(sent.body) == named
    answer = b'{"embedding":{"values":[1]},"usageMetadata":{"promptTokenCount":4}}'
    meta = EMBED.read_response(client, sent, answer)
    assert meta.usage.input_tokens == 4


def test_a_call_whose_answer_is_none_says_so():
    client = counting({"contents": []})
    sent = COUNT.build_request(client, Target(model="b"))
    for body in (b"<html>", b'{"error":{"code":500,"message":"x"}}'):
        assert COUNT.read_response(client, sent, body).error is not None


def test_bodies_that_cannot_be_renamed_are_refused():
    client = counting({"requests": 3}, "embeddings", "batchEmbedContents")
    with pytest.raises(FormatError):
        EMBED.build_request(client, Target(model="b"))
