"""Relay the operations of OpenAI-shaped upstreams: bytes through, the model patched.

A JSON body is patched by span, of a form only the model's part is exchanged. Answers
leave as they came; three are changed where they are not what was asked for: embeddings
in the other encoding, a ranking that lacks a dialect's members, and the model's name.

Source: reference wire 1.3, 5.3, T21, T22, P113, P128.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

import msgspec

from providers.formats.base import (
    Bridge,
    ChatRequest,
    Op,
    ResponseMeta,
    Target,
    UpstreamRequest,
)
from providers.formats.jsonspans import REMOVE, patch
from providers.formats.operations import (
    completions,
    embeddings,
    images,
    moderations,
    rerank,
    speech,
    transcription,
)
from providers.formats.operations.answers import OddAnswerError, odd_answer
from providers.formats.operations.asking import form_of
from providers.formats.operations.multipart import replaced
from providers.formats.taps import ClientStream, StreamTap

Read: TypeAlias = Callable[[ChatRequest, bytes], ResponseMeta]
Open: TypeAlias = Callable[[ChatRequest, UpstreamRequest], StreamTap]
Word: TypeAlias = Callable[[ChatRequest, Target], bytes | None]

_VERSION: Final = "/v1"


class OperationRelay:
    """Relay one operation; one object for each.

    Shapes:  ``word`` may make a body of its own where an upstream needs one.
    """

    def __init__(
        self, read: Read, open_tap: Open | None = None, word: Word | None = None
    ) -> None:
        self._read = read
        self._open = open_tap
        self._word = word

    def build_request(self, request: ChatRequest, target: Target) -> UpstreamRequest:
        """Exchange the model, and nothing else."""
        sent = patched(request, target)
        body = None if self._word is None else self._word(request, target)
        return sent if body is None else msgspec.structs.replace(sent, body=body)

    def read_response(
        self, request: ChatRequest, sent: UpstreamRequest, body: bytes
    ) -> ResponseMeta:
        """Read a whole answer."""
        try:
            return self._read(request, body)
        except OddAnswerError as odd:
            return ResponseMeta(body=body, error=odd.detail)

    def open_tap(
        self, request: ChatRequest, sent: UpstreamRequest, stream: ClientStream
    ) -> StreamTap:
        """Start passing a stream on."""
        if self._open is None:  # pragma: no cover - such a request is never a stream
            raise odd_answer(b"")
        return self._open(request, sent)


def patched(request: ChatRequest, target: Target) -> UpstreamRequest:
    """Return a request for an upstream, with its own name of the model."""
    path = request.arrival.path.removeprefix(_VERSION)
    form = form_of(request)
    if form is not None:
        has_name = form.part("model") is not None
        body = request.body
        if target.model != request.model or not has_name:
            body = replaced(form, "model", target.model.encode())
        content_type = request.arrival.fields[b"content-type"].decode("latin-1")
        return UpstreamRequest(
            body,
            path,
            target.model,
            content_type=content_type,
            is_stream=request.stream,
        )
    values = request.members.values
    dropped = sorted(name for name in target.drop if name in values)
    changes: dict[str, bytes] = dict.fromkeys(dropped, REMOVE)
    if target.model != request.model or "model" not in values:
        changes["model"] = msgspec.json.encode(target.model)
    return UpstreamRequest(
        patch(request.members, changes) if changes else request.body,
        path,
        target.model,
        losses=tuple(f"{name}:drop" for name in dropped),
        is_stream=request.stream,
    )


RELAYS: Final[dict[Op, Bridge]] = {
    "completions": completions.CompletionsRelay(),
    "embeddings": OperationRelay(embeddings.read),
    "images": OperationRelay(images.read, images.open_tap),
    "speech": OperationRelay(speech.read, speech.open_tap),
    "transcription": OperationRelay(transcription.read, transcription.open_tap),
    "moderations": OperationRelay(moderations.read),
    "rerank": OperationRelay(rerank.read, word=rerank.worded),
}


def relay(op: Op, model: str) -> Bridge | None:
    """Return the relay of an operation of OpenAI's.

    Shapes:  None for completions of a model that is known to have chat only.
    """
    if op == "completions" and completions.is_chat_only(model):
        return None
    return RELAYS.get(op)
