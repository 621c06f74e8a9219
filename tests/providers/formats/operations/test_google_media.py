"""T109: pictures and speech of Gemini models for OpenAI's clients."""

from __future__ import annotations

import base64
import json
import wave
from io import BytesIO

import pytest

from pricing.tokens import TokenUsage
from providers.formats.base import FormatError
from tests.providers.formats.operations.support import (
    Way,
    asked,
    events,
    form,
    sent_form,
)

PICTURE = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}
USAGE = {
    "promptTokenCount": 7,
    "candidatesTokenCount": 1290,
    "totalTokenCount": 1297,
    "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1290}],
}


def answer(*parts, finish="STOP", **more):
    candidate = {
        "content": {"role": "model", "parts": list(parts)},
        "finishReason": finish,
    }
    return {"candidates": [candidate], "modelVersion": "up", **more}


MADE = answer({"text": "A harbour."}, PICTURE, usageMetadata=USAGE)


@pytest.mark.parametrize("upstream", ["google", "cloudcode"])
def test_t109_a_picture_is_asked_for_and_found(upstream) -> None:
    request = asked("images", prompt="A harbour", size="1536x1024", n=2, quality="high")
    way = Way(request, upstream)
    body = way.body["request"] if upstream == "cloudcode" else way.body
    assert body == {
        "contents": [{"role": "user", "parts": [{"text": "A harbour"}]}],
        "generationConfig": {
            "responseModalities": ["TEXT", "IMAGE"],
            "imageConfig": {"aspectRatio": "3:2"},
        },
    }
    assert way.sent.path.partition("?")[0].endswith(":generateContent")
    assert not way.sent.is_stream
    assert way.sent.losses == ("quality:drop", "n:clamp")
    told = way.told({"response": MADE} if upstream == "cloudcode" else MADE)
    assert told["data"] == [{"b64_json": "AAAA", "revised_prompt": "A harbour."}]
    assert told["usage"]["input_tokens"] == 7
    assert told["usage"]["output_tokens"] == 1290
    assert told["output_format"] == "png"


def test_t109_the_bill_is_that_of_pictures() -> None:
    way = Way(asked("images", prompt="a"), "google")
    usage = way.back(MADE).usage
    assert (usage.input_tokens, usage.image_out_tokens) == (7, 1290)
    bare = way.back(answer(PICTURE, PICTURE))
    assert bare.usage == TokenUsage(units=2, unit_kind="image")


def test_a_picture_comes_by_url_where_it_was_asked_so() -> None:
    request = asked("images", prompt="a", response_format="url", size="999x3")
    way = Way(request, "google")
    told = way.told(answer(PICTURE))
    assert told["data"] == [{"url": "data:image/png;base64,AAAA"}]
    assert way.sent.losses == ("size:drop",)


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (b"\x89PNG\r\n", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"RIFF\x00\x00\x00\x00WEBP", "image/webp"),
        (b"GIF89a", "image/gif"),
        (b"??", "image/png"),
    ],
)
def test_t109_pictures_to_edit_go_along(data, media_type) -> None:
    body = form(
        ("model", "house"),
        ("prompt", "Make it night"),
        ("image[]", data),
        ("mask", b"x"),
        files=("image[]", "mask"),
    )
    way = Way(sent_form("images", body, "/v1/images/edits"), "google")
    text, picture = way.body["contents"][0]["parts"]
    assert text == {"text": "Make it night"}
    assert picture["inlineData"]["mimeType"] == media_type
    assert base64.b64decode(picture["inlineData"]["data"]) == data
    assert way.sent.losses == ("mask:drop",)


def test_a_picture_by_name_and_a_variation_are_beyond_it() -> None:
    request = asked("images", prompt="a", image="https://x.example/a.png")
    assert Way(request, "google").sent.losses == ("image:drop",)
    body = form(("model", "house"), ("image", b"x"), files=("image",))
    with pytest.raises(FormatError):
        Way(sent_form("images", body, "/v1/images/variations"), "google")


def test_t109_a_stream_gets_its_picture_at_once() -> None:
    way = Way(asked("images", prompt="a", stream=True), "google")
    out, tap = way.everywhere(json.dumps(MADE).encode())
    (event,) = events(out)
    assert event["type"] == "image_generation.completed"
    assert event["b64_json"] == "AAAA"
    assert tap.complete
    assert tap.usage.image_out_tokens == 1290
    refused = answer({"text": "No."}, finish="IMAGE_SAFETY")
    out, tap = way.streamed(json.dumps(refused).encode())
    assert (out, tap.error.message) == (b"", "No.")


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (answer({"text": "I would rather not."}), "upstream_no_media"),
        (answer(finish="IMAGE_SAFETY"), "content_policy_violation"),
        ({"promptFeedback": {"blockReason": "SAFETY"}}, "content_policy_violation"),
        ({"candidates": [3]}, "upstream_invalid_response"),
        (answer({**PICTURE, "thought": True}), "upstream_no_media"),
    ],
)
def test_an_answer_without_a_picture_says_why(said, code) -> None:
    error = Way(asked("images", prompt="a"), "google").back(said).error
    assert error is not None
    assert error.code == code
    assert error.message


SAMPLES = bytes(range(64))
SPOKEN = answer(
    {
        "inlineData": {
            "mimeType": "audio/L16;codec=pcm;rate=16000",
            "data": base64.b64encode(SAMPLES).decode(),
        }
    }
)


def test_gemini_speaks_raw_samples() -> None:
    request = asked(
        "speech",
        input="Hi",
        voice="nova",
        response_format="pcm",
        speed=1.5,
        instructions="Softly:",
    )
    way = Way(request, "google")
    config = way.body["generationConfig"]
    assert config["responseModalities"] == ["AUDIO"]
    voice = config["speechConfig"]["voiceConfig"]["prebuiltVoiceConfig"]
    assert voice == {"voiceName": "Aoede"}
    assert way.body["contents"][0]["parts"] == [{"text": "Softly:\n\nHi"}]
    assert way.sent.losses == ("speed:drop",)
    out, tap = way.everywhere(json.dumps(SPOKEN).encode())
    assert out == SAMPLES
    assert tap.complete
    assert tap.usage == TokenUsage(units=2, unit_kind="character")


def test_gemini_speaks_a_file() -> None:
    request = asked("speech", input="Hi", voice="Zephyr", response_format="wav")
    out, _ = Way(request, "google").streamed(json.dumps(SPOKEN).encode())
    with wave.open(BytesIO(out)) as sound:
        assert sound.getframerate() == 16_000
        assert (sound.getnchannels(), sound.getsampwidth()) == (1, 2)
        assert sound.readframes(99) == SAMPLES


@pytest.mark.parametrize(
    "said", [answer({"text": "no"}), {"error": {"code": 500, "message": "x"}}]
)
def test_no_speech_is_an_error(said) -> None:
    way = Way(asked("speech", input="Hi", response_format="pcm"), "google")
    out, tap = way.streamed(json.dumps(said).encode())
    assert (out, tap.complete) == (b"", False)
    assert tap.error is not None


@pytest.mark.parametrize(
    "fields", [{}, {"response_format": "opus"}, {"stream_format": "sse"}]
)
def test_what_gemini_cannot_speak_is_refused(fields) -> None:
    with pytest.raises(FormatError):
        Way(asked("speech", input="Hi", **fields), "google")
