"""The OpenAI SDK, chat completions."""

from __future__ import annotations

import json
from typing import Any

import openai

from tests.clients.matrix.told import PIXEL, TOOLS, Call, Question, Told


class ChatSpeaker:
    """Speak chat completions."""

    name = "openai-chat"
    cannot: dict[str, str] = {}

    def __init__(self, url: str, key: str) -> None:
        self._client = openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0)

    def ask(self, question: Question) -> Told:
        answer = self._client.chat.completions.create(**_request(question))
        return _told(answer)

    def stream(self, question: Question) -> Told:
        told = Told()
        calls: dict[int, dict[str, str]] = {}
        request = _request(question)
        request |= {"stream": True, "stream_options": {"include_usage": True}}
        for chunk in self._client.chat.completions.create(**request):
            if chunk.usage is not None:
                _count(told, chunk.usage)
            for choice in chunk.choices:
                delta = choice.delta
                told.text += delta.content or delta.refusal or ""
                told.thought += getattr(delta, "reasoning_content", None) or ""
                told.finish = choice.finish_reason or told.finish
                for piece in delta.tool_calls or []:
                    call = calls.setdefault(
                        piece.index, {"id": "", "name": "", "arguments": ""}
                    )
                    call["id"] += piece.id or ""
                    call["name"] += piece.function.name or ""
                    call["arguments"] += piece.function.arguments or ""
        assert sorted(calls) == list(range(len(calls)))
        told.calls = [
            Call(each["id"], each["name"], json.loads(each["arguments"]))
            for each in calls.values()
        ]
        return told

    def status_of(self, error: Exception) -> int | None:
        return error.status_code if isinstance(error, openai.APIStatusError) else None

    def close(self) -> None:
        self._client.close()


def _request(question: Question) -> dict[str, Any]:
    content: Any = question.text
    if question.image:
        url = {"url": f"data:image/png;base64,{PIXEL}"}
        content = [
            {"type": "text", "text": question.text},
            {"type": "image_url", "image_url": url},
        ]
    messages: list[Any] = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": content},
    ]
    if question.before is not None:
        messages.append(question.before.raw)
        messages += [
            {"role": "tool", "tool_call_id": call.id, "content": result}
            for call, result in zip(
                question.before.calls, question.results, strict=True
            )
        ]
    request: dict[str, Any] = {"model": question.model, "messages": messages}
    if question.tools:
        request["tools"] = [
            {"type": "function", "function": {"name": name, "parameters": schema}}
            for name, schema in TOOLS.items()
        ]
    if question.forced:
        function = {"name": question.forced}
        request["tool_choice"] = {"type": "function", "function": function}
    if question.schema is not None:
        wanted = {"name": "answer", "schema": question.schema, "strict": True}
        request["response_format"] = {"type": "json_schema", "json_schema": wanted}
    if question.think:
        request["reasoning_effort"] = "medium"
    return request


def _told(answer: Any) -> Told:
    (choice,) = answer.choices
    message = choice.message
    told = Told(
        text=message.content or message.refusal or "",
        thought=getattr(message, "reasoning_content", None) or "",
        calls=[
            Call(c.id, c.function.name, json.loads(c.function.arguments))
            for c in message.tool_calls or []
        ],
        finish=choice.finish_reason,
        raw=message.model_dump(exclude_none=True),
    )
    _count(told, answer.usage)
    return told


def _count(told: Told, usage: Any) -> None:
    told.prompt, told.completion = usage.prompt_tokens, usage.completion_tokens
    assert usage.total_tokens == told.prompt + told.completion
    if usage.prompt_tokens_details is not None:
        told.cached = usage.prompt_tokens_details.cached_tokens
    if usage.completion_tokens_details is not None:
        told.reasoned = usage.completion_tokens_details.reasoning_tokens
