"""Gemini generateContent as a vendor would answer it."""

from __future__ import annotations

import base64
import json
import random
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from tests.upstream.answer import Answer, Ask, Segment, document
from tests.upstream.content import choose, prompt_tokens
from tests.upstream.dialects.openai_chat import odd_answer
from tests.upstream.dialects.openai_reply import Choice, call_tokens, hash_of
from tests.upstream.dialects.report import Report, pieces, whole_answer
from tests.upstream.scenario import Scenario
from tests.upstream.tokens import count_tokens

_PATH = re.compile(r"/models/(.+):(generateContent|streamGenerateContent)$")
_ERRORS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_STOPS = {"stop": "STOP", "length": "MAX_TOKENS", "tool_calls": "STOP"}


class GenerateContent:
    """The dialect of `models/{model}:generateContent`."""

    name = "gemini"

    def matches(self, method: str, path: str) -> bool:
        """Serve any version."""
        return method == "POST" and _PATH.search(path) is not None

    def parse(self, path: str, body: bytes) -> Ask:
        """Read a request; the model and the stream are in the path."""
        found = _PATH.search(unquote(path))
        assert found is not None
        payload = json.loads(body)
        if not isinstance(payload.get("contents"), list):
            raise ValueError("contents is not specified")  # noqa: TRY004
        _check_parts(payload["contents"])
        chat = _chat_of(found[1], payload)
        return Ask(
            model=found[1],
            stream=found[2] == "streamGenerateContent",
            prompt_tokens=prompt_tokens(chat),
            payload=chat,
        )

    def answer(self, ask: Ask, scenario: Scenario, rng: random.Random) -> Answer:
        """Build the answer, streamed or whole."""
        if scenario.has("error-200-json"):
            return self.error(503, "", "Overloaded, inside a 200.").with_status(200)
        odd = odd_answer(scenario)
        if odd is not None:
            return odd
        reply = _Reply(ask, scenario, choose(ask, scenario, rng))
        flip = scenario.first("json-for-stream" if ask.stream else "sse-for-json")
        return reply.streamed() if ask.stream != bool(flip) else reply.whole()

    def error(self, status: int, detail: str, message: str) -> Answer:
        """Build an error in Google's shape."""
        if detail == "text":
            body = f"upstream says {status}".encode()
            return document(body, status=status, content_type="text/plain")
        error: dict[str, Any] = {
            "code": status,
            "message": message or f"The fault upstream answers {status}.",
            "status": _ERRORS.get(status, "INTERNAL"),
        }
        if detail.startswith("retry-after-"):
            seconds = detail.removeprefix("retry-after-")
            kind = "type.googleapis.com/google.rpc.RetryInfo"
            error["details"] = [{"@type": kind, "retryDelay": f"{seconds}s"}]
        return document(json.dumps({"error": error}).encode(), status=status)

    def stream_error(self) -> Segment:
        """Build the frame of a failure in the middle of a stream."""
        error = {"code": 503, "message": "Overloaded", "status": "UNAVAILABLE"}
        return Segment(_frame({"error": error}))


class _Reply:
    def __init__(self, ask: Ask, scenario: Scenario, choice: Choice) -> None:
        self.ask, self.scenario, self.choice = ask, scenario, choice
        self.report = Report(ask, scenario, [choice])

    def whole(self) -> Answer:
        parts = [part for part, _, _ in self._parts()]
        body = self._body(parts, self._stop(), is_last=True)
        return whole_answer(body, self.report, garbled=self.scenario.has("garbled"))

    def streamed(self) -> Answer:
        return Answer(
            headers=[("content-type", "text/event-stream")],
            segments=list(self._frames()),
            stream=True,
            usage=self.report.usage,
        )

    def _frames(self) -> Iterator[Segment]:
        parts = list(self._parts())
        for number, (part, tokens, thought) in enumerate(parts):
            is_last = number == len(parts) - 1
            stop = self._stop() if is_last and not self._is_open() else None
            body = self._body([part], stop, is_last=is_last)
            has_usage = is_last and self.report.usage is not None
            yield Segment(_frame(body), tokens, thought, usage=has_usage)

    def _is_open(self) -> bool:
        return self.scenario.has("no-finish") or self.scenario.has("no-done")

    def _parts(self) -> Iterator[tuple[dict[str, Any], int, int]]:
        choice = self.choice
        for word in choice.reasoning:
            count = count_tokens(word)
            yield {"text": word, "thought": True}, count, count
        if choice.words or choice.refusal:
            words = choice.words or [choice.refusal]
            for text in pieces(words, self.scenario):
                yield {"text": text}, count_tokens(text), 0
        for number, (_, name, arguments) in enumerate(choice.tool_calls):
            call = {"name": name, "args": json.loads(arguments)}
            part: dict[str, Any] = {"functionCall": call}
            if number == 0 and choice.reasoning:
                part["thoughtSignature"] = base64.b64encode(b"signed").decode()
            yield part, call_tokens(name, arguments), 0

    def _stop(self) -> str:
        return "SAFETY" if self.choice.refusal else _STOPS[self.choice.finish]

    def _body(
        self, parts: list[dict[str, Any]], stop: str | None, *, is_last: bool
    ) -> dict[str, Any]:
        candidate: dict[str, Any] = {
            "content": {"role": "model", "parts": parts},
            "index": 0,
        }
        if stop:
            candidate["finishReason"] = stop
        body: dict[str, Any] = {
            "candidates": [candidate],
            "modelVersion": self.ask.model,
            "responseId": f"resp{abs(hash_of(self.ask.payload)):020d}",
        }
        report = self.report
        if is_last and report.usage is not None:
            body["usageMetadata"] = {
                "promptTokenCount": report.spoil(report.prompt),
                "cachedContentTokenCount": report.cached,
                "candidatesTokenCount": report.spoil(
                    report.completion - report.thought
                ),
                "thoughtsTokenCount": report.thought,
                "totalTokenCount": report.spoil(report.prompt + report.completion),
            }
        return body


