"""Embeddings in three dialects: what a client wants, and what it is told.

Source: reference wire 1.3, 1.5, 1.8, P113, T108.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

import msgspec

from pricing.estimate import estimate_input_tokens
from pricing.tokens import TokenUsage
from providers.formats.base import UNREADABLE, Arrival, ChatRequest, FormatError
from providers.formats.gemini_generate.fields import fields_of, list_of, take
from providers.formats.jsonspans import read_members
from providers.formats.operations import embeddings, vectors
from providers.formats.operations.answers import members_in, odd_answer
from providers.formats.operations.asking import value_of

_EMBED: Final = "/api/embed"
_OLD: Final = "/api/embeddings"
_BATCH: Final = "batchEmbedContents"
_RAWS: Final = msgspec.json.Decoder(list[msgspec.Raw])


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Say which texts a client wants embedded, in order."""

    texts: tuple[str, ...]
    dimensions: int | None = None
    losses: tuple[str, ...] = ()

    def __repr__(self) -> str:
        # Texts must not reach a log through a stray repr.
        return f"<Wanted {len(self.texts)} texts>"


class Words(Protocol):
    """How one dialect asks for embeddings and answers."""

    def wanted(self, request: ChatRequest) -> Wanted:
        """Read a client's request.

        Errors:  FormatError.
        """

    def asked(self, wanted: Wanted, model: str) -> ChatRequest:
        """Word a request as a client would."""

    def numbers(self, body: bytes) -> Sequence[msgspec.Raw]:
        """Return the embeddings of an upstream's answer, in the order of the texts.

        Errors:  OddAnswerError.
        """

    def answer(
        self,
        request: ChatRequest,
        numbers: Sequence[msgspec.Raw],
        usage: TokenUsage | None,
    ) -> bytes:
        """Word an answer for a client.

        Errors:  NoVectorError.
        """


class OpenAIWords:
    """OpenAI's embeddings."""

    def wanted(self, request: ChatRequest) -> Wanted:
        """Read a client's request; tokens mean nothing to another vendor."""
        given = _decoded(request.members.values["input"])
        return Wanted(
            texts=_texts(given, "input"),
            dimensions=value_of(request.members, "dimensions", int),
        )

    def asked(self, wanted: Wanted, model: str) -> ChatRequest:
        """Word a request as a client would."""
        body: dict[str, Any] = {"model": model, "input": wanted.texts}
        if wanted.dimensions is not None:
            body["dimensions"] = wanted.dimensions
        body["encoding_format"] = embeddings.FLOAT
        return _request("openai", body, model, "/v1/embeddings")

    def numbers(self, body: bytes) -> Sequence[msgspec.Raw]:
        """Return the embeddings of an answer, by index."""
        return embeddings.in_order(embeddings.data_in(members_in(body)))

    def answer(
        self,
        request: ChatRequest,
        numbers: Sequence[msgspec.Raw],
        usage: TokenUsage | None,
    ) -> bytes:
        """Word an answer in the encoding that was asked for."""
        data = embeddings.worded(numbers, embeddings.encoding_of(request))
        tokens = _tokens(request, usage)
        return (
            b'{"object":"list","data":%b,"model":%b,'
            b'"usage":{"prompt_tokens":%d,"total_tokens":%d}}'
        ) % (data, msgspec.json.encode(request.model), tokens, tokens)


class GoogleWords:
    """Gemini's embedContent and batchEmbedContents."""

    def wanted(self, request: ChatRequest) -> Wanted:
        """Read a client's request, one text or a batch."""
        fields = fields_of(request.members.body, "request")
        if not _is_batch(request):
            return _google_text(fields)
        listed = list_of(fields.get("requests"), "requests")
        each = [_google_text(fields_of(raw, "requests")) for raw in listed]
        if not each:
            raise FormatError(
                "'requests' must not be empty.", code="invalid_value", param="requests"
            )
        sizes = {wanted.dimensions for wanted in each}
        if len(sizes) > 1:
            raise FormatError(
                "This model embeds a batch in one size only.",
                code="invalid_value",
                param="outputDimensionality",
            )
        return Wanted(
            texts=tuple(text for wanted in each for text in wanted.texts),
            dimensions=sizes.pop(),
            losses=tuple(
                dict.fromkeys(loss for wanted in each for loss in wanted.losses)
            ),
        )

    def asked(self, wanted: Wanted, model: str) -> ChatRequest:
        """Word a request as a client would; google-genai always sends a batch."""
        requests: list[dict[str, Any]] = []
        for text in wanted.texts:
            one: dict[str, Any] = {
                "model": f"models/{model.removeprefix('models/')}",
                "content": {"parts": [{"text": text}]},
            }
            if wanted.dimensions is not None:
                one["outputDimensionality"] = wanted.dimensions
            requests.append(one)
        path = f"/v1beta/models/{model}:{_BATCH}"
        return _request("google", {"requests": requests}, model, path)

    def numbers(self, body: bytes) -> Sequence[msgspec.Raw]:
        """Return the embeddings of an answer."""
        members = members_in(body)
        raw = members.values.get("embeddings")
        try:
            if raw is None:
                return [_VALUES.decode(members.values["embedding"]).values]
            return [_VALUES.decode(each).values for each in _RAWS.decode(raw)]
        except (*UNREADABLE, KeyError):
            raise odd_answer(body) from None

    def answer(
        self,
        request: ChatRequest,
        numbers: Sequence[msgspec.Raw],
        usage: TokenUsage | None,
    ) -> bytes:
        """Word an answer as it was asked for: one, or a batch."""
        worded = [b'{"values":%b}' % vectors.listed(raw) for raw in numbers]
        if _is_batch(request):
            return b'{"embeddings":[%b]}' % b",".join(worded)
        return b'{"embedding":%b}' % worded[0]


