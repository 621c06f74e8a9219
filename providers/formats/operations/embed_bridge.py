"""Join a client of one dialect's embeddings with an upstream of another's."""

from __future__ import annotations

import msgspec

from providers.formats.base import (
    Bridge,
    ChatRequest,
    ResponseMeta,
    Target,
    UpstreamRequest,
)
from providers.formats.operations.answers import OddAnswerError, odd_answer
from providers.formats.operations.embed_words import Words
from providers.formats.operations.kin import asked_of, sent_as
from providers.formats.operations.vectors import NoVectorError
from providers.formats.taps import ClientStream, StreamTap


class EmbeddingsBridge:
    """Translate embeddings; ``relay`` serves the upstream's own clients."""

    def __init__(self, source: Words, target: Words, relay: Bridge) -> None:
        self._source = source
        self._target = target
        self._relay = relay

    def build_request(self, request: ChatRequest, target: Target) -> UpstreamRequest:
        """Word a request.

        Errors:  FormatError.
        """
        wanted = self._source.wanted(request)
        asked = self._target.asked(wanted, target.model)
        return sent_as(asked, target, self._relay, wanted.losses)

    def read_response(
        self, request: ChatRequest, sent: UpstreamRequest, body: bytes
    ) -> ResponseMeta:
        """Read a whole answer."""
        made = asked_of(sent)
        meta = self._relay.read_response(made.request, made.sent, body)
        if meta.error is not None:
            return meta
        texts = len(self._source.wanted(request).texts)
        try:
            numbers = self._target.numbers(meta.body)
            if len(numbers) != texts:
                raise odd_answer(body)
            worded = self._source.answer(request, numbers, meta.usage)
        except (OddAnswerError, NoVectorError):
            return ResponseMeta(body=body, error=odd_answer(body).detail)
        return msgspec.structs.replace(meta, body=worded)

    def open_tap(
        self, request: ChatRequest, sent: UpstreamRequest, stream: ClientStream
    ) -> StreamTap:
        """Refuse: embeddings are never streamed."""
        raise odd_answer(b"")  # pragma: no cover - no client can ask for it
