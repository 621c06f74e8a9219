"""The OpenAI SDK, responses."""

from __future__ import annotations

import json
from typing import Any

import openai

from tests.clients.matrix.told import PIXEL, TOOLS, Call, Question, Told


class ResponsesSpeaker:
    """Speak responses; streams go through the SDK's own helper."""

    name = "openai-responses"
    cannot: dict[str, str] = {}

    def __init__(self, url: str, key: str) -> None:
        self._client = openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0)

    def ask(self, question: Question) -> Told:
        return _told(self._client.responses.create(**_request(question)))

    def stream(self, question: Question) -> Told:
        seen, numbers = "", []
        with self._client.responses.stream(**_request(question)) as stream:
            for event in stream:
                numbers.append(event.sequence_number)
                if event.type in (
                    "response.output_text.delta",
                    "response.refusal.delta",
                ):
                    seen += event.delta
            told = _told(stream.get_final_response())
        assert numbers == sorted(set(numbers))
        assert seen == told.text
        return told

    def status_of(self, error: Exception) -> int | None:
        return error.status_code if isinstance(error, openai.APIStatusError) else None

    def close(self) -> None:
        self._client.close()


def _request(question: Question) -> dict[str, Any]:
    content: list[Any] = [{"type": "input_text", "text": question.text}]
    if question.image:
        url = f"data:image/png;base64,{PIXEL}"
        content.append({"type": "input_image", "image_url": url, "detail": "auto"})
    items: list[Any] = [{"role": "user", "content": content}]
    if question.before is not None:
        items += question.before.raw
        items += [
            {"type": "function_call_output", "call_id": call.id, "output": result}
            for call, result in zip(
                question.before.calls, question.results, strict=True
            )
        ]
    request: dict[str, Any] = {
        "model": question.model,
        "instructions": "Be brief.",
        "input": items,
        "store": False,
    }
    if question.tools:
        request["tools"] = [
            {"type": "function", "name": name, "parameters": schema, "strict": True}
            for name, schema in TOOLS.items()
        ]
    if question.forced:
        request["tool_choice"] = {"type": "function", "name": question.forced}
    if question.schema is not None:
        wanted = {"name": "answer", "schema": question.schema, "strict": True}
        request["text"] = {"format": {"type": "json_schema", **wanted}}
    if question.think:
        request["reasoning"] = {"effort": "medium", "summary": "auto"}
        request["include"] = ["reasoning.encrypted_content"]
    return request


def _told(answer: Any) -> Told:
    told = Told(raw=[_plain(item) for item in answer.output])
    told.finish = answer.status
    for item in answer.output:
        if item.type == "message":
            told.text += "".join(
                getattr(part, "text", None) or getattr(part, "refusal", "")
                for part in item.content
            )
        elif item.type == "reasoning":
            told.thought += "".join(part.text for part in item.summary)
        elif item.type == "function_call":
            arguments = json.loads(item.arguments)
            told.calls.append(Call(item.call_id, item.name, arguments))
    usage = answer.usage
    if usage is not None:
        told.prompt, told.completion = usage.input_tokens, usage.output_tokens
        told.cached = usage.input_tokens_details.cached_tokens
        told.reasoned = usage.output_tokens_details.reasoning_tokens
        assert usage.total_tokens == told.prompt + told.completion
    return told


def _plain(item: Any) -> dict[str, Any]:
    """Return an item as a client sends it back."""
    plain = item.model_dump(exclude_none=True)
    for name in ("parsed", "parsed_arguments"):
        plain.pop(name, None)
    for part in plain.get("content") or []:
        part.pop("parsed", None)
    return plain
