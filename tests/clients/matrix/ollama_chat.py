"""The Ollama SDK."""

from __future__ import annotations

from typing import Any

import ollama

from tests.clients.matrix.told import PIXEL, TOOLS, Call, Question, Told


class OllamaSpeaker:
    """Speak Ollama's own chat."""

    name = "ollama"
    cannot: dict[str, str] = {}

    def __init__(self, url: str, key: str) -> None:
        headers = {"authorization": f"Bearer {key}"}
        self._client = ollama.Client(host=url, headers=headers)

    def ask(self, question: Question) -> Told:
        answer = self._client.chat(**_request(question))
        told = Told(raw=answer.message)
        _add(told, answer)
        return told

    def stream(self, question: Question) -> Told:
        told = Told()
        is_done = False
        for answer in self._client.chat(**_request(question), stream=True):
            _add(told, answer)
            is_done = bool(answer.done)
        if not is_done:
            raise EOFError("the stream ended without its last line")
        return told

    def status_of(self, error: Exception) -> int | None:
        is_status = isinstance(error, ollama.ResponseError)
        return error.status_code if is_status and error.status_code > 0 else None

    def close(self) -> None:
        self._client._client.close()


def _request(question: Question) -> dict[str, Any]:
    user: dict[str, Any] = {"role": "user", "content": question.text}
    if question.image:
        user["images"] = [PIXEL]
    messages: list[Any] = [{"role": "system", "content": "Be brief."}, user]
    if question.before is not None:
        messages.append(question.before.raw)
        messages += [
            {"role": "tool", "tool_name": call.name, "content": result}
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
    if question.schema is not None:
        request["format"] = question.schema
    if question.think:
        request["think"] = True
    return request


def _add(told: Told, answer: Any) -> None:
    message = answer.message
    told.text += message.content or ""
    told.thought += message.thinking or ""
    told.calls += [
        Call("", call.function.name, dict(call.function.arguments))
        for call in message.tool_calls or []
    ]
    if answer.done:
        told.finish = answer.done_reason or ""
        told.prompt, told.completion = answer.prompt_eval_count, answer.eval_count
