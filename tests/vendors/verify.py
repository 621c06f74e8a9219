"""The shapes vendors answer a test, a verification and a detection with.

Written from the vendors' documentation of their model lists, calls and errors.
"""

from __future__ import annotations

import json
from typing import Any

from tests.vendors.server import Asked, Reply, Vendor

KEY = "sk-vendor-0123456789-abcd"
CHAT = "/v1/chat/completions"
NO_MODEL_CHINESE = {"error": {"code": "1211", "message": "模型不存在"}}


def takes_key(asked: Asked, key: str = KEY) -> bool:
    """Tell whether the request carries the key in any of the usual headers."""
    sent = asked.headers
    return key in (
        sent.get("authorization", "").removeprefix("Bearer "),
        sent.get("x-api-key"),
        sent.get("x-goog-api-key"),
        sent.get("api-key"),
    )


def openai_models(*ids: str) -> dict[str, Any]:
    """A list of models in OpenAI's shape."""
    rows = [{"id": name, "object": "model", "owned_by": "v"} for name in ids]
    return {"object": "list", "data": rows}


def anthropic_models(*ids: str) -> dict[str, Any]:
    """A list of models in Anthropic's shape."""
    rows = [{"id": name, "type": "model", "display_name": name} for name in ids]
    return {"data": rows, "has_more": False}


def google_models(*ids: str) -> dict[str, Any]:
    """A list of models in Google's shape."""
    return {"models": [{"name": f"models/{name}"} for name in ids]}


def openai_error(status: int, message: str, code: str | None = None) -> Reply:
    """An error as OpenAI words it."""
    kind = "invalid_request_error"
    return Reply({"error": {"message": message, "type": kind, "code": code}}, status)


def anthropic_error(status: int, kind: str, message: str) -> Reply:
    """An error as Anthropic words it."""
    return Reply({"type": "error", "error": {"type": kind, "message": message}}, status)


def google_error(status: int, reason: str, message: str) -> Reply:
    """An error as Google words it."""
    error = {"code": status, "message": message, "status": reason}
    return Reply({"error": error}, status)


def aws_error(status: int, code: str, message: str = "No.") -> Reply:
    """An error as AWS words it: its name is in a header."""
    return Reply({"message": message}, status, {"x-amzn-ErrorType": f"{code}:http://x"})


def chat_answer(asked: Asked) -> Reply:
    """A chat completion of one token, streamed where a stream was asked for."""
    body = asked.json()
    if body.get("stream"):
        return Reply(chat_stream(body["model"]), headers=_SSE)
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": "p"},
        "finish_reason": "length",
    }
    return Reply(
        {
            "id": "c-1",
            "object": "chat.completion",
            "created": 1,
            "model": body["model"],
            "choices": [choice],
            "usage": {"prompt_tokens": 8, "completion_tokens": 1, "total_tokens": 9},
        }
    )


def chat_stream(model: str) -> bytes:
    """The same as a stream."""
    head = {
        "id": "c-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": model,
    }
    said = {"index": 0, "delta": {"role": "assistant", "content": "p"}}
    ended = {"index": 0, "delta": {}, "finish_reason": "length"}
    frames = [{**head, "choices": [each]} for each in (said, ended)]
    lines = [f"data: {json.dumps(frame)}\n\n" for frame in frames]
    return "".join([*lines, "data: [DONE]\n\n"]).encode()


def message_answer(asked: Asked) -> Reply:
    """An Anthropic message of one token, streamed where a stream was asked for."""
    body = asked.json()
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": [{"type": "text", "text": "p"}],
        "stop_reason": "max_tokens",
        "stop_sequence": None,
        "usage": {"input_tokens": 8, "output_tokens": 1},
    }
    if not body.get("stream"):
        return Reply(message)
    start = {**message, "content": [], "stop_reason": None}
    block = {"type": "text", "text": ""}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": start},
        {"type": "content_block_start", "index": 0, "content_block": block},
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "text_delta", "text": "p"},
        },
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "max_tokens", "stop_sequence": None},
            "usage": {"output_tokens": 1},
        },
        {"type": "message_stop"},
    ]
    lines = [f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" for e in events]
    return Reply("".join(lines).encode(), headers=_SSE)


def response_answer(asked: Asked) -> Reply:
    """A response of OpenAI's responses interface."""
    part = {"type": "output_text", "text": "p", "annotations": []}
    item = {
        "type": "message",
        "id": "m",
        "role": "assistant",
        "status": "completed",
        "content": [part],
    }
    return Reply(
        {
            "id": "resp_1",
            "object": "response",
            "created_at": 1,
            "status": "completed",
            "model": asked.json()["model"],
            "output": [item],
            "usage": {"input_tokens": 8, "output_tokens": 1, "total_tokens": 9},
        }
    )


def page(asked: Asked) -> Reply:
    """A web page, as the front end of a gateway answers unknown paths with."""
    return Reply(
        b"<!doctype html><title>Console</title>", headers={"content-type": "text/html"}
    )


def guarded(answer: Any, key: str = KEY, status: int = 401) -> Any:
    """Answer only those who send the key."""

    def reply(asked: Asked) -> Reply:
        if not takes_key(asked, key):
            return openai_error(
                status, "Incorrect API key provided.", "invalid_api_key"
            )
        if isinstance(answer, Reply):
            return answer
        return answer(asked) if callable(answer) else Reply(answer)

    return reply


def openai_shaped(vendor: Vendor, *models: str, root: str = "/v1") -> None:
    """Lay down a vendor with chat completions and a list of models."""
    names = models or ("small-mini", "big-pro")
    vendor.on("GET", f"{root}/models", guarded(openai_models(*names)))
    vendor.on("POST", f"{root}/chat/completions", guarded(chat_answer))


def anthropic_shaped(vendor: Vendor, *models: str, root: str = "/v1") -> None:
    """Lay down a vendor with messages and a list of models."""
    names = models or ("claude-haiku-4-5", "claude-opus-4-5")
    vendor.on("GET", f"{root}/models", guarded(anthropic_models(*names)))
    vendor.on("POST", f"{root}/messages", guarded(message_answer))


_SSE = {"content-type": "text/event-stream"}
