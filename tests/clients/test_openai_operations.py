"""The OpenAI SDK's other endpoints work through the pool as with a vendor (T147)."""

from __future__ import annotations

import base64
import sqlite3
import time
import uuid
from contextlib import closing
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.clients.openai_client import Town
from tests.upstream.dialects.operations import PIXEL

pytestmark = pytest.mark.process

SOUND = b"RIFF\x00\r\n--not-a-boundary\r\n" + bytes(range(256)) * 40
PICTURE = base64.b64decode(PIXEL)


def attempt(town: Town, request_id: str) -> dict[str, Any]:
    """Return the ledger's row of a call's only attempt."""
    address = f"file:{town.product.database}?mode=ro"
    deadline = time.monotonic() + 3
    query = "select * from usage_attempt where request_id = ?"
    while True:
        with closing(sqlite3.connect(address, uri=True, timeout=10)) as connection:
            connection.row_factory = sqlite3.Row
            rows = connection.execute(query, [uuid.UUID(request_id).hex]).fetchall()
        if rows:
            (row,) = rows
            return dict(row)
        assert time.monotonic() < deadline, "the attempt is not visible in time"
        time.sleep(0.05)


def test_embeddings_come_as_the_sdk_asks_for_them(
    pool: OpenAI, direct: OpenAI, town: Town
) -> None:
    given = ["harbour", "bridge", "tower"]
    raw = pool.embeddings.with_raw_response.create(model="gpt-test", input=given)
    ours = raw.parse()
    theirs = direct.embeddings.create(model="gpt-test", input=given)
    assert ours == theirs
    assert [datum.embedding[0] for datum in ours.data] == [0.0, 1.0, 2.0]
    row = attempt(town, raw.headers["x-pool-request-id"])
    assert row["input_tokens"] == ours.usage.prompt_tokens
    assert row["cost_nano_usd"] == ours.usage.prompt_tokens * 3_000
    assert not row["output_tokens"]


def test_embeddings_come_as_numbers_too(pool: OpenAI, direct: OpenAI) -> None:
    asked: Any = {"model": "gpt-test", "input": "x", "encoding_format": "float"}
    assert pool.embeddings.create(**asked) == direct.embeddings.create(**asked)


@pytest.mark.parametrize("stream", [False, True])
def test_legacy_completions_pass(pool: OpenAI, direct: OpenAI, stream: bool) -> None:
    asked: Any = {"model": "gpt-test", "prompt": "Once", "max_tokens": 9}
    if stream:
        ours = list(pool.completions.create(stream=True, **asked))
        theirs = list(direct.completions.create(stream=True, **asked))
        assert "".join(chunk.choices[0].text for chunk in ours)
    else:
        ours = pool.completions.create(**asked)
        theirs = direct.completions.create(**asked)
    assert ours == theirs


@pytest.mark.parametrize("stream", [False, True])
def test_t106_legacy_completions_are_served_by_chat(pool: OpenAI, stream: bool) -> None:
    asked: Any = {"model": "gpt-4o-test", "prompt": "Once", "max_tokens": 30}
    if not stream:
        whole = pool.completions.create(**asked)
        assert whole.object == "text_completion"
        assert whole.choices[0].text
        assert whole.usage is not None
        assert whole.model == "gpt-4o-test"
        return
    asked["stream_options"] = {"include_usage": True}
    chunks = list(pool.completions.create(stream=True, **asked))
    assert {chunk.object for chunk in chunks} == {"text_completion"}
    assert "".join(chunk.choices[0].text for chunk in chunks if chunk.choices)
    assert chunks[-1].usage is not None


def test_images_are_made_and_edited(pool: OpenAI, direct: OpenAI, town: Town) -> None:
    raw = pool.images.with_raw_response.generate(model="gpt-test", prompt="A", n=2)
    assert raw.parse() == direct.images.generate(model="gpt-test", prompt="A", n=2)
    row = attempt(town, raw.headers["x-pool-request-id"])
    assert row["image_out_tokens"] == 544
    edited = pool.images.edit(model="gpt-test", prompt="A", image=("a.png", PICTURE))
    assert edited.data is not None
    assert edited.data[0].b64_json == PIXEL


