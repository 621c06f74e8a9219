"""The Google SDK."""

from __future__ import annotations

import base64
from typing import Any

from google import genai
from google.genai import errors, types

from tests.clients.matrix.told import PIXEL, TOOLS, Call, Question, Told


class GenaiSpeaker:
    """Speak generateContent."""

    name = "google-genai"
    cannot: dict[str, str] = {}

    def __init__(self, url: str, key: str) -> None:
        options = types.HttpOptions(base_url=url)
        self._client = genai.Client(api_key=key, http_options=options)

    def ask(self, question: Question) -> Told:
        answer = self._client.models.generate_content(**_request(question))
        told = Told(raw=answer.candidates[0].content)
        _add(told, answer)
        return told

    def stream(self, question: Question) -> Told:
        told = Told()
        parts: list[Any] = []
        for answer in self._client.models.generate_content_stream(**_request(question)):
            _add(told, answer)
            for candidate in answer.candidates or []:
                parts += (candidate.content and candidate.content.parts) or []
        told.raw = types.Content(role="model", parts=parts)
        return told

    def status_of(self, error: Exception) -> int | None:
        return error.code if isinstance(error, errors.APIError) else None

    def close(self) -> None:
        self._client.close()


def _request(question: Question) -> dict[str, Any]:
    parts = [types.Part.from_text(text=question.text)]
    if question.image:
        data = base64.b64decode(PIXEL)
        parts.append(types.Part.from_bytes(data=data, mime_type="image/png"))
    contents = [types.Content(role="user", parts=parts)]
    if question.before is not None:
        contents.append(question.before.raw)
        results = [
            types.Part(
                function_response=types.FunctionResponse(
                    id=call.id or None, name=call.name, response={"result": result}
                )
            )
            for call, result in zip(
                question.before.calls, question.results, strict=True
            )
        ]
        contents.append(types.Content(role="user", parts=results))
    config: dict[str, Any] = {"system_instruction": "Be brief."}
    if question.tools:
        declared = [
            types.FunctionDeclaration(name=name, parameters_json_schema=schema)
            for name, schema in TOOLS.items()
        ]
        config["tools"] = [types.Tool(function_declarations=declared)]
    if question.forced:
        calling = types.FunctionCallingConfig(
            mode=types.FunctionCallingConfigMode.ANY,
            allowed_function_names=[question.forced],
        )
        config["tool_config"] = types.ToolConfig(function_calling_config=calling)
    if question.schema is not None:
        config["response_mime_type"] = "application/json"
        config["response_json_schema"] = question.schema
    if question.think:
        config["thinking_config"] = types.ThinkingConfig(
            include_thoughts=True, thinking_budget=8_000
        )
    return {
        "model": f"models/{question.model}",
        "contents": contents,
        "config": types.GenerateContentConfig(**config),
    }


def _add(told: Told, answer: Any) -> None:
    for candidate in answer.candidates or []:
        if candidate.finish_reason is not None:
            told.finish = candidate.finish_reason.value
        for part in (candidate.content and candidate.content.parts) or []:
            if part.function_call is not None:
                call = part.function_call
                told.calls.append(Call(call.id or "", call.name, dict(call.args)))
            elif part.thought:
                told.thought += part.text or ""
            else:
                told.text += part.text or ""
    usage = answer.usage_metadata
    if usage is not None:
        told.prompt = usage.prompt_token_count
        told.cached = usage.cached_content_token_count or 0
        told.reasoned = usage.thoughts_token_count or 0
        told.completion = (usage.candidates_token_count or 0) + told.reasoned
