"""Relay this dialect's own bytes: patch the model going out, echo it coming back."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from providers.formats.base import (
    UNREADABLE,
    ChatRequest,
    Target,
    UpstreamRequest,
)
from providers.formats.framing_ndjson import NdjsonSplitter
from providers.formats.jsonspans import REMOVE, patch, read_members
from providers.formats.neutral.relay import Splitter
from providers.formats.ollama_native.codec import join_lines
from providers.formats.ollama_native.peek import CHAT

_LEADING_MODEL: Final = re.compile(
    rb'\s*\{\s*"model"\s*:\s*("(?:[^"\\]|\\.)*+")', re.DOTALL
)


class OllamaRelayed:
    """Know what the relay must know of this dialect."""

    def patch(self, request: ChatRequest, target: Target) -> UpstreamRequest:
        """Exchange the model, take out what the upstream was learned to refuse."""
        values = request.members.values
        dropped = sorted(key for key in target.drop if key in values)
        changes: dict[str, bytes] = dict.fromkeys(dropped, REMOVE)
        if target.model != request.model:
            changes["model"] = msgspec.json.encode(target.model)
        return UpstreamRequest(
            body=patch(request.members, changes) if changes else request.body,
            path=request.arrival.path or CHAT,
            model=target.model,
            losses=tuple(f"{key}:drop" for key in dropped),
            is_stream=request.stream,
        )

    def splitter(self) -> Splitter:
        """Start cutting lines."""
        return NdjsonSplitter()

    def echo_frame(self, raw: bytes, payload: bytes | None, model: str) -> bytes:
        """Return a line with the model's name the client asked for.

        Cost:    about 1 us: servers write the model first.
        """
        if payload is None:
            return raw
        name = msgspec.json.encode(model)
        match = _LEADING_MODEL.match(raw)
        if match is None:
            return _echoed(raw, name)
        if match[1] == name:
            return raw
        return raw[: match.start(1)] + name + raw[match.end(1) :]

    def echo_body(self, body: bytes, model: str) -> bytes:
        """Return a whole answer, joined where it came as a stream nobody asked for."""
        name = msgspec.json.encode(model)
        try:
            return _echoed(body, name, is_strict=True)
        except UNREADABLE:
            joined = join_lines(body)
            return body if joined is None else _echoed(joined, name)


def _echoed(body: bytes, name: bytes, *, is_strict: bool = False) -> bytes:
    """Exchange the model wherever it stands; what has none stays as it is."""
    try:
        members = read_members(body)
    except UNREADABLE:
        if is_strict:
            raise
        return body
    if "model" not in members.values or bytes(members.values["model"]) == name:
        return body
    return patch(members, {"model": name})
