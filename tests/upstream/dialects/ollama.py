"""Ollama's own chat as a server would answer it."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

from tests.upstream.answer import Answer, Ask, Segment, document
from tests.upstream.content import choose, prompt_tokens
from tests.upstream.dialects.openai_chat import odd_answer
from tests.upstream.dialects.openai_reply import Choice, call_tokens
from tests.upstream.dialects.report import Report, pieces, whole_answer
from tests.upstream.scenario import Scenario
from tests.upstream.tokens import count_tokens

_AT = "2026-01-01T00:00:00.000000Z"


class OllamaChat:
    """The dialect of `/api/chat`."""

    name = "ollama"

    def matches(self, method: str, path: str) -> bool:
        """Serve the one path."""
        return method == "POST" and path.endswith("/api/chat")

    def parse(self, path: str, body: bytes) -> Ask:
        """Read a request; a stream is the default."""
        payload = json.loads(body)
        if not isinstance(payload.get("model"), str):
            raise ValueError("model is required")  # noqa: TRY004
        chat = _chat_of(payload)
        return Ask(
            model=payload["model"],
            stream=payload.get("stream", True),
            prompt_tokens=prompt_tokens(chat),
            payload=chat,
        )

    def answer(self, ask: Ask, scenario: Scenario, rng: random.Random) -> Answer:
        """Build the answer, streamed or whole."""
        odd = odd_answer(scenario)
        if odd is not None:
            return odd
        reply = _Reply(ask, scenario, choose(ask, scenario, rng))
        return reply.streamed() if ask.stream else reply.whole()

    def error(self, status: int, detail: str, message: str) -> Answer:
        """Build an error in Ollama's shape."""
        words = message or f"The fault upstream answers {status}."
        return document(json.dumps({"error": words}).encode(), status=status)

    def stream_error(self) -> Segment:
        """Build the line of a failure in the middle of a stream."""
        return Segment(_line({"error": "the model runner has stopped"}))


class _Reply:
    def __init__(self, ask: Ask, scenario: Scenario, choice: Choice) -> None:
        self.ask, self.scenario, self.choice = ask, scenario, choice
        self.report = Report(ask, scenario, [choice])

    def whole(self) -> Answer:
        choice = self.choice
        message: dict[str, Any] = {
            "role": "assistant",
            "content": choice.text or choice.refusal,
        }
        if choice.reasoning:
            message["thinking"] = "".join(choice.reasoning)
        if choice.tool_calls:
            message["tool_calls"] = self._calls()
        garbled = self.scenario.has("garbled")
        return whole_answer(self._end(message), self.report, garbled=garbled)

    def streamed(self) -> Answer:
        return Answer(
            headers=[("content-type", "application/x-ndjson")],
            segments=list(self._lines()),
            stream=True,
            usage=self.report.usage,
        )

    def _lines(self) -> Iterator[Segment]:
        choice = self.choice
        for word in choice.reasoning:
            count = count_tokens(word)
            yield Segment(self._piece(thinking=word), count, count)
        for text in pieces(choice.words or [choice.refusal], self.scenario):
            if text:
                yield Segment(self._piece(content=text), count_tokens(text))
        if choice.tool_calls:
            cost = sum(call_tokens(name, args) for _, name, args in choice.tool_calls)
            yield Segment(self._piece(tool_calls=self._calls()), cost)
        if not (self.scenario.has("no-finish") or self.scenario.has("no-done")):
            body = self._end({"role": "assistant", "content": ""})
            yield Segment(_line(body), usage=self.report.usage is not None)

    def _piece(self, **fields: Any) -> bytes:
        message = {"role": "assistant", "content": "", **fields}
        head = {"model": self.ask.model, "created_at": _AT}
        return _line({**head, "message": message, "done": False})

    def _calls(self) -> list[dict[str, Any]]:
        return [
            {"function": {"name": name, "arguments": json.loads(arguments)}}
            for _, name, arguments in self.choice.tool_calls
        ]

    def _end(self, message: dict[str, Any]) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self.ask.model,
            "created_at": _AT,
            "message": message,
            "done": True,
            "done_reason": "length" if self.choice.finish == "length" else "stop",
            "total_duration": 5_000_000,
            "load_duration": 1_000_000,
        }
        report = self.report
        if report.usage is not None:
            body["prompt_eval_count"] = report.spoil(report.prompt)
            body["eval_count"] = report.spoil(report.completion)
        return body


def _chat_of(payload: dict[str, Any]) -> dict[str, Any]:
    messages = []
    for message in payload.get("messages") or []:
        parts: list[dict[str, Any]] = [
            {"type": "text", "text": message.get("content", "")}
        ]
        parts += [
            {"type": "image_url", "image_url": {}} for _ in message.get("images") or []
        ]
        calls = []
        for call in message.get("tool_calls") or []:
            function = call["function"]
            if not isinstance(function.get("arguments", {}), dict):
                raise ValueError("arguments must be an object")  # noqa: TRY004
            text = json.dumps(function.get("arguments", {}))
            calls.append({"function": {"name": function["name"], "arguments": text}})
        messages.append(
            {"role": message["role"], "content": parts, "tool_calls": calls}
        )
    chat: dict[str, Any] = {
        "answered": any(message["role"] == "tool" for message in messages),
        "model": payload["model"],
        "messages": messages,
        "tools": payload.get("tools"),
        "max_tokens": (payload.get("options") or {}).get("num_predict"),
    }
    if isinstance(payload.get("format"), dict):
        wanted = {"type": "json_schema", "json_schema": {"schema": payload["format"]}}
        chat["response_format"] = wanted
    return chat


def _line(body: dict[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode() + b"\n"