def _chat_of(model: str, payload: dict[str, Any]) -> dict[str, Any]:
    system = payload.get("systemInstruction") or payload.get("system_instruction") or {}
    messages: list[dict[str, Any]] = []
    if system:
        messages.append({"role": "system", "content": _texts(system)})
    messages += [_chat_message(content) for content in payload["contents"]]
    config = payload.get("generationConfig") or payload.get("generation_config") or {}
    calling = (payload.get("toolConfig") or {}).get("functionCallingConfig") or {}
    tools = [
        {
            "function": {
                "name": each["name"],
                "parameters": each.get("parametersJsonSchema")
                or each.get("parameters_json_schema")
                or each.get("parameters"),
            }
        }
        for tool in payload.get("tools") or []
        for each in tool.get("functionDeclarations")
        or tool.get("function_declarations")
        or []
    ]
    allowed = calling.get("allowedFunctionNames")
    if allowed:
        tools = [each for each in tools if each["function"]["name"] in allowed]
    chat: dict[str, Any] = {
        "answered": '"functionResponse"' in json.dumps(payload["contents"]),
        "model": model,
        "messages": messages,
        "tools": tools,
        "tool_choice": "required" if calling.get("mode") == "ANY" else "auto",
        "max_tokens": config.get("maxOutputTokens"),
    }
    schema = config.get("responseJsonSchema") or config.get("responseSchema")
    if schema:
        wanted = {"type": "json_schema", "json_schema": {"schema": schema}}
        chat["response_format"] = wanted
    return chat


def _chat_message(content: dict[str, Any]) -> dict[str, Any]:
    parts: list[dict[str, Any]] = []
    calls = []
    for part in content["parts"]:
        if "functionCall" in part:
            call = part["functionCall"]
            arguments = json.dumps(call.get("args", {}))
            function = {"name": call["name"], "arguments": arguments}
            calls.append({"function": function})
        elif "functionResponse" in part:
            told = json.dumps(part["functionResponse"]["response"])
            parts.append({"type": "text", "text": told})
        elif "inlineData" in part or "fileData" in part:
            parts.append({"type": "image_url", "image_url": {}})
        else:
            parts.append({"type": "text", "text": part.get("text", "")})
    return {"role": "user", "content": parts, "tool_calls": calls}


def _texts(content: dict[str, Any]) -> str:
    return "".join(str(part.get("text", "")) for part in content.get("parts", []))


def _check_parts(contents: list[dict[str, Any]]) -> None:
    """Refuse what the API refuses about calls and their answers."""
    asked = 0
    for content in contents:
        answered = 0
        for part in content.get("parts", []):
            response = part.get("functionResponse")
            if response is not None:
                answered += 1
                if not isinstance(response.get("response"), dict):
                    raise ValueError("functionResponse.response must be an object")
        if asked and answered != asked:
            raise ValueError(
                "the number of function response parts should be equal to the number "
                "of function call parts"
            )
        asked = sum("functionCall" in part for part in content.get("parts", []))


def _frame(body: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(body, ensure_ascii=False).encode() + b"\r\n\r\n"
