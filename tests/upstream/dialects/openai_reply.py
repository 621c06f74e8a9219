"""Render an OpenAI chat answer, whole or as server-sent events."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.upstream.answer import Answer, Ask, Segment
from tests.upstream.scenario import Scenario
from tests.upstream.tokens import count_tokens

CREATED = 1_767_225_600


@dataclass(frozen=True)
class Choice:
    """One choice of an answer, the same whether streamed or not."""

    words: list[str]
    reasoning: list[str]
    tool_calls: list[tuple[str, str, str]]
    refusal: str
    finish: str

    @property
    def text(self) -> str:
        """Return the visible text."""
        return "".join(self.words)

    @property
    def tokens(self) -> int:
        """Return the completion tokens, reasoning included."""
        called = sum(call_tokens(name, args) for _, name, args in self.tool_calls)
        return (
            sum(map(count_tokens, self.words))
            + sum(map(count_tokens, self.reasoning))
            + called
            + count_tokens(self.refusal)
        )

    @property
    def reasoning_tokens(self) -> int:
        """Return the tokens spent on reasoning."""
        return sum(map(count_tokens, self.reasoning))


class Reply:
    """Render choices as one document or as a stream."""

    def __init__(self, ask: Ask, scenario: Scenario, choices: list[Choice]) -> None:
        self.ask, self.scenario, self.choices = ask, scenario, choices
        options = ask.payload.get("stream_options") or {}
        self.wants_usage = bool(options.get("include_usage"))
        self.usage = self._usage()
        self.head = {
            "id": f"chatcmpl-{abs(hash_of(ask.payload)):020d}",
            "object": "chat.completion",
            "created": CREATED,
            "model": ask.model,
            "service_tier": "default",
            "system_fingerprint": "fp_fault",
        }

    def whole(self) -> Answer:
        """Render one JSON document."""
        choices = [
            {
                "index": index,
                "message": self._message(choice),
                "logprobs": self._logprobs(choice.words),
                "finish_reason": choice.finish,
            }
            for index, choice in enumerate(self.choices)
        ]
        body: dict[str, Any] = {**self.head, "choices": choices}
        if self.usage is not None:
            body["usage"] = self.usage
        data = json.dumps(body, ensure_ascii=False).encode()
        if self.scenario.has("garbled"):
            data = data[: len(data) // 2] + b"\x00\xff\xfe}{"
        tokens = sum(choice.tokens for choice in self.choices)
        thought = sum(choice.reasoning_tokens for choice in self.choices)
        # The vendor has generated the whole answer before its first byte leaves.
        generated = Segment(b"", tokens, thought, event=False)
        return Answer(
            headers=[("content-type", "application/json")],
            segments=[generated, Segment(data, usage=self.usage is not None)],
            usage=self.usage,
        )

    def streamed(self) -> Answer:
        """Render server-sent events."""
        return Answer(
            headers=[
                ("content-type", "text/event-stream; charset=utf-8"),
                ("cache-control", "no-cache"),
            ],
            segments=list(self._events()),
            stream=True,
            usage=self.usage if self._reports_usage() else None,
        )

    def _events(self) -> Iterator[Segment]:
        for index, choice in enumerate(self.choices):
            yield self._chunk(index, {"role": "assistant", "content": ""})
            yield from self._reasoning(index, choice)
            yield from self._text(index, choice)
            yield from self._tools(index, choice)
            if not self.scenario.has("no-finish"):
                yield self._finish(index, choice)
        if self._reports_usage() and not self._usage_rides_along():
            body = {**self._head(), "choices": [], "usage": self.usage}
            yield Segment(event_of(body), usage=True)
        if not self.scenario.has("no-done"):
            yield Segment(b"data: [DONE]\n\n")
        if self.scenario.has("done-twice"):
            yield Segment(b"data: [DONE]\n\n")

    def _text(self, index: int, choice: Choice) -> Iterator[Segment]:
        parts = choice.words or ([choice.refusal] if choice.refusal else [])
        chunks = self.scenario.number("chunks", 0)
        size = max(1, -(-len(parts) // chunks)) if chunks else 1
        for start in range(0, len(parts), size):
            part = "".join(parts[start : start + size])
            name = "refusal" if choice.refusal else "content"
            logprobs = self._logprobs(parts[start : start + size])
            yield self._chunk(index, {name: part}, count_tokens(part), logprobs)

    def _reasoning(self, index: int, choice: Choice) -> Iterator[Segment]:
        for word in choice.reasoning:
            tokens = count_tokens(word)
            chunk = self._chunk(index, {"reasoning_content": word}, tokens)
            yield Segment(chunk.data, tokens, reasoning_tokens=tokens)

    def _tools(self, index: int, choice: Choice) -> Iterator[Segment]:
        step = 3 if self.scenario.has("tools-fragmented") else 1_000
        for position, (call_id, name, arguments) in enumerate(choice.tool_calls):
            opening = {
                "index": position,
                "id": call_id,
                "type": "function",
                "function": {"name": name, "arguments": ""},
            }
            total = call_tokens(name, arguments)
            yield self._chunk(index, {"tool_calls": [opening]}, total)
            for start in range(0, len(arguments), step):
                piece = {"arguments": arguments[start : start + step]}
                delta = {"tool_calls": [{"index": position, "function": piece}]}
                yield self._chunk(index, delta)

    def _finish(self, index: int, choice: Choice) -> Segment:
        body = self._body(index, {}, finish=choice.finish)
        last = index == len(self.choices) - 1
        rides = last and self._reports_usage() and self._usage_rides_along()
        if rides:
            body["usage"] = self.usage
        return Segment(event_of(body), usage=rides)

    def _chunk(
        self, index: int, delta: dict[str, Any], tokens: int = 0, logprobs: Any = None
    ) -> Segment:
        body = self._body(index, delta)
        if logprobs is not None:
            body["choices"][0]["logprobs"] = logprobs
        if self.scenario.has("usage-every") and self.usage is not None:
            body["usage"] = self.usage
        return Segment(event_of(body), tokens)

    def _body(
        self, index: int, delta: dict[str, Any], finish: str | None = None
    ) -> dict[str, Any]:
        choice = {"index": index, "delta": delta, "logprobs": None}
        body: dict[str, Any] = {**self._head(), "choices": [choice]}
        choice["finish_reason"] = finish
        if self.wants_usage:
            body["usage"] = None
        return body

    def _head(self) -> dict[str, Any]:
        return {**self.head, "object": "chat.completion.chunk"}

    def _message(self, choice: Choice) -> dict[str, Any]:
        message: dict[str, Any] = {
            "role": "assistant",
            "content": choice.text or None,
            "refusal": choice.refusal or None,
            "annotations": [],
        }
        if choice.reasoning:
            message["reasoning_content"] = "".join(choice.reasoning)
        if choice.tool_calls:
            message["tool_calls"] = [
                {"id": i, "type": "function", "function": {"name": n, "arguments": a}}
                for i, n, a in choice.tool_calls
            ]
        return message

    def _logprobs(self, words: list[str]) -> dict[str, Any] | None:
        if not self.ask.payload.get("logprobs") or not words:
            return None
        content = [
            {
                "token": word,
                "logprob": -0.25,
                "bytes": list(word.encode()),
                "top_logprobs": [],
            }
            for word in words
        ]
        return {"content": content, "refusal": None}

    def _reports_usage(self) -> bool:
        asked = self.wants_usage or self._usage_rides_along()
        return self.usage is not None and asked

    def _usage_rides_along(self) -> bool:
        return bool(self.scenario.first("usage-last-content", "usage-every"))

    def _usage(self) -> dict[str, Any] | None:
        if self.scenario.has("no-usage"):
            return None
        prompt = self.ask.prompt_tokens
        completion = sum(choice.tokens for choice in self.choices)
        thought = sum(choice.reasoning_tokens for choice in self.choices)
        cached = min(prompt, self.scenario.number("cached"))
        spoil = spoiler(self.scenario)
        usage: dict[str, Any] = {
            "prompt_tokens": spoil(prompt),
            "completion_tokens": spoil(completion),
            "total_tokens": spoil(prompt + completion),
            "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": thought,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        }
        if self.scenario.has("vendor-cost"):
            usage["cost"] = float(self.scenario.text("vendor-cost", "0.0123"))
        return usage


def hash_of(payload: dict[str, Any]) -> int:
    """Return a number that depends on the conversation and the model only.

    Two calls with the same conversation get the same answer, so that an answer through
    a proxy can be compared byte by byte with a direct one.
    """
    asked = [payload.get("model"), payload.get("messages"), payload.get("n")]
    text = json.dumps(asked, sort_keys=True)
    return int.from_bytes(random.Random(text).randbytes(8), "big")


def event_of(body: dict[str, Any]) -> bytes:
    """Frame one event of a stream."""
    return b"data: " + json.dumps(body, ensure_ascii=False).encode() + b"\n\n"


def call_tokens(name: str, arguments: str) -> int:
    """Return the tokens of one tool call."""
    return 8 + count_tokens(name) + count_tokens(arguments)


def spoiler(scenario: Scenario) -> Callable[[int], Any]:
    """Return what a scenario makes of a true count."""
    rules: dict[str, Callable[[int], Any]] = {
        "usage-zero": lambda _: 0,
        "usage-negative": lambda number: -number,
        "usage-absurd": lambda _: 10**12,
        "usage-string": lambda number: str(number),
        "usage-nan": lambda _: float("nan"),
    }
    return rules.get(scenario.first(*rules) or "", lambda number: number)
