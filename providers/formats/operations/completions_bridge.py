"""Serve legacy completions by an upstream that has chat only: any of them.

The prompt becomes one user's turn; what comes back is worded as ``text_completion``.

Source: reference wire 1.3, T106.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from providers.formats.base import (
    UNREADABLE,
    Bridge,
    ChatRequest,
    FormatError,
    ResponseMeta,
    Target,
    UpstreamRequest,
)
from providers.formats.framings import SseSplitter
from providers.formats.openai_chat.request import read_chat_request
from providers.formats.operations.answers import dicts_in, odd_answer
from providers.formats.operations.asking import value_of
from providers.formats.operations.kin import asked_of, sent_as
from providers.formats.operations.wrapped_tap import WrappedTap
from providers.formats.taps import ClientStream, StreamTap

_PASSED: Final = (
    "temperature",
    "top_p",
    "n",
    "stop",
    "presence_penalty",
    "frequency_penalty",
    "logit_bias",
    "seed",
    "user",
    "stream",
    "stream_options",
)
_LOST: Final = ("suffix", "best_of")
_HEAD: Final = ("created", "model", "system_fingerprint")
_CHAT_ID: Final = "chatcmpl-"


class CompletionsBridge:
    """Translate completions; ``chat`` joins a chat client with the upstream."""

    def __init__(self, chat: Bridge) -> None:
        self._chat = chat

    def build_request(self, request: ChatRequest, target: Target) -> UpstreamRequest:
        """Wrap the prompt.

        Errors:  FormatError for prompts of tokens, and for several at once.
        """
        values = request.members.values
        lost = tuple(f"{name}:drop" for name in _LOST if _is_set(values.get(name)))
        asked = read_chat_request(_chat_body(request))
        return sent_as(asked, target, self._chat, lost)

    def read_response(
        self, request: ChatRequest, sent: UpstreamRequest, body: bytes
    ) -> ResponseMeta:
        """Read a whole answer."""
        made = asked_of(sent)
        meta = self._chat.read_response(made.request, made.sent, body)
        if meta.error is not None:
            return meta
        try:
            said = msgspec.json.decode(meta.body, type=dict[str, Any])
        except UNREADABLE:
            return ResponseMeta(body=body, error=odd_answer(body).detail)
        worded = _worded(said, "message", _echo(request))
        return msgspec.structs.replace(meta, body=msgspec.json.encode(worded))

    def open_tap(
        self, request: ChatRequest, sent: UpstreamRequest, stream: ClientStream
    ) -> StreamTap:
        """Start reading a stream."""
        made = asked_of(sent)
        inner = self._chat.open_tap(made.request, made.sent, stream)
        return TextTap(inner, _echo(request))


class TextTap(WrappedTap):
    """Word chat's chunks as pieces of text; ``echo`` goes before each choice's."""

    def __init__(self, inner: StreamTap, echo: str) -> None:
        super().__init__(inner)
        self._splitter = SseSplitter()
        self._echo = echo
        self._echoed: set[int] = set()

    def worded(self, data: bytes) -> bytes:
        """Word some frames; what only opens a message is left out."""
        out: list[bytes] = []
        for raw, payload in self._splitter.feed(data):
            if payload is None or payload[:1] != b"{":
                out.append(raw)
                continue
            said = msgspec.json.decode(payload, type=dict[str, Any])
            if _says_nothing(said):
                continue
            worded = _worded(said, "delta", "")
            for choice in worded["choices"] if self._echo else ():
                if choice["index"] not in self._echoed:
                    self._echoed.add(choice["index"])
                    choice["text"] = self._echo + choice["text"]
            out.append(b"data: %b\n\n" % msgspec.json.encode(worded))
        return b"".join(out)


def _chat_body(request: ChatRequest) -> bytes:
    """Word a completion's request as chat's.

    Errors:  FormatError.
    """
    members = request.members
    body: dict[str, Any] = {
        "model": request.model,
        "messages": [{"role": "user", "content": _prompt(request)}],
        "max_tokens": max(1, request.max_output_tokens or 1),
    }
    for name in _PASSED:
        if _is_set(members.values.get(name)):
            body[name] = members.values[name]
    wanted = value_of(members, "logprobs", int)
    if wanted is not None:
        body["logprobs"] = True
        body["top_logprobs"] = wanted
    return msgspec.json.encode(body)


def _prompt(request: ChatRequest) -> str:
    raw = request.members.values.get("prompt")
    try:
        prompt = "" if raw is None else msgspec.json.decode(raw)
    except UNREADABLE:
        prompt = None
    if isinstance(prompt, list) and len(prompt) == 1:
        prompt = prompt[0]
    if prompt is None or prompt == "":
        prompt = " "
    if isinstance(prompt, str):
        return prompt
    raise FormatError(
        "This model takes one prompt, as text.", code="invalid_value", param="prompt"
    )


def _echo(request: ChatRequest) -> str:
    """Return what goes before the text: the prompt, where it was asked to come back."""
    return _prompt(request) if value_of(request.members, "echo", bool) else ""


def _worded(said: dict[str, Any], holder: str, echo: str) -> dict[str, Any]:
    """Word an answer or a chunk of chat as completions do."""
    answer_id = str(said.get("id") or "")
    if answer_id.startswith(_CHAT_ID):
        answer_id = "cmpl-" + answer_id.removeprefix(_CHAT_ID)
    made: dict[str, Any] = {"id": answer_id, "object": "text_completion"}
    made |= {name: said[name] for name in _HEAD if name in said}
    made["choices"] = [
        {
            "text": echo + _text(choice.get(holder) or {}),
            "index": choice.get("index") or 0,
            "logprobs": _logprobs(choice.get("logprobs")),
            "finish_reason": choice.get("finish_reason"),
        }
        for choice in dicts_in(said.get("choices"))
    ]
    if "usage" in said:
        made["usage"] = said["usage"]
    return made


def _text(holder: Any) -> str:
    if not isinstance(holder, dict):
        return ""
    text = holder.get("content") or holder.get("refusal")
    return text if isinstance(text, str) else ""


def _logprobs(said: Any) -> dict[str, Any] | None:
    """Word chat's entries as the four lists of old."""
    content = said.get("content") if isinstance(said, dict) else None
    if not isinstance(content, list):
        return None
    entries = dicts_in(content)
    offsets: list[int] = []
    at = 0
    for entry in entries:
        offsets.append(at)
        at += len(str(entry.get("token", "")))
    return {
        "tokens": [entry.get("token", "") for entry in entries],
        "token_logprobs": [entry.get("logprob") for entry in entries],
        "top_logprobs": [
            {str(each.get("token", "")): each.get("logprob") for each in tops}
            for tops in (dicts_in(entry.get("top_logprobs")) for entry in entries)
        ],
        "text_offset": offsets,
    }


def _says_nothing(said: dict[str, Any]) -> bool:
    """Tell whether a chunk has neither text nor an end nor a usage."""
    if said.get("usage"):
        return False
    return not any(
        choice.get("finish_reason") or _text(choice.get("delta"))
        for choice in dicts_in(said.get("choices"))
    )


def _is_set(raw: msgspec.Raw | None) -> bool:
    return raw is not None and bytes(raw) != b"null"