class OllamaWords:
    """Ollama's /api/embed, and /api/embeddings before it."""

    def wanted(self, request: ChatRequest) -> Wanted:
        """Read a client's request."""
        values = request.members.values
        name = "prompt" if _is_old(request) else "input"
        if name not in values:
            raise FormatError(
                f"The field '{name}' is missing.", code="missing_field", param=name
            )
        kept = ("options", "keep_alive", "truncate")
        return Wanted(
            texts=_texts(_decoded(values[name]), name),
            dimensions=value_of(request.members, "dimensions", int),
            losses=tuple(f"{key}:drop" for key in kept if key in values),
        )

    def asked(self, wanted: Wanted, model: str) -> ChatRequest:
        """Word a request as a client would."""
        body: dict[str, Any] = {"model": model, "input": wanted.texts}
        if wanted.dimensions is not None:
            body["dimensions"] = wanted.dimensions
        return _request("ollama", body, model, _EMBED)

    def numbers(self, body: bytes) -> Sequence[msgspec.Raw]:
        """Return the embeddings of an answer."""
        try:
            return _RAWS.decode(members_in(body).values["embeddings"])
        except (*UNREADABLE, KeyError):
            raise odd_answer(body) from None

    def answer(
        self,
        request: ChatRequest,
        numbers: Sequence[msgspec.Raw],
        usage: TokenUsage | None,
    ) -> bytes:
        """Word an answer of the path that was asked."""
        worded = [vectors.listed(raw) for raw in numbers]
        if _is_old(request):
            return b'{"embedding":%b}' % worded[0]
        return b'{"model":%b,"embeddings":[%b],"prompt_eval_count":%d}' % (
            msgspec.json.encode(request.model),
            b",".join(worded),
            _tokens(request, usage),
        )


class _Values(msgspec.Struct, gc=False):
    values: msgspec.Raw


_VALUES: Final = msgspec.json.Decoder(_Values)

WORDS: Final[dict[str, Words]] = {
    "openai": OpenAIWords(),
    "google": GoogleWords(),
    "ollama": OllamaWords(),
}


def _request(dialect: str, body: dict[str, Any], model: str, path: str) -> ChatRequest:
    data = msgspec.json.encode(body)
    return ChatRequest(
        dialect=dialect,
        body=data,
        model=model,
        members=read_members(data),
        arrival=Arrival(op="embeddings", path=path),
    )


def _google_text(fields: dict[str, msgspec.Raw]) -> Wanted:
    """Read one text; what it is for is nobody else's word."""
    config = fields.get("embedContentConfig")
    if config is not None:
        # Vertex's spelling of the members below.
        fields = {**fields_of(config, "embedContentConfig"), **fields}
    raw = fields.get("content")
    if raw is None:
        raise FormatError(
            "The field 'content' is missing.", code="missing_field", param="content"
        )
    content = fields_of(raw, "content") if bytes(raw)[:1] == b"{" else {}
    texts: list[str] = []
    for part in list_of(content.get("parts"), "content.parts"):
        text = take(fields_of(part, "content.parts"), "text", str, "content.parts.")
        if text is None:
            raise FormatError(
                "This model embeds text only.",
                code="invalid_value",
                param="content.parts",
            )
        texts.append(text)
    lost = [name for name in ("taskType", "title") if name in fields]
    return Wanted(
        texts=("\n".join(texts),),
        dimensions=take(dict(fields), "outputDimensionality", int),
        losses=tuple(f"{name}:drop" for name in lost),
    )


def _texts(given: Any, name: str) -> tuple[str, ...]:
    texts = [given] if isinstance(given, str) else given
    if isinstance(texts, list) and texts and all(isinstance(t, str) for t in texts):
        return tuple(texts)
    raise FormatError(
        f"'{name}' must be a text or a list of texts for this model.",
        code="invalid_value",
        param=name,
    )


def _decoded(raw: msgspec.Raw) -> Any:
    try:
        return msgspec.json.decode(raw)
    except UNREADABLE:
        return None


def _tokens(request: ChatRequest, usage: TokenUsage | None) -> int:
    """Return the tokens of the texts; estimated where the upstream says nothing."""
    if usage is not None and usage.prompt_tokens:
        return usage.prompt_tokens
    return estimate_input_tokens(
        request.body, request.model, spans=request.content_spans
    )


def _is_batch(request: ChatRequest) -> bool:
    # A route's path has its model in it; only its end says what is asked.
    return request.arrival.path.endswith(_BATCH)


def _is_old(request: ChatRequest) -> bool:
    return request.arrival.path == _OLD
