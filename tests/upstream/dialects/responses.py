"""OpenAI responses as a vendor would answer them."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

from tests.upstream.answer import Answer, Ask, Segment
from tests.upstream.content import choose, prompt_tokens
from tests.upstream.dialects.openai_chat import ChatCompletions, odd_answer
from tests.upstream.dialects.openai_reply import (
    CREATED,
    Choice,
    call_tokens,
    hash_of,
)
from tests.upstream.dialects.report import Report, pieces, whole_answer
from tests.upstream.scenario import Scenario
from tests.upstream.tokens import count_tokens


class Responses:
    """The dialect of `/v1/responses`."""

    name = "responses"

    def matches(self, method: str, path: str) -> bool:
        """Serve any base path."""
        return method == "POST" and path.endswith("/responses")

    def parse(self, path: str, body: bytes) -> Ask:
        """Read a request; refuse what OpenAI refuses."""
        payload = json.loads(body)
        if not isinstance(payload.get("model"), str):
            raise ValueError("Missing required parameter: 'model'.")  # noqa: TRY004
        if not isinstance(payload.get("input"), str | list):
            raise ValueError("Missing required parameter: 'input'.")  # noqa: TRY004
        _check_items(payload["input"])
        chat = _chat_of(payload)
        return Ask(
            model=payload["model"],
            stream=bool(payload.get("stream")),
            prompt_tokens=prompt_tokens(chat),
            payload=chat,
        )

    def answer(self, ask: Ask, scenario: Scenario, rng: random.Random) -> Answer:
        """Build the answer, streamed or whole."""
        odd = odd_answer(scenario)
        if odd is not None:
            return odd
        reply = _Reply(ask, scenario, choose(ask, scenario, rng))
        flip = scenario.first("json-for-stream" if ask.stream else "sse-for-json")
        return reply.streamed() if ask.stream != bool(flip) else reply.whole()

    def error(self, status: int, detail: str, message: str) -> Answer:
        """Build an error in OpenAI's shape."""
        return ChatCompletions().error(status, detail, message)

    def stream_error(self) -> Segment:
        """Build the event of a failure in the middle of a stream."""
        error = {"code": "server_is_overloaded", "message": "Overloaded"}
        body = {"response": {"id": "resp_x", "status": "failed", "error": error}}
        return Segment(_event("response.failed", body | {"sequence_number": 99}))


class _Reply:
    def __init__(self, ask: Ask, scenario: Scenario, choice: Choice) -> None:
        self.ask, self.scenario, self.choice = ask, scenario, choice
        self.report = Report(ask, scenario, [choice])
        self.id = f"{abs(hash_of(ask.payload)):020d}"
        self.number = -1

    def whole(self) -> Answer:
        garbled = self.scenario.has("garbled")
        return whole_answer(self._response(done=True), self.report, garbled=garbled)

    def streamed(self) -> Answer:
        return Answer(
            headers=[("content-type", "text/event-stream; charset=utf-8")],
            segments=list(self._events()),
            stream=True,
            usage=self.report.usage,
        )

    def _events(self) -> Iterator[Segment]:
        opening = {"response": self._response(done=False)}
        yield self._say("response.created", opening)
        yield self._say("response.in_progress", opening)
        for index, item in enumerate(self._items()):
            yield from self._item(index, item)
        if self.scenario.has("no-finish") or self.scenario.has("no-done"):
            return
        response = self._response(done=True)
        has_usage = self.report.usage is not None
        name = f"response.{response['status']}"
        yield self._say(name, {"response": response}, usage=has_usage)

    def _item(self, index: int, item: dict[str, Any]) -> Iterator[Segment]:
        where = {"output_index": index, "item_id": item["id"]}
        empty = {"content": [], "arguments": "", "summary": []}
        started = {key: empty.get(key, value) for key, value in item.items()}
        started["status"] = "in_progress"
        cost = 0
        if item["type"] == "function_call":
            cost = call_tokens(item["name"], item["arguments"])
        body = {"output_index": index, "item": started}
        yield self._say("response.output_item.added", body, tokens=cost)
        if item["type"] == "message":
            yield from self._text(where, item["content"][0])
        elif item["type"] == "reasoning":
            yield from self._thought(where, item["summary"][0]["text"])
        else:
            yield from self._arguments(where, item["arguments"])
        body = {"output_index": index, "item": item}
        yield self._say("response.output_item.done", body)

    def _text(self, where: dict[str, Any], part: dict[str, Any]) -> Iterator[Segment]:
        where = {**where, "content_index": 0}
        is_refusal = part["type"] == "refusal"
        kind, field = ("refusal", "refusal") if is_refusal else ("output_text", "text")
        opened = {**part, field: ""}
        yield self._say("response.content_part.added", {**where, "part": opened})
        for piece in pieces(self.choice.words or [self.choice.refusal], self.scenario):
            body = {**where, "delta": piece, "logprobs": []}
            name = f"response.{kind}.delta"
            yield self._say(name, body, tokens=count_tokens(piece))
        yield self._say(f"response.{kind}.done", {**where, field: part[field]})
        yield self._say("response.content_part.done", {**where, "part": part})

    def _thought(self, where: dict[str, Any], text: str) -> Iterator[Segment]:
        where = {**where, "summary_index": 0}
        part = {"type": "summary_text", "text": ""}
        yield self._say(
            "response.reasoning_summary_part.added", {**where, "part": part}
        )
        for word in self.choice.reasoning:
            count = count_tokens(word)
            name = "response.reasoning_summary_text.delta"
            segment = self._say(name, {**where, "delta": word}, tokens=count)
            yield Segment(segment.data, count, reasoning_tokens=count)
        done = {**where, "text": text}
        yield self._say("response.reasoning_summary_text.done", done)
        part = {"type": "summary_text", "text": text}
        yield self._say("response.reasoning_summary_part.done", {**where, "part": part})

    def _arguments(self, where: dict[str, Any], arguments: str) -> Iterator[Segment]:
        step = 3 if self.scenario.has("tools-fragmented") else 12
        name = "response.function_call_arguments"
        for start in range(0, len(arguments), step):
            piece = arguments[start : start + step]
            yield self._say(f"{name}.delta", {**where, "delta": piece})
        yield self._say(f"{name}.done", {**where, "arguments": arguments})

    def _say(
        self, name: str, body: dict[str, Any], *, tokens: int = 0, usage: bool = False
    ) -> Segment:
        self.number += 1
        data = _event(name, {**body, "sequence_number": self.number})
        return Segment(data, tokens, usage=usage)

    def _items(self) -> list[dict[str, Any]]:
        choice, items = self.choice, []
        if choice.reasoning:
            items.append(
                {
                    "id": f"rs_{self.id}",
                    "type": "reasoning",
                    "summary": [
                        {"type": "summary_text", "text": "".join(choice.reasoning)}
                    ],
                    "encrypted_content": f"sealed:{self.ask.model}",
                    "status": "completed",
                }
            )
        if choice.text or choice.refusal:
            part: dict[str, Any] = {"type": "refusal", "refusal": choice.refusal}
            if choice.text:
                part = {"type": "output_text", "text": choice.text, "annotations": []}
            items.append(
                {
                    "id": f"msg_{self.id}",
                    "type": "message",
                    "role": "assistant",
                    "status": "completed",
                    "content": [part],
                }
            )
        for number, (call_id, name, arguments) in enumerate(choice.tool_calls):
            items.append(
                {
                    "id": f"fc_{self.id}_{number}",
                    "type": "function_call",
                    "call_id": call_id,
                    "name": name,
                    "arguments": arguments,
                    "status": "completed",
                }
            )
        return items

    def _response(self, *, done: bool) -> dict[str, Any]:
        is_cut = self.choice.finish == "length"
        status = "incomplete" if is_cut else "completed"
        response: dict[str, Any] = {
            "id": f"resp_{self.id}",
            "object": "response",
            "created_at": CREATED,
            "status": status if done else "in_progress",
            "error": None,
            "incomplete_details": {"reason": "max_output_tokens"}
            if is_cut and done
            else None,
            "instructions": None,
            "model": self.ask.model,
            "output": self._items() if done else [],
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            "metadata": {},
            "service_tier": "default",
            "usage": None,
        }
        report = self.report
        if done and report.usage is not None:
            response["usage"] = {
                "input_tokens": report.spoil(report.prompt),
                "input_tokens_details": {"cached_tokens": report.cached},
                "output_tokens": report.spoil(report.completion),
                "output_tokens_details": {"reasoning_tokens": report.thought},
                "total_tokens": report.spoil(report.prompt + report.completion),
            }
        return response


