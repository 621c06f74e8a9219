"""The dialects as clients speak them and as upstreams serve them, for whole matrices."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from providers.formats import registry
from providers.formats.neutral.codec import Reply
from providers.formats.neutral.events import AnyEvent, Delta, End, Failed
from tests.providers.proxy.pool import Answered, Pool
from tests.upstream.server import FaultUpstream

MODEL = "gpt-test"
UPSTREAMS = {
    "openai": "/v1",
    "responses": "/v1",
    "anthropic": "/v1",
    "google": "/v1beta",
    "ollama": "",
}


def _chat(text: str, stream: bool) -> dict[str, Any]:
    messages = [{"role": "user", "content": text}]
    return {"model": MODEL, "messages": messages, "stream": stream}


def _responses(text: str, stream: bool) -> dict[str, Any]:
    return {"model": MODEL, "input": text, "stream": stream}


def _anthropic(text: str, stream: bool) -> dict[str, Any]:
    return {**_chat(text, stream), "max_tokens": 200}


def _google(text: str, stream: bool) -> dict[str, Any]:
    return {"contents": [{"role": "user", "parts": [{"text": text}]}]}


def _bedrock(text: str, stream: bool) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [{"text": text}]}]}


@dataclass(frozen=True)
class Voice:
    """How one dialect's client asks."""

    format_id: str
    paths: tuple[str, str]
    body: Callable[[str, bool], dict[str, Any]]
    names_model_in_path: bool = False
    query: str = ""

    async def ask(
        self, pool: Pool, *, stream: bool = False, text: str = "Hello", **options: Any
    ) -> Answered:
        """Make a call in this dialect."""
        return await pool.call(
            self.body(text, stream),
            wire=registry.get(self.format_id),
            path=self.paths[stream],
            path_model=MODEL if self.names_model_in_path else None,
            is_stream=stream and self.names_model_in_path,
            query=self.query.encode(),
            **options,
        )

    def events(self, data: bytes) -> list[AnyEvent]:
        """Read a stream as a client of this dialect would."""
        codec = registry.get(self.format_id).codec("")
        assert codec is not None
        decoder = codec.open_decoder(Reply(model=MODEL))
        return [*decoder.feed(data), *decoder.eof()]

    def text(self, data: bytes) -> str:
        """Return the text of a stream."""
        events = self.events(data)
        return "".join(each.text for each in events if isinstance(each, Delta))

    def whole_text(self, data: bytes) -> str:
        """Return the text of a whole answer."""
        codec = registry.get(self.format_id).codec("")
        assert codec is not None
        events = codec.decode_answer(data, Reply(model=MODEL))
        assert not [each for each in events if isinstance(each, Failed)]
        return "".join(each.text for each in events if isinstance(each, Delta))

    def is_clean(self, data: bytes) -> bool:
        """Tell whether a stream ended as this dialect ends."""
        events = self.events(data)
        is_failed = any(isinstance(each, Failed) for each in events)
        return any(isinstance(each, End) for each in events) and not is_failed

    def error_message(self, data: bytes) -> str:
        """Return an error's words, of the shape this dialect's clients read."""
        told = json.loads(data)
        if self.format_id == "bedrock":
            return str(told["message"])
        if self.format_id == "ollama":
            assert isinstance(told["error"], str)
            return str(told["error"])
        error = told["error"]
        if self.format_id == "anthropic":
            assert told["type"] == "error"
            assert error["type"].endswith("_error") or error["type"] == (
                "request_too_large"
            )
        elif self.format_id == "google":
            assert isinstance(error["code"], int)
            assert error["status"].isupper()
        else:
            assert {"type", "code", "param"} <= set(error)
        return str(error["message"])


_GEMINI = "/v1beta/models/gpt-test:"
VOICES = {
    "openai": Voice("openai", ("/v1/chat/completions",) * 2, _chat),
    "responses": Voice("responses", ("/v1/responses",) * 2, _responses),
    "anthropic": Voice("anthropic", ("/v1/messages",) * 2, _anthropic),
    "google": Voice(
        "google",
        (f"{_GEMINI}generateContent", f"{_GEMINI}streamGenerateContent"),
        _google,
        names_model_in_path=True,
        query="alt=sse",
    ),
    "ollama": Voice("ollama", ("/api/chat",) * 2, _chat),
    "bedrock": Voice(
        "bedrock",
        ("/model/gpt-test/converse", "/model/gpt-test/converse-stream"),
        _bedrock,
        names_model_in_path=True,
    ),
}
PAIRS = [(client, upstream) for client in VOICES for upstream in UPSTREAMS]


def speak(pool: Pool, upstream: FaultUpstream, format_id: str, number: int = 1) -> None:
    """Let a provider of a pool speak another dialect."""
    origin = upstream.base_url.rpartition("/v1")[0]
    base_url = origin + UPSTREAMS[format_id]
    pool.set_provider(number, format=format_id, base_url=base_url)
