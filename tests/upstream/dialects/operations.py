"""What an OpenAI-shaped vendor offers beside chat, by path, each a few lines."""

from __future__ import annotations

import base64
import json
import random
import re
import struct
from typing import Any

from tests.upstream.answer import Answer, Ask, Segment, document
from tests.upstream.dialects.openai_chat import ChatCompletions, odd_answer
from tests.upstream.scenario import Scenario
from tests.upstream.text import make_words
from tests.upstream.tokens import count_tokens

CREATED = 1_767_225_600
PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAA"
    "AABJRU5ErkJggg=="
)
_FIELD = re.compile(
    rb'name="([\w\[\]]+)"(; filename="[^"]*")?[^\r\n]*\r\n'
    rb"(?:[^\r\n]+\r\n)*\r\n(.*?)\r\n--",
    re.DOTALL,
)


class Operation:
    """What the small dialects share: a path's end, JSON or a form, OpenAI's errors."""

    name = ""
    ends: tuple[str, ...] = ()

    def matches(self, method: str, path: str) -> bool:
        """Serve any base path."""
        return method == "POST" and path.endswith(self.ends)

    def parse(self, path: str, body: bytes) -> Ask:
        """Read a request; refuse one without a model."""
        payload = _form(body) if body.startswith(b"--") else json.loads(body)
        if not isinstance(payload.get("model"), str):
            raise ValueError("you must provide a model parameter")  # noqa: TRY004
        payload["path"] = path
        stream = str(payload.get("stream", "")).lower() == "true"
        tokens = sum(map(count_tokens, texts_of(payload)))
        return Ask(payload["model"], stream, tokens, payload)

    def answer(self, ask: Ask, scenario: Scenario, rng: random.Random) -> Answer:
        """Build the answer, or one that is none."""
        return odd_answer(scenario) or self.made(ask, scenario, rng)

    def made(self, ask: Ask, scenario: Scenario, rng: random.Random) -> Answer:
        """Build the answer itself."""
        raise NotImplementedError

    def error(self, status: int, detail: str, message: str) -> Answer:
        """Build an error in OpenAI's shape."""
        return ChatCompletions().error(status, detail, message)

    def stream_error(self) -> Segment:
        """Build the event of a failure in the middle of a stream."""
        return ChatCompletions().stream_error()


class Completions(Operation):
    """The dialect of `/v1/completions`."""

    name, ends = "openai-completions", ("/v1/completions",)

    def made(self, ask: Ask, scenario: Scenario, rng: random.Random) -> Answer:
        """Answer with some words, streamed or whole."""
        wanted = min(ask.payload.get("max_tokens") or 16, 12)
        words = make_words(rng, wanted)
        usage = {
            "prompt_tokens": ask.prompt_tokens,
            "completion_tokens": sum(map(count_tokens, words)),
        }
        usage["total_tokens"] = sum(usage.values())
        if not ask.stream:
            body = {**_piece(ask, "".join(words), "stop"), "usage": usage}
            return _whole(body, usage)
        options = ask.payload.get("stream_options") or {}
        segments = [
            Segment(_event(_piece(ask, word, None)), count_tokens(word))
            for word in words
        ]
        segments.append(Segment(_event(_piece(ask, "", "stop"))))
        if options.get("include_usage"):
            last = {**_piece(ask, "", None), "choices": [], "usage": usage}
            segments.append(Segment(_event(last), usage=True))
        segments.append(Segment(b"data: [DONE]\n\n"))
        return _stream(segments, usage)


class Embeddings(Operation):
    """The dialect of `/v1/embeddings`; `floats` answers numbers whatever was asked."""

    name, ends = "openai-embeddings", ("/embeddings",)

    def made(self, ask: Ask, scenario: Scenario, rng: random.Random) -> Answer:
        """Answer one vector for each text, the last first."""
        given = ask.payload["input"]
        count = len(given) if isinstance(given, list) else 1
        size = ask.payload.get("dimensions") or 8
        data = []
        for index in range(count):
            numbers = [float(index)] + [rng.uniform(-1, 1) for _ in range(size - 1)]
            single = struct.pack(f"<{size}f", *numbers)
            packed: Any = base64.b64encode(single).decode()
            if ask.payload.get("encoding_format", "float") == "float":
                packed = list(struct.unpack(f"<{size}f", single))
            data.append({"object": "embedding", "index": index, "embedding": packed})
        usage = {"prompt_tokens": ask.prompt_tokens, "total_tokens": ask.prompt_tokens}
        body = {"object": "list", "data": data, "model": ask.model, "usage": usage}
        return _whole(body, usage)


class Images(Operation):
    """The dialect of `/v1/images/*`."""

    name = "openai-images"
    ends = ("/images/generations", "/images/edits", "/images/variations")

    def made(self, ask: Ask, scenario: Scenario, rng: random.Random) -> Answer:
        """Answer pixels, as events where they were asked for."""
        count = int(ask.payload.get("n") or 1)
        usage = {
            "input_tokens": ask.prompt_tokens,
            "output_tokens": 272 * count,
            "total_tokens": ask.prompt_tokens + 272 * count,
            "input_tokens_details": {
                "text_tokens": ask.prompt_tokens,
                "image_tokens": 0,
            },
        }
        if ask.stream:
            partial = {"type": "image_generation.partial_image", "b64_json": PIXEL}
            done = {"type": "image_generation.completed", "b64_json": PIXEL}
            return _stream(
                [
                    Segment(_named({**partial, "partial_image_index": 0})),
                    Segment(_named({**done, "usage": usage}), usage=True),
                ],
                usage,
            )
        body: dict[str, Any] = {
            "created": CREATED,
            "data": [{"b64_json": PIXEL} for _ in range(count)],
        }
        if not scenario.has("no-usage"):
            body["usage"] = usage
        return _whole(body, usage)


