"""Canned streams of a hundred events in every dialect, and the bodies that ask for one.

The chat stream is the floor's own; the others say the same words.
"""

from __future__ import annotations

import json
from typing import Any, Final

EVENTS: Final = 100
PROMPT_TOKENS, COMPLETION_TOKENS = 20, 98
TEXT: Final = "The harbour was quiet in the evening and the boats were in. "
_ASK: Final = "Tell me about the harbour in winter."
_WORDS: Final = (TEXT * 10).split()
DELTAS: Final = [" " + _WORDS[n % len(_WORDS)] for n in range(EVENTS - 2)]

UPSTREAMS: Final = {
    "responses": "/v1",
    "anthropic": "/v1",
    "google": "/v1beta",
    "ollama": "",
}
"""Every upstream dialect that is translated from, with the root of its paths."""


def asking(dialect: str, model: str) -> tuple[str, str]:
    """Return the path and the body of a streamed request in a client's dialect."""
    said = [{"role": "user", "content": _ASK}]
    body: dict[str, Any] = {"model": model, "stream": True}
    if dialect == "anthropic":
        return "/v1/messages", json.dumps({**body, "max_tokens": 500, "messages": said})
    if dialect == "responses":
        return "/v1/responses", json.dumps({**body, "input": said, "store": False})
    if dialect == "google":
        path = f"/v1beta/models/{model}:streamGenerateContent?alt=sse"
        parts = [{"text": _ASK}]
        return path, json.dumps({"contents": [{"role": "user", "parts": parts}]})
    return "/v1/chat/completions", json.dumps({**body, "messages": said})


def streams() -> dict[bytes, tuple[str, list[bytes]]]:
    """Return, by a mark of the path, the content type and the frames of a stream."""
    sse = "text/event-stream"
    return {
        b"/messages": (sse, _anthropic()),
        b"/responses": (sse, _responses()),
        b":streamGenerateContent": (sse, _google()),
        b"/api/chat": ("application/x-ndjson", _ollama()),
    }


def _named(name: str, **body: Any) -> bytes:
    data = json.dumps({"type": name, **body}, separators=(",", ":"))
    return f"event: {name}\ndata: {data}\n\n".encode()


def _anthropic() -> list[bytes]:
    message = {
        "id": "msg_bench",
        "type": "message",
        "role": "assistant",
        "model": "bench",
        "content": [],
        "stop_reason": None,
        "usage": {"input_tokens": PROMPT_TOKENS, "output_tokens": 1},
    }
    block = {"type": "text", "text": ""}
    frames = [
        _named("message_start", message=message),
        _named("content_block_start", index=0, content_block=block),
    ]
    frames += [
        _named("content_block_delta", index=0, delta={"type": "text_delta", "text": t})
        for t in DELTAS
    ]
    usage = {"output_tokens": COMPLETION_TOKENS}
    frames += [
        _named("content_block_stop", index=0),
        _named("message_delta", delta={"stop_reason": "end_turn"}, usage=usage),
        _named("message_stop"),
    ]
    return frames


def _responses() -> list[bytes]:
    where = {"output_index": 0, "item_id": "msg_bench"}
    part = {"type": "output_text", "text": "", "annotations": []}
    item = {"id": "msg_bench", "type": "message", "role": "assistant"}
    response = {"id": "resp_bench", "object": "response", "model": "bench"}
    text = "".join(DELTAS)
    done = {**item, "status": "completed", "content": [{**part, "text": text}]}
    opened = {**item, "status": "in_progress", "content": []}
    usage = {
        "input_tokens": PROMPT_TOKENS,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": COMPLETION_TOKENS,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": PROMPT_TOKENS + COMPLETION_TOKENS,
    }
    started = {**response, "status": "in_progress", "output": []}
    ended = {**response, "status": "completed", "output": [done], "usage": usage}
    place = {**where, "content_index": 0}
    bodies: list[tuple[str, dict[str, Any]]] = [
        ("response.created", {"response": started}),
        ("response.output_item.added", {"output_index": 0, "item": opened}),
        ("response.content_part.added", {**place, "part": part}),
        *(("response.output_text.delta", {**place, "delta": t}) for t in DELTAS),
        ("response.output_text.done", {**place, "text": text}),
        ("response.content_part.done", {**place, "part": {**part, "text": text}}),
        ("response.output_item.done", {"output_index": 0, "item": done}),
        ("response.completed", {"response": ended}),
    ]
    return [
        _named(name, **body, sequence_number=number)
        for number, (name, body) in enumerate(bodies)
    ]


def _google() -> list[bytes]:
    frames = []
    for number, text in enumerate(DELTAS):
        content = {"role": "model", "parts": [{"text": text}]}
        candidate: dict[str, Any] = {"content": content, "index": 0}
        body: dict[str, Any] = {"candidates": [candidate], "modelVersion": "bench"}
        if number == len(DELTAS) - 1:
            candidate["finishReason"] = "STOP"
            body["usageMetadata"] = {
                "promptTokenCount": PROMPT_TOKENS,
                "candidatesTokenCount": COMPLETION_TOKENS,
                "totalTokenCount": PROMPT_TOKENS + COMPLETION_TOKENS,
            }
        data = json.dumps(body, separators=(",", ":")).encode()
        frames.append(b"data: " + data + b"\r\n\r\n")
    return frames


def _ollama() -> list[bytes]:
    head = {"model": "bench", "created_at": "2026-01-01T00:00:00Z"}
    lines: list[dict[str, Any]] = [
        {**head, "message": {"role": "assistant", "content": text}, "done": False}
        for text in DELTAS
    ]
    lines.append(
        {
            **head,
            "message": {"role": "assistant", "content": ""},
            "done": True,
            "done_reason": "stop",
            "prompt_eval_count": PROMPT_TOKENS,
            "eval_count": COMPLETION_TOKENS,
        }
    )
    return [json.dumps(line, separators=(",", ":")).encode() + b"\n" for line in lines]
