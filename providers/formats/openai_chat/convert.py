"""Turn a whole answer into a stream and a stream into a whole answer.

Some compatible servers stream whatever they are asked, others never do. The client gets
what it asked for either way.
"""

from __future__ import annotations

from typing import Any

import msgspec

from providers.formats.base import UNREADABLE, FramingError, is_bulky
from providers.formats.errors import ErrorDetail
from providers.formats.framings import SseSplitter
from providers.formats.openai_chat.chunks import loose_text
from providers.formats.openai_chat.errors import read_error_body

_INCOMPLETE = ErrorDetail(
    message="The upstream's answer broke off.",
    type="server_error",
    code="upstream_truncated",
)
_NO_COMPLETION = ErrorDetail(
    message="The upstream's answer is not a chat completion.",
    type="server_error",
    code="upstream_invalid_response",
)
_HEAD = ("id", "created", "model", "system_fingerprint", "service_tier")
_JOINED = ("content", "reasoning_content", "reasoning", "refusal")


def stream_of_completion(
    body: bytes, *, include_usage: bool
) -> list[bytes] | ErrorDetail:
    """Word a completion as the frames of a stream: opening, finish, usage, end.

    Fails:   an object that is none after all is an ErrorDetail.
    """
    if is_bulky(body):
        return _NO_COMPLETION
    try:
        value: dict[str, Any] = msgspec.json.decode(body)
    except UNREADABLE:
        return _NO_COMPLETION
    choices = value.get("choices")
    if not isinstance(choices, list) or not all(map(_is_choice, choices)):
        return _NO_COMPLETION
    head = {"id": value.get("id"), "object": "chat.completion.chunk"}
    head |= {key: value[key] for key in _HEAD if key in value}
    frames: list[bytes] = []
    for place, choice in enumerate(choices):
        index = choice.get("index", place)
        delta = dict(choice.get("message") or {})
        if calls := delta.get("tool_calls"):
            delta["tool_calls"] = [
                {"index": number, **call} for number, call in enumerate(calls)
            ]
        opening = {"index": index, "delta": delta, "finish_reason": None}
        if choice.get("logprobs") is not None:
            opening["logprobs"] = choice["logprobs"]
        finish = {
            "index": index,
            "delta": {},
            "finish_reason": choice.get("finish_reason") or "stop",
        }
        frames += [_frame({**head, "choices": [part]}) for part in (opening, finish)]
    if include_usage and value.get("usage") is not None:
        frames.append(_frame({**head, "choices": [], "usage": value["usage"]}))
    frames.append(b"data: [DONE]\n\n")
    return frames


def completion_of_stream(body: bytes) -> bytes | ErrorDetail:
    """Gather a stream into one completion, or say why it is none.

    Fails:   an error frame, a corrupt frame or a stream that neither finished nor
             ended with its terminator is an ErrorDetail: half an answer is not sold
             as a whole one.
    """
    splitter = SseSplitter()
    gathered = _Gathered()
    try:
        for _, payload in [*splitter.feed(body), *splitter.finish()]:
            if payload is None or not payload.strip():
                continue
            if payload.strip() == b"[DONE]":
                gathered.ended = True
                break
            chunk = msgspec.json.decode(payload)
            if not isinstance(chunk, dict):
                return _INCOMPLETE
            if chunk.get("error"):
                return read_error_body(None, payload)
            gathered.add(chunk)
    except (*UNREADABLE, FramingError):
        return _INCOMPLETE
    return gathered.completion()


class _Gathered:
    """Collect chunks."""

    def __init__(self) -> None:
        self.head: dict[str, Any] = {}
        self.usage: Any = None
        self.ended = False
        self.choices: dict[int, dict[str, Any]] = {}

    def add(self, chunk: dict[str, Any]) -> None:
        """Take one chunk in."""
        for key in _HEAD:
            if chunk.get(key) is not None:
                self.head.setdefault(key, chunk[key])
        if chunk.get("usage") is not None:
            self.usage = chunk["usage"]
        choices = chunk.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict):
                self._add_choice(choice)

    def completion(self) -> bytes | ErrorDetail:
        """Word what was gathered."""
        finished = self.choices and all(
            choice["finish_reason"] for choice in self.choices.values()
        )
        if not self.choices or not (finished or self.ended):
            return _INCOMPLETE
        for choice in self.choices.values():
            choice["finish_reason"] = choice["finish_reason"] or "stop"
            calls = choice["message"].get("tool_calls")
            if calls:
                choice["message"]["tool_calls"] = list(calls.values())
        value = {
            "id": self.head.get("id"),
            "object": "chat.completion",
            **self.head,
            "choices": [self.choices[index] for index in sorted(self.choices)],
        }
        if self.usage is not None:
            value["usage"] = self.usage
        return msgspec.json.encode(value)

    def _add_choice(self, choice: dict[str, Any]) -> None:
        """Take one choice of a chunk in."""
        index = choice.get("index")
        index = index if isinstance(index, int) else 0
        known = self.choices.setdefault(
            index,
            {
                "index": index,
                "message": {"role": "assistant", "content": None},
                "finish_reason": None,
            },
        )
        if choice.get("finish_reason"):
            known["finish_reason"] = choice["finish_reason"]
        delta = choice.get("delta")
        if not isinstance(delta, dict):
            return
        message = known["message"]
        for key in _JOINED:
            text = loose_text(delta.get(key))
            if text is not None:
                message[key] = (message.get(key) or "") + text
        calls = delta.get("tool_calls")
        for place, call in enumerate(calls if isinstance(calls, list) else ()):
            if isinstance(call, dict):
                _add_call(message.setdefault("tool_calls", {}), call, place)


def _add_call(calls: dict[int, dict[str, Any]], call: dict[str, Any], at: int) -> None:
    """Take one fragment of a tool call in; id and name come once, arguments grow."""
    index = call.get("index")
    index = index if isinstance(index, int) else at
    known = calls.setdefault(
        index,
        {"id": None, "type": "function", "function": {"name": "", "arguments": ""}},
    )
    if call.get("id"):
        known["id"] = known["id"] or call["id"]
    function = call.get("function")
    if isinstance(function, dict):
        target = known["function"]
        target["name"] = target["name"] or function.get("name") or ""
        target["arguments"] += loose_text(function.get("arguments")) or ""


def _is_choice(choice: Any) -> bool:
    """Tell a choice whose parts are of the kinds that can be taken apart."""
    if not isinstance(choice, dict):
        return False
    message = choice.get("message")
    if not message:
        return message is None or isinstance(message, dict)
    if not isinstance(message, dict):
        return False
    calls = message.get("tool_calls") or []
    return isinstance(calls, list) and all(isinstance(call, dict) for call in calls)


def _frame(value: dict[str, Any]) -> bytes:
    """Word one chunk."""
    return b"data: " + msgspec.json.encode(value) + b"\n\n"