class Speech(Operation):
    """The dialect of `/v1/audio/speech`."""

    name, ends = "openai-speech", ("/audio/speech",)

    def made(self, ask: Ask, scenario: Scenario, rng: random.Random) -> Answer:
        """Answer noise in pieces, or events that carry it."""
        pieces = [rng.randbytes(400) for _ in range(8)]
        if ask.payload.get("stream_format") == "sse":
            usage = {"input_tokens": ask.prompt_tokens, "output_tokens": 90}
            usage["total_tokens"] = sum(usage.values())
            events: list[dict[str, Any]] = [
                {
                    "type": "speech.audio.delta",
                    "audio": base64.b64encode(piece).decode(),
                }
                for piece in pieces
            ]
            events.append({"type": "speech.audio.done", "usage": usage})
            return _stream([Segment(_event(event)) for event in events], usage)
        return Answer(
            headers=[("content-type", "audio/mpeg")],
            segments=[Segment(b"ID3"), *(Segment(piece) for piece in pieces)],
            stream=True,
        )


class Transcriptions(Operation):
    """The dialect of `/v1/audio/transcriptions` and `/v1/audio/translations`."""

    name = "openai-transcriptions"
    ends = ("/audio/transcriptions", "/audio/translations")

    def made(self, ask: Ask, scenario: Scenario, rng: random.Random) -> Answer:
        """Answer some words in the format that was asked for."""
        text = "".join(make_words(rng, 8)).strip()
        kind = ask.payload.get("response_format") or "json"
        if kind in ("text", "srt", "vtt"):
            head = {"vtt": "WEBVTT\n\n", "srt": "1\n"}.get(kind, "")
            body = f"{head}{text}\n".encode()
            return document(body, content_type="text/plain; charset=utf-8")
        usage: dict[str, Any] = {"type": "duration", "seconds": 7}
        if ask.stream:
            done = {"type": "transcript.text.done", "text": text, "usage": usage}
            delta = {"type": "transcript.text.delta", "delta": text}
            return _stream([Segment(_event(delta)), Segment(_event(done))], usage)
        return _whole({"text": text, "usage": usage}, usage)


class Moderations(Operation):
    """The dialect of `/v1/moderations`."""

    name, ends = "openai-moderations", ("/moderations",)

    def made(self, ask: Ask, scenario: Scenario, rng: random.Random) -> Answer:
        """Find nothing wrong."""
        result = {
            "flagged": False,
            "categories": {"violence": False},
            "category_scores": {"violence": 0.01},
            "category_applied_input_types": {"violence": ["text"]},
        }
        given = ask.payload["input"]
        count = len(given) if isinstance(given, list) else 1
        body = {"id": "modr-1", "model": ask.model, "results": [result] * count}
        return document(json.dumps(body).encode())


class Rerank(Operation):
    """The dialect of `/v1/rerank`, in the shape of Cohere."""

    name, ends = "rerank", ("/rerank",)

    def made(self, ask: Ask, scenario: Scenario, rng: random.Random) -> Answer:
        """Rank the last document first."""
        count = len(ask.payload["documents"])
        results = [
            {"index": index, "relevance_score": (index + 1) / (count + 1)}
            for index in reversed(range(count))
        ]
        meta = {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}}
        body = {"id": "rr-1", "results": results[: ask.payload.get("top_n")]}
        return document(json.dumps({**body, "meta": meta}).encode())


OPERATIONS = (
    Completions,
    Embeddings,
    Images,
    Speech,
    Transcriptions,
    Moderations,
    Rerank,
)


def texts_of(payload: dict[str, Any]) -> list[str]:
    """Return what a model reads of a request."""
    found: list[str] = []
    for name in ("prompt", "input", "query", "documents", "suffix"):
        value = payload.get(name)
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, str):
                found.append(each)
    return found


def _form(body: bytes) -> dict[str, Any]:
    """Read a form's fields; of a file only its size."""
    found: dict[str, Any] = {}
    for name, is_file, value in _FIELD.findall(body):
        found[name.decode()] = len(value) if is_file else value.decode()
    return found


def _piece(ask: Ask, text: str, finish: str | None) -> dict[str, Any]:
    choice = {"text": text, "index": 0, "logprobs": None, "finish_reason": finish}
    return {
        "id": "cmpl-1",
        "object": "text_completion",
        "created": CREATED,
        "model": ask.model,
        "choices": [choice],
    }


def _whole(body: dict[str, Any], usage: dict[str, Any]) -> Answer:
    made = document(json.dumps(body).encode())
    made.usage = usage
    return made


def _stream(segments: list[Segment], usage: dict[str, Any]) -> Answer:
    headers = [("content-type", "text/event-stream; charset=utf-8")]
    return Answer(headers=headers, segments=segments, stream=True, usage=usage)


def _event(body: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def _named(body: dict[str, Any]) -> bytes:
    return f"event: {body['type']}\n".encode() + _event(body)
