"""Anthropic messages as a vendor would answer them."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Iterator
from typing import Any

from tests.upstream.answer import Answer, Ask, Segment, document
from tests.upstream.content import choose, prompt_tokens
from tests.upstream.dialects.openai_chat import odd_answer
from tests.upstream.dialects.openai_reply import Choice, call_tokens, hash_of
from tests.upstream.dialects.report import Report, pieces, whole_answer
from tests.upstream.scenario import Scenario
from tests.upstream.tokens import count_tokens

_ERRORS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    422: "invalid_request_error",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_STOPS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}


class Messages:
    """The dialect of `/v1/messages`."""

    name = "anthropic"

    def matches(self, method: str, path: str) -> bool:
        """Serve any base path."""
        return method == "POST" and path.endswith("/messages")

    def parse(self, path: str, body: bytes) -> Ask:
        """Read a request; refuse what Anthropic refuses."""
        payload = json.loads(body)
        if not isinstance(payload.get("model"), str):
            raise ValueError("model: Field required")  # noqa: TRY004
        if not isinstance(payload.get("max_tokens"), int):
            raise ValueError("max_tokens: Field required")  # noqa: TRY004
        _check_turns(payload.get("messages"))
        chat = chat_of(payload)
        return Ask(
            model=payload["model"],
            stream=bool(payload.get("stream")),
            prompt_tokens=prompt_tokens(chat),
            payload=chat,
        )

    def answer(self, ask: Ask, scenario: Scenario, rng: random.Random) -> Answer:
        """Build the answer, streamed or whole."""
        if scenario.has("error-200-json"):
            return self.error(529, "", "Overloaded, inside a 200.").with_status(200)
        odd = odd_answer(scenario)
        if odd is not None:
            return odd
        reply = _Reply(ask, scenario, choose(ask, scenario, rng))
        flip = scenario.first("json-for-stream" if ask.stream else "sse-for-json")
        return reply.streamed() if ask.stream != bool(flip) else reply.whole()

    def error(self, status: int, detail: str, message: str) -> Answer:
        """Build an error in Anthropic's shape."""
        if detail == "text":
            body = f"upstream says {status}".encode()
            return document(body, status=status, content_type="text/plain")
        if detail == "context":
            message = "prompt is too long: 250000 tokens > 200000 maximum"
        error = {
            "type": "error",
            "error": {
                "type": _ERRORS.get(status, "api_error"),
                "message": message or f"The fault upstream answers {status}.",
            },
            "request_id": "req_fault",
        }
        return document(json.dumps(error).encode(), status=status)

    def stream_error(self) -> Segment:
        """Build the event of a failure in the middle of a stream."""
        error = {"type": "overloaded_error", "message": "Overloaded"}
        return Segment(_event("error", {"error": error}))


class _Reply:
    def __init__(self, ask: Ask, scenario: Scenario, choice: Choice) -> None:
        self.ask, self.scenario, self.choice = ask, scenario, choice
        self.report = Report(ask, scenario, [choice])
        self.id = f"msg_{abs(hash_of(ask.payload)):020d}"

    def whole(self) -> Answer:
        body = self._message()
        body |= {
            "content": self._blocks(),
            "stop_reason": self._stop(),
        }
        if self.report.usage is not None:
            body["usage"] = self._usage(self.report.completion)
        return whole_answer(body, self.report, garbled=self.scenario.has("garbled"))

    def streamed(self) -> Answer:
        return Answer(
            headers=[("content-type", "text/event-stream; charset=utf-8")],
            segments=list(self._events()),
            stream=True,
            usage=self.report.usage,
        )

    def _events(self) -> Iterator[Segment]:
        message = self._message() | {"content": [], "stop_reason": None}
        message["usage"] = self._usage(1) if self.report.usage is not None else {}
        yield Segment(_event("message_start", {"message": message}))
        for index, block in enumerate(self._blocks()):
            yield from self._block(index, block)
        if not self.scenario.has("no-finish"):
            delta = {"stop_reason": self._stop(), "stop_sequence": None}
            body: dict[str, Any] = {"delta": delta}
            if self.report.usage is not None:
                body["usage"] = {"output_tokens": self.report.completion}
            has_usage = self.report.usage is not None
            yield Segment(_event("message_delta", body), usage=has_usage)
        if not self.scenario.has("no-done"):
            yield Segment(_event("message_stop", {}))

    def _block(self, index: int, block: dict[str, Any]) -> Iterator[Segment]:
        empty = {"text": "", "thinking": "", "signature": "", "input": {}}
        opening = {key: empty.get(key, value) for key, value in block.items()}
        head = {"index": index}
        body = {**head, "content_block": opening}
        cost = 0
        if block["type"] == "tool_use":
            arguments = json.dumps(block["input"], ensure_ascii=False)
            cost = call_tokens(block["name"], arguments)
        yield Segment(_event("content_block_start", body), cost)
        if index == 0:
            yield Segment(_event("ping", {}))
        for kind, text, tokens, thought in self._deltas(block):
            name = {"text_delta": "text", "thinking_delta": "thinking"}.get(kind)
            name = name or {"signature_delta": "signature"}.get(kind, "partial_json")
            delta = {"type": kind, name: text}
            data = _event("content_block_delta", {**head, "delta": delta})
            yield Segment(data, tokens, thought)
        yield Segment(_event("content_block_stop", head))

    def _deltas(self, block: dict[str, Any]) -> Iterator[tuple[str, str, int, int]]:
        if block["type"] == "thinking":
            for word in self.choice.reasoning:
                count = count_tokens(word)
                yield "thinking_delta", word, count, count
            yield "signature_delta", block["signature"], 0, 0
        elif block["type"] == "text":
            parts = self.choice.words or [self.choice.refusal]
            for part in pieces(parts, self.scenario):
                yield "text_delta", part, count_tokens(part), 0
        else:
            arguments = json.dumps(block["input"], ensure_ascii=False)
            step = 3 if self.scenario.has("tools-fragmented") else 12
            for start in range(0, len(arguments), step):
                yield "input_json_delta", arguments[start : start + step], 0, 0

    def _blocks(self) -> list[dict[str, Any]]:
        choice = self.choice
        blocks: list[dict[str, Any]] = []
        if choice.reasoning:
            thought = "".join(choice.reasoning)
            signature = base64.b64encode(f"signed:{self.ask.model}".encode()).decode()
            blocks.append(
                {"type": "thinking", "thinking": thought, "signature": signature}
            )
        if choice.text or choice.refusal:
            blocks.append({"type": "text", "text": choice.text or choice.refusal})
        for call_id, name, arguments in choice.tool_calls:
            blocks.append(
                {
                    "type": "tool_use",
                    "id": call_id.replace("call_", "toolu_"),
                    "name": name,
                    "input": json.loads(arguments),
                }
            )
        return blocks

    def _message(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "type": "message",
            "role": "assistant",
            "model": self.ask.model,
            "stop_sequence": None,
        }

    def _stop(self) -> str:
        return "refusal" if self.choice.refusal else _STOPS[self.choice.finish]

    def _usage(self, output: int) -> dict[str, Any]:
        report = self.report
        return {
            "input_tokens": report.spoil(report.prompt - report.cached),
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": report.cached,
            "output_tokens": report.spoil(output),
            "service_tier": "standard",
        }


