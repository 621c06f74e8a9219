"""Legacy completions of OpenAI-shaped upstreams: chat's stream with text in it.

Source: reference wire 1.3.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from providers.formats.base import (
    UNREADABLE,
    ChatRequest,
    ResponseMeta,
    Target,
    UpstreamRequest,
)
from providers.formats.openai_chat.chunks import Chunk, read_chunk
from providers.formats.openai_chat.request import build_chat_request
from providers.formats.openai_chat.response import read_chat_response, read_completion
from providers.formats.openai_chat.stream import DONE, ChatStreamTap
from providers.formats.operations.answers import odd_answer
from providers.formats.taps import ClientStream, StreamTap

PATH: Final = "/completions"
_CHAT_ONLY: Final = re.compile(
    r"(?:openai/)?(?:gpt-(?:3\.5-turbo(?!-instruct)|[4-9])|o[1-9]\b|chatgpt-)"
)


class _Choice(msgspec.Struct, gc=False):
    text: str | None = None


class _Texts(msgspec.Struct, gc=False):
    choices: list[_Choice] | None = None


_TEXTS: Final = msgspec.json.Decoder(_Texts)


class CompletionsRelay:
    """Relay completions to an upstream that has them too."""

    def build_request(self, request: ChatRequest, target: Target) -> UpstreamRequest:
        """Patch the body by span."""
        sent = build_chat_request(request, model=target.model, drop=target.drop)
        return msgspec.structs.replace(sent, path=PATH, is_stream=request.stream)

    def read_response(
        self, request: ChatRequest, sent: UpstreamRequest, body: bytes
    ) -> ResponseMeta:
        """Read a whole answer."""
        if body.lstrip()[:1] != b"{":
            return ResponseMeta(body=body, error=odd_answer(body).detail)
        meta = read_chat_response(request, sent, body)
        if meta.error is None and meta.usage is None:
            meta.text_bytes = text_size(body)
        return meta

    def open_tap(
        self, request: ChatRequest, sent: UpstreamRequest, stream: ClientStream
    ) -> StreamTap:
        """Start reading a stream."""
        return CompletionsTap(request, sent)


class CompletionsTap(ChatStreamTap):
    """Read one stream: chat's, but for where its text stands."""

    def _take_chunk(self, raw: bytes, payload: bytes, chunk: Chunk) -> bytes:
        """Meter the text of a chunk, then take it as any other."""
        size = text_size(payload)
        if size:
            self.text_bytes += size
            self.useful = True
        return super()._take_chunk(raw, payload, chunk)

    def _from_json(self, body: bytes) -> list[bytes]:
        """Turn a whole answer into the one frame that says it all."""
        meta = read_completion(body, self._requested)
        if meta.error is not None:
            self.error = meta.error
            return []
        payload = msgspec.json.format(meta.body, indent=-1)
        chunk = read_chunk(payload)
        if chunk is None:  # pragma: no cover - it was read a moment ago
            self.error = odd_answer(body).detail
            return []
        taken = self._take_chunk(b"data: %b\n\n" % payload, payload, chunk)
        self.useful = self.saw_done = True
        return [taken, DONE]


def is_chat_only(model: str) -> bool:
    """Tell by its name whether OpenAI serves a model as chat alone.

    Source:  OpenAI's models as widely known; not checked against its list.
    """
    return _CHAT_ONLY.match(model.lower()) is not None


def text_size(payload: bytes) -> int:
    """Count the bytes of text in an answer or a piece of one."""
    try:
        choices = _TEXTS.decode(payload).choices
    except UNREADABLE:
        return 0
    return sum(len((choice.text or "").encode()) for choice in choices or ())
