"""Embeddings as Gemini and Ollama answer them."""

from __future__ import annotations

import json
import random
import struct
from typing import Any

from tests.upstream.answer import Answer, Ask, Segment, document
from tests.upstream.dialects.gemini import GenerateContent
from tests.upstream.dialects.ollama import OllamaChat
from tests.upstream.scenario import Scenario
from tests.upstream.tokens import count_tokens


class GeminiEmbeddings:
    """The dialect of `:embedContent` and `:batchEmbedContents`."""

    name = "gemini-embeddings"

    def matches(self, method: str, path: str) -> bool:
        """Serve any base path."""
        return method == "POST" and path.endswith(
            (":embedContent", ":batchEmbedContents")
        )

    def parse(self, path: str, body: bytes) -> Ask:
        """Take the model from the path; a batch must name it again."""
        payload = json.loads(body)
        model = path.rpartition("/")[2].partition(":")[0]
        is_batch = path.endswith(":batchEmbedContents")
        for one in payload["requests"] if is_batch else ():
            if one.get("model") != f"models/{model}":
                raise ValueError("each request must name the model of the path")
        listed = payload["requests"] if is_batch else [payload]
        texts = [one["content"]["parts"][0]["text"] for one in listed]
        asked = {"texts": texts, "is_batch": is_batch}
        return Ask(model, stream=False, prompt_tokens=0, payload=asked)

    def answer(self, ask: Ask, scenario: Scenario, rng: random.Random) -> Answer:
        """Answer one vector for each text."""
        made = [{"values": vector(text)} for text in ask.payload["texts"]]
        body = (
            {"embeddings": made} if ask.payload["is_batch"] else {"embedding": made[0]}
        )
        return document(json.dumps(body).encode())

    def error(self, status: int, detail: str, message: str) -> Answer:
        """Build an error in Google's shape."""
        return GenerateContent().error(status, detail, message)

    def stream_error(self) -> Segment:
        """Build what is never sent: vectors are not streamed."""
        return GenerateContent().stream_error()


class OllamaEmbeddings:
    """The dialect of `/api/embed`."""

    name = "ollama-embeddings"

    def matches(self, method: str, path: str) -> bool:
        """Serve the one path."""
        return method == "POST" and path.endswith("/api/embed")

    def parse(self, path: str, body: bytes) -> Ask:
        """Read a request."""
        payload = json.loads(body)
        given = payload["input"]
        texts = given if isinstance(given, list) else [given]
        tokens = sum(map(count_tokens, texts))
        return Ask(payload["model"], False, tokens, {"texts": texts})

    def answer(self, ask: Ask, scenario: Scenario, rng: random.Random) -> Answer:
        """Answer one vector for each text."""
        body: dict[str, Any] = {
            "model": ask.model,
            "embeddings": [vector(text) for text in ask.payload["texts"]],
            "total_duration": 1,
            "prompt_eval_count": ask.prompt_tokens,
        }
        made = document(json.dumps(body).encode())
        made.usage = {"prompt_tokens": ask.prompt_tokens}
        return made

    def error(self, status: int, detail: str, message: str) -> Answer:
        """Build an error in Ollama's shape."""
        return OllamaChat().error(status, detail, message)

    def stream_error(self) -> Segment:
        """Build what is never sent: vectors are not streamed."""
        return OllamaChat().stream_error()


def vector(text: str) -> list[float]:
    """Return the same singles for the same text."""
    rng = random.Random(text)
    packed = struct.pack("<8f", *(rng.uniform(-1, 1) for _ in range(8)))
    return list(struct.unpack("<8f", packed))