def chat_of(payload: dict[str, Any]) -> dict[str, Any]:
    """Read a request into chat's form, as far as content and counting need it."""
    messages = [{"role": "system", "content": _plain(payload.get("system"))}]
    for message in payload["messages"]:
        messages.append(_chat_message(message))
    choice = payload.get("tool_choice") or {}
    kind = choice.get("type")
    tools = [
        {"function": {"name": t["name"], "parameters": t.get("input_schema")}}
        for t in payload.get("tools") or []
        if "name" in t
    ]
    if kind == "tool":
        tools = [t for t in tools if t["function"]["name"] == choice["name"]]
    chat: dict[str, Any] = {
        "answered": '"tool_result"' in json.dumps(payload["messages"]),
        "model": payload["model"],
        "messages": messages,
        "tools": tools,
        "tool_choice": "required" if kind in ("any", "tool") else "auto",
        "max_tokens": payload["max_tokens"],
    }
    wanted = (payload.get("output_config") or {}).get("format") or {}
    if wanted.get("type") == "json_schema":
        chat["response_format"] = {
            "type": "json_schema",
            "json_schema": {"schema": wanted["schema"]},
        }
    return chat


def _chat_message(message: dict[str, Any]) -> dict[str, Any]:
    content = message["content"]
    if isinstance(content, str):
        return {"role": message["role"], "content": content}
    parts: list[dict[str, Any]] = []
    calls = []
    for block in content:
        if block["type"] == "image":
            parts.append({"type": "image_url", "image_url": {}})
        elif block["type"] == "tool_use":
            arguments = json.dumps(block["input"])
            function = {"name": block["name"], "arguments": arguments}
            calls.append({"function": function})
        elif block["type"] == "tool_result":
            parts.append({"type": "text", "text": _plain(block.get("content"))})
        else:
            parts.append({"type": "text", "text": str(block.get("text", ""))})
    return {"role": message["role"], "content": parts, "tool_calls": calls}


def _plain(content: Any) -> str:
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content)
    return str(content or "")


def _check_turns(messages: Any) -> None:
    """Refuse what the API refuses about turns, so that a translation cannot slip."""
    if not isinstance(messages, list) or not messages:
        raise ValueError("messages: at least one message is required")
    if messages[0]["role"] != "user":
        raise ValueError("messages: first message must use the user role")
    asked: set[str] = set()
    for message in messages:
        blocks = message["content"]
        blocks = blocks if isinstance(blocks, list) else [{"type": "text"}]
        results = [b["tool_use_id"] for b in blocks if b["type"] == "tool_result"]
        if message["role"] != "system" and asked - set(results):
            raise ValueError(
                "tool_use ids were found without tool_result blocks immediately after"
            )
        for block in blocks:
            if block["type"] == "text" and block.get("text") == "":
                raise ValueError("messages: text content blocks must be non-empty")
        if message["role"] != "system":
            asked = {b["id"] for b in blocks if b["type"] == "tool_use"}


def _event(name: str, body: dict[str, Any]) -> bytes:
    data = json.dumps({"type": name, **body}, ensure_ascii=False)
    return f"event: {name}\ndata: {data}\n\n".encode()
