"""The ChatGPT backend of Codex: Responses with less allowed and always streamed.

Source: reference wire 1.12; P8, P18; T18.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec.structs import replace

from providers.formats.base import (
    Bridge,
    ChatRequest,
    Op,
    Route,
    Target,
    UpstreamRequest,
    WireFormat,
)
from providers.formats.capabilities import Capabilities, capabilities
from providers.formats.jsonspans import REMOVE, patch, read_members
from providers.formats.neutral.codec import Codec, Encoded
from providers.formats.neutral.types import Request, Text, Turn
from providers.formats.openai_responses.account import account_of
from providers.formats.openai_responses.build import plain_instructions
from providers.formats.openai_responses.codec import ResponsesCodec
from providers.formats.openai_responses.dialect import OpenAIResponses
from providers.formats.openai_responses.edits import listed_input, with_proof
from providers.formats.openai_responses.items import refuse_state
from providers.formats.openai_responses.peek import DIALECT
from providers.formats.openai_responses.relay import (
    ResponsesBridge,
    ResponsesRelayed,
)

FORMAT_ID: Final = "codex"
INSTRUCTIONS: Final = "You are a helpful assistant."
"""Said where a client says nothing: the backend refuses requests without any."""

_REFUSED: Final = frozenset({"presence_penalty", "frequency_penalty", "background"})
"""Beside what the capability data names."""

_STATE: Final = ("previous_response_id", "conversation", "prompt")
_HEADERS: Final = {
    "openai-beta": "responses=experimental",
    "accept": "text/event-stream",
}
_NULL: Final = (b"", b"null", b'""')


class CodexRelayed(ResponsesRelayed):
    """Patch what the backend insists on; the rest stays as the client sent it."""

    def patch(self, request: ChatRequest, target: Target) -> UpstreamRequest:
        """Force what must be, take out what is refused, and name it."""
        values = request.members.values
        for field in _STATE:
            if bytes(values.get(field, b"")) not in _NULL:
                refuse_state(field, field)
        owner = target.catalogue or target.provider
        refused = capabilities(FORMAT_ID, owner, target.model).refuses
        drop = target.drop | _REFUSED.union(refused)
        sent = super().patch(request, replace(target, drop=drop))
        members = read_members(sent.body)
        changes: dict[str, bytes] = {key: REMOVE for key in _STATE if key in values}
        changes |= {"store": b"false", "stream": b"true"}
        text, has_developer = listed_input(members.values.get("input"))
        changes["input"] = text
        said = bytes(members.values.get("instructions", b""))
        if said in _NULL and not has_developer:
            changes["instructions"] = msgspec.json.encode(INSTRUCTIONS)
        changes["include"] = with_proof(members.values.get("include"))
        return replace(
            sent,
            body=patch(members, changes),
            headers=_headers(target),
            is_stream=True,
        )


class CodexCodec(ResponsesCodec):
    """Translate for the backend: Responses with what it insists on."""

    def encode_request(
        self, request: Request, target: Target, caps: Capabilities
    ) -> Encoded:
        """Word a request."""
        leading = list(map(_allowed, request.instructions))
        if not leading:
            leading = [Turn(role="instruction", parts=(Text(text=INSTRUCTIONS),))]
        elif plain_instructions(request.instructions[0], is_native=False):
            # It goes into a field of its own, which no system message needs.
            leading[0] = request.instructions[0]
        turns = tuple(map(_allowed, request.turns))
        forced = replace(
            request,
            instructions=tuple(leading),
            turns=turns,
            stream=True,
            state=None,
        )
        made = super().encode_request(
            forced, replace(target, drop=target.drop | _REFUSED), caps
        )
        members = read_members(made.body)
        include = with_proof(members.values.get("include"))
        body = patch(members, {"store": b"false", "include": include})
        return replace(made, body=body, headers=_headers(target))


class Codex(OpenAIResponses):
    """Speak to the backend; clients of the pool do not speak it themselves."""

    id = FORMAT_ID
    routes: tuple[Route, ...] = ()

    def auth_headers(self, secret: str) -> Mapping[str, str]:
        """Return the bearer header and the account its token was given to."""
        headers = {"authorization": f"Bearer {secret}"}
        account = account_of(secret)
        return headers | ({"chatgpt-account-id": account} if account else {})

    def relay(self, inbound: str, op: Op, model: str) -> Bridge | None:
        """Wrap the bytes of clients that speak Responses."""
        return _BRIDGE if inbound == DIALECT and op == "chat" else None

    def codec(self, model: str) -> Codec | None:
        """Return the translator."""
        return _CODEC


def _allowed(turn: Turn) -> Turn:
    """Return a turn the backend takes: it knows developers and no system."""
    is_system = turn.role == "instruction" and turn.authority == "system"
    return replace(turn, authority="developer") if is_system else turn


def _headers(target: Target) -> dict[str, str]:
    account = target.options.get("account_id", "")
    return _HEADERS | ({"chatgpt-account-id": account} if account else {})


_CODEC: Final = CodexCodec()
_BRIDGE: Final = ResponsesBridge(ResponsesCodec(is_relayed=True), CodexRelayed())

FORMAT: Final[WireFormat] = Codex()
