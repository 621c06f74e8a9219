"""The Anthropic SDK."""

from __future__ import annotations

from typing import Any

import anthropic

from tests.clients.matrix.told import PIXEL, TOOLS, Call, Question, Told


class MessagesSpeaker:
    """Speak messages; streams go through the SDK's own helper."""

    name = "anthropic"
    cannot: dict[str, str] = {}

    def __init__(self, url: str, key: str) -> None:
        self._client = anthropic.Anthropic(base_url=url, api_key=key, max_retries=0)

    def ask(self, question: Question) -> Told:
        return _told(self._client.messages.create(**_request(question)))

    def stream(self, question: Question) -> Told:
        with self._client.messages.stream(**_request(question)) as stream:
            seen = "".join(stream.text_stream)
            told = _told(stream.get_final_message())
        assert seen == told.text
        return told

    def status_of(self, error: Exception) -> int | None:
        is_status = isinstance(error, anthropic.APIStatusError)
        return error.status_code if is_status else None

    def close(self) -> None:
        self._client.close()


def _request(question: Question) -> dict[str, Any]:
    content: list[Any] = [{"type": "text", "text": question.text}]
    if question.image:
        source = {"type": "base64", "media_type": "image/png", "data": PIXEL}
        content.append({"type": "image", "source": source})
    messages: list[Any] = [{"role": "user", "content": content}]
    if question.before is not None:
        messages.append({"role": "assistant", "content": question.before.raw})
        results = [
            {"type": "tool_result", "tool_use_id": call.id, "content": result}
            for call, result in zip(
                question.before.calls, question.results, strict=True
            )
        ]
        messages.append({"role": "user", "content": results})
    request: dict[str, Any] = {
        "model": question.model,
        "system": "Be brief.",
        "max_tokens": 16_000,
        "messages": messages,
    }
    if question.tools:
        request["tools"] = [
            {"name": name, "input_schema": schema} for name, schema in TOOLS.items()
        ]
    if question.forced:
        request["tool_choice"] = {"type": "tool", "name": question.forced}
    if question.schema is not None:
        wanted = {"type": "json_schema", "schema": question.schema}
        request["output_config"] = {"format": wanted}
    if question.think:
        request["thinking"] = {"type": "enabled", "budget_tokens": 8_000}
    return request


def _told(answer: Any) -> Told:
    told = Told(finish=answer.stop_reason)
    told.raw = [block.model_dump(exclude_none=True) for block in answer.content]
    for block in told.raw:
        block.pop("parsed_output", None)
    for block in answer.content:
        if block.type == "text":
            told.text += block.text
        elif block.type == "thinking":
            told.thought += block.thinking
        elif block.type == "tool_use":
            told.calls.append(Call(block.id, block.name, dict(block.input)))
    usage = answer.usage
    told.cached = usage.cache_read_input_tokens or 0
    told.prompt = (
        usage.input_tokens + told.cached + (usage.cache_creation_input_tokens or 0)
    )
    told.completion = usage.output_tokens
    return told
