"""Azure OpenAI: OpenAI's dialects under a deployment's path and an ``api-key``.

Two surfaces: the classic one names deployment and API version in the address, the v1
surface looks like OpenAI's own. The provider's option ``api_version`` decides: a date
means classic; blank or ``v1`` means v1; ``preview`` means v1 with what is new there.
The base URL is the root of the resource. ``deployment`` overrides the model's id.

Source: reference wire 1.10.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from msgspec.structs import replace

from providers.formats.base import (
    Bridge,
    ChatRequest,
    Op,
    Target,
    UpstreamRequest,
    WireFormat,
)
from providers.formats.envelopes.wrapping import (
    PlainEdge,
    UpstreamOnly,
    WrappedBridge,
    WrappedCodec,
    inner_codec,
    inner_relay,
)
from providers.formats.neutral.codec import Codec, Encoded
from providers.formats.neutral.types import Request

_V1: Final = "/openai/v1"
_CLASSIC: Final = "/openai"
_OPS: Final[frozenset[Op]] = frozenset(
    {"chat", "completions", "embeddings", "images", "speech", "transcription"}
)
_PREVIEWS: Final = frozenset({"preview", "latest"})
_PER_RESOURCE: Final = frozenset({"/responses", "/models"})
_RESPONSES_ONLY: Final = ("codex", "-pro", "deep-research")


class AzureEdge(PlainEdge):
    """Put paths where a resource has them."""

    def aim(self, target: Target) -> Target:
        """Name the deployment: to Azure it is the model."""
        deployment = target.options.get("deployment")
        return replace(target, model=deployment) if deployment else target

    def relayed(
        self, request: ChatRequest, sent: UpstreamRequest, target: Target
    ) -> UpstreamRequest:
        """Change the path of a relayed request."""
        return replace(sent, path=azure_path(sent.path, self.aim(target)))

    def encoded(self, request: Request, sent: Encoded, target: Target) -> Encoded:
        """Change the path of a translated request."""
        return replace(sent, path=azure_path(sent.path, self.aim(target)))


class Azure(UpstreamOnly):
    """Speak chat completions, and responses, to a resource of Azure OpenAI."""

    id = "azure"

    def upstream_path(self, op: Op, *, model: str, stream: bool) -> str:
        """Return a path of the v1 surface, which every resource has."""
        paths = {"chat": "/chat/completions", "models": "/models"}
        return _V1 + paths.get(op, f"/{op}")

    def auth_headers(self, secret: str) -> Mapping[str, str]:
        """Return the key's header; a token of Entra is a bearer.

        Shapes:  a token has three parts between dots, a key has no dot at all.
        """
        if secret.startswith("eyJ") and secret.count(".") == 2:
            return {"authorization": f"Bearer {secret}"}
        return {"api-key": secret}

    def relay(self, inbound: str, op: Op, model: str) -> Bridge | None:
        """Relay clients of OpenAI's dialects, as far as the model speaks theirs."""
        is_chat = inbound == "openai"
        if not is_chat and inbound != "responses":
            return None
        if is_chat and op not in _OPS:
            return None
        if is_chat and op == "chat" and is_responses_only(model):
            return None
        inner = inner_relay(inbound, op, model)
        return None if inner is None else WrappedBridge(inner, _EDGE)

    def codec(self, model: str) -> Codec | None:
        """Translate into responses where the model has nothing else, else into chat."""
        inner = inner_codec(
            "responses" if is_responses_only(model) else "openai", model
        )
        return None if inner is None else WrappedCodec(inner, _EDGE)


def azure_path(path: str, target: Target) -> str:
    """Return where a resource has what OpenAI has at a path."""
    version = target.options.get("api_version", "").strip().lower()
    at, mark, query = path.partition("?")
    if version in ("", "v1") or version in _PREVIEWS:
        extra = "api-version=preview" if version in _PREVIEWS else ""
        root = _V1
    else:
        extra = f"api-version={quote(version, safe='')}"
        root = _CLASSIC
        if at not in _PER_RESOURCE:
            root += f"/deployments/{quote(target.model, safe='')}"
    asked = "&".join(filter(None, (query if mark else "", extra)))
    return root + at + (f"?{asked}" if asked else "")


def is_responses_only(model: str) -> bool:
    """Tell by its name whether a model is served through responses alone.

    Shapes:  a deployment may have any name; one that does not tell is asked by chat.
    """
    name = model.lower()
    return any(word in name for word in _RESPONSES_ONLY)


_EDGE: Final = AzureEdge()

FORMAT: Final[WireFormat] = Azure()