def _chat_of(payload: dict[str, Any]) -> dict[str, Any]:
    messages: list[dict[str, Any]] = []
    if payload.get("instructions"):
        messages.append({"role": "system", "content": payload["instructions"]})
    asked = payload["input"]
    items = [{"role": "user", "content": asked}] if isinstance(asked, str) else asked
    messages += [_chat_message(item) for item in items]
    choice = payload.get("tool_choice", "auto")
    tools = [
        {"function": {"name": tool["name"], "parameters": tool.get("parameters")}}
        for tool in payload.get("tools") or []
        if tool.get("type") == "function"
    ]
    if isinstance(choice, dict):
        named = [t for t in tools if t["function"]["name"] == choice.get("name")]
        tools, choice = named or tools, "required"
    chat: dict[str, Any] = {
        "answered": "call_output" in json.dumps(asked),
        "model": payload["model"],
        "messages": messages,
        "tools": tools,
        "tool_choice": choice,
        "max_tokens": payload.get("max_output_tokens"),
    }
    wanted = (payload.get("text") or {}).get("format") or {}
    if wanted.get("type") == "json_schema":
        chat["response_format"] = {"type": "json_schema", "json_schema": wanted}
    return chat


def _chat_message(item: dict[str, Any]) -> dict[str, Any]:
    kind = item.get("type", "message")
    if kind == "function_call":
        function = {"name": item["name"], "arguments": item["arguments"]}
        return {"role": "assistant", "tool_calls": [{"function": function}]}
    if kind != "message":
        told = json.dumps(item.get("output", ""))
        return {"role": "tool", "content": told}
    content = item.get("content")
    if isinstance(content, str):
        return {"role": item.get("role"), "content": content}
    parts: list[dict[str, Any]] = [
        {"type": "image_url", "image_url": {}}
        if part["type"] == "input_image"
        else {"type": "text", "text": part.get("text", "")}
        for part in content or []
    ]
    return {"role": item.get("role"), "content": parts}


def _check_items(items: Any) -> None:
    """Refuse what the API refuses about items, so that a translation cannot slip."""
    if isinstance(items, str):
        return
    calls: set[str] = set()
    for item in items:
        if item.get("type") == "function_call":
            calls.add(item["call_id"])
        elif item.get("type") == "function_call_output":
            if item["call_id"] not in calls:
                raise ValueError("No tool call found for function call output.")
        elif item.get("role") == "assistant" and isinstance(item["content"], list):
            for part in item["content"]:
                if part["type"] not in ("output_text", "refusal"):
                    raise ValueError(f"Invalid value: '{part['type']}'.")


def _event(name: str, body: dict[str, Any]) -> bytes:
    data = json.dumps({"type": name, **body}, ensure_ascii=False)
    return f"event: {name}\ndata: {data}\n\n".encode()