def test_images_arrive_in_steps(pool: OpenAI) -> None:
    stream = pool.images.generate(
        model="gpt-test", prompt="A", stream=True, partial_images=1
    )
    assert [event.type for event in stream] == [
        "image_generation.partial_image",
        "image_generation.completed",
    ]


def test_t22_speech_is_the_same_bytes(pool: OpenAI, direct: OpenAI, town: Town) -> None:
    asked: Any = {"model": "gpt-test", "input": "Hello there", "voice": "alloy"}
    raw = pool.audio.speech.with_raw_response.create(**asked)
    assert raw.content == direct.audio.speech.create(**asked).content
    assert raw.headers["content-type"] == "audio/mpeg"
    row = attempt(town, raw.headers["x-pool-request-id"])
    assert (row["units"], row["unit_kind"]) == (11, "character")


def test_speech_comes_as_events_where_it_is_asked_so(pool: OpenAI) -> None:
    with pool.audio.speech.with_streaming_response.create(
        model="gpt-test", input="Hello", voice="alloy", stream_format="sse"
    ) as answer:
        data = answer.read()
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert data.count(b"speech.audio.delta") == 8
    assert b"speech.audio.done" in data


@pytest.mark.parametrize("kind", ["text", "srt", "vtt"])
def test_t112_transcripts_come_as_text(pool: OpenAI, direct: OpenAI, kind: Any) -> None:
    asked: Any = {
        "model": "gpt-test",
        "file": ("a.wav", SOUND),
        "response_format": kind,
    }
    raw = pool.audio.transcriptions.with_raw_response.create(**asked)
    assert raw.headers["content-type"].startswith("text/plain")
    assert raw.text == direct.audio.transcriptions.create(**asked)


def test_t21_a_recording_reaches_the_vendor_untouched(pool: OpenAI, town: Town) -> None:
    town.upstream.control.seen.clear()
    raw = pool.audio.transcriptions.with_raw_response.create(
        model="house-model", file=("a.wav", SOUND), language="en"
    )
    assert raw.parse().text
    (seen,) = town.upstream.control.seen
    assert SOUND in seen.body
    assert b"gpt-test" in seen.body
    assert b"house-model" not in seen.body
    row = attempt(town, raw.headers["x-pool-request-id"])
    assert (row["units"], row["unit_kind"]) == (7, "second")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_transcripts_stream_and_translations_work(pool: OpenAI) -> None:
    stream = pool.audio.transcriptions.create(
        model="gpt-test", file=("a.wav", SOUND), stream=True
    )
    types = [event.type for event in stream]
    assert types == ["transcript.text.delta", "transcript.text.done"]
    told = pool.audio.translations.create(model="gpt-test", file=("a.wav", SOUND))
    assert told.text


def test_moderations_judge(pool: OpenAI, direct: OpenAI, town: Town) -> None:
    raw = pool.moderations.with_raw_response.create(model="gpt-test", input=["a", "b"])
    assert raw.parse() == direct.moderations.create(model="gpt-test", input=["a", "b"])
    row = attempt(town, raw.headers["x-pool-request-id"])
    assert (row["units"], row["unit_kind"]) == (1, "request")


def test_errors_are_the_sdks_own(pool: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        pool.embeddings.create(model="gpt-test", input=openai.omit)  # type: ignore[arg-type]
    assert refused.value.param == "input"
    with pytest.raises(openai.BadRequestError) as refused:
        pool.embeddings.create(model="fault-400-context", input="x")
    assert refused.value.code == "context_length_exceeded"


def test_a_recording_that_breaks_off_does_not_end_clean(pool: OpenAI) -> None:
    with pytest.raises(openai.APIError):
        pool.audio.speech.create(
            model="fault-len-200+cut-rst-chunk-5", input="Hello", voice="alloy"
        )
