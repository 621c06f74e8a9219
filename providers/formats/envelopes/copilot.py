"""GitHub Copilot: three dialects behind one host, each for some of its models.

The base URL has no version; only messages lie below ``/v1``. The headers of an editor
are required; who began the turn and whether pictures are in it decide what is billed.

Source: reference wire 1.7, P7, P114, P120; caozhiyuan/copilot-api issues 113 and 102 (GPT
5 and later speak responses alone, gpt-5-mini both).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from uuid import uuid4

from msgspec.structs import replace

from providers.formats.base import (
    NEED_VISION,
    Bridge,
    ChatRequest,
    Op,
    ResponseMeta,
    Target,
    UpstreamRequest,
    WireFormat,
)
from providers.formats.envelopes import initiator, one_choice
from providers.formats.envelopes.listed_input import ListedInput
from providers.formats.envelopes.wrapping import (
    PlainEdge,
    UpstreamOnly,
    WrappedBridge,
    WrappedCodec,
    inner_codec,
    inner_relay,
)
from providers.formats.neutral.codec import Codec, Decoder, Encoded
from providers.formats.neutral.events import AnyEvent
from providers.formats.neutral.types import Request

HEADERS: Final[Mapping[str, str]] = {
    "copilot-integration-id": "vscode-chat",
    "editor-version": "vscode/1.104.1",
    "editor-plugin-version": "copilot-chat/0.38.0",
    "user-agent": "GitHubCopilotChat/0.38.0",
    "openai-intent": "conversation-panel",
    "x-github-api-version": "2025-04-01",
}
_PATHS: Final = {
    "openai": "/chat/completions",
    "responses": "/responses",
    "anthropic": "/v1/messages",
}
_REFUSED: Final = frozenset({"context_management"})
_BY_NAME: Final = (
    (re.compile(r"gpt-5-mini"), ("openai", "responses")),
    (re.compile(r"gpt-(?:[5-9]|\d\d)|.*codex"), ("responses",)),
    (re.compile(r"claude"), ("openai", "anthropic")),
)


class CopilotEdge(PlainEdge):
    """Put path and headers right for one of the dialects inside."""

    def __init__(self, dialect: str) -> None:
        self._path = _PATHS[dialect]
        self._is_chat = dialect == "openai"
        self._refused = _REFUSED if dialect == "anthropic" else frozenset()

    def aim(self, target: Target) -> Target:
        """Have what this host refuses taken out, and named."""
        return replace(target, drop=target.drop | self._refused)

    def relayed(
        self, request: ChatRequest, sent: UpstreamRequest, target: Target
    ) -> UpstreamRequest:
        """Add path and headers to a client's own request."""
        headers = _call_headers(
            initiator.is_agents(request), bool(request.needs & NEED_VISION)
        )
        return replace(sent, path=self._path, headers={**sent.headers, **headers})

    def encoded(self, request: Request, sent: Encoded, target: Target) -> Encoded:
        """Add path and headers to a translated request."""
        headers = _call_headers(
            initiator.is_agents_turn(request), initiator.has_images(request)
        )
        return replace(sent, path=self._path, headers={**sent.headers, **headers})

    def answered(self, request: ChatRequest, meta: ResponseMeta) -> ResponseMeta:
        """Join the choices a client did not ask for."""
        codec = inner_codec("openai", "") if self._is_chat else None
        return meta if codec is None else one_choice.joined_answer(codec, request, meta)

    def events(self, events: list[AnyEvent]) -> list[AnyEvent]:
        """Join the choices of an answer that is translated."""
        return one_choice.OneChoice().feed(events) if self._is_chat else events

    def decoder(self, decoder: Decoder) -> Decoder:
        """Join the choices of a stream that is translated."""
        return one_choice.OneChoiceDecoder(decoder) if self._is_chat else decoder


class Copilot(UpstreamOnly):
    """Speak to Copilot in whichever dialect it has for a model."""

    id = "copilot"

    def upstream_path(self, op: Op, *, model: str, stream: bool) -> str:
        """Return a path, without a version."""
        return _PATHS[dialects_of(model)[0]] if op == "chat" else f"/{op}"

    def auth_headers(self, secret: str) -> Mapping[str, str]:
        """Return the bearer, and the headers every call needs."""
        return {**HEADERS, "authorization": f"Bearer {secret}"}

    def relay(self, inbound: str, op: Op, model: str) -> Bridge | None:
        """Relay a client whose dialect the model is served in."""
        served = {"chat": dialects_of(model), "embeddings": ("openai",)}
        if inbound not in served.get(op, ()):
            return None
        inner = inner_relay(inbound, op, model)
        edge = _EDGES[inbound] if op == "chat" else _EMBEDDINGS
        return None if inner is None else WrappedBridge(inner, edge)

    def codec(self, model: str) -> Codec | None:
        """Translate into the first dialect the model is served in."""
        dialect = dialects_of(model)[0]
        inner = inner_codec(dialect, model)
        return None if inner is None else WrappedCodec(inner, _EDGES[dialect])


def dialects_of(model: str) -> tuple[str, ...]:
    """Return the dialects a model is served in, the one to translate into first."""
    name = model.lower().rpartition("/")[2]
    return next((found for like, found in _BY_NAME if like.match(name)), ("openai",))


def _call_headers(is_agent: bool, shows: bool) -> dict[str, str]:
    began = {"x-initiator": "agent" if is_agent else "user"}
    vision = {"copilot-vision-request": "true"} if shows else {}
    return {**HEADERS, **began, **vision, "x-request-id": str(uuid4())}


_EMBEDDINGS: Final = ListedInput("/embeddings", HEADERS)
_EDGES: Final = {dialect: CopilotEdge(dialect) for dialect in _PATHS}

FORMAT: Final[WireFormat] = Copilot()
