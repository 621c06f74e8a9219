"""Guess a server's wire format from which endpoints it has, when nobody knows it.

Cheaper and coarser than a verification: it needs no model that exists and no key that
is good, only a server that tells a path it has from one it has not.

Source: reference seeds 5.4.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from providers.discovery.asking import Asker, Heard
from providers.discovery.roots import root_of

STAGE_S: Final = 4.0
_FIRST, _EXTRA, _TOOLS, _IMAGE = 10, 2, 4, 3
_TIES: Final = {"anthropic": 4, "responses": 3, "openai": 3, "google": 2}
_ORDER: Final = ("anthropic", "openai", "responses", "google")
_GONE: Final = frozenset({404, 410})
_PATHS: Final = {
    "openai": ("/v1/chat/completions", "/chat/completions"),
    "responses": ("/backend-api/codex/responses", "/v1/responses", "/responses"),
    "anthropic": ("/v1/messages", "/messages"),
    "google": ("/v1beta/models", "/v1/models"),
}
_MODELS: Final = {
    "openai": "gpt-4o-mini",
    "responses": "o4-mini",
    "anthropic": "claude-3-5-haiku-20241022",
}
_ENDINGS: Final = {
    "openai": "/chat/completions",
    "responses": "/responses",
    "anthropic": "/messages",
    "google": "/models",
}
_ANTHROPIC: Final = {"anthropic-version": "2023-06-01"}
_PIXEL: Final = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAA"
    "AABJRU5ErkJggg=="
)
_EMPTY: Final = {"type": "object", "properties": {}}


@dataclass(frozen=True)
class Score:
    """How sure one format is: points, and the addresses that answered for it."""

    points: int = 0
    hits: tuple[str, ...] = ()


@dataclass(frozen=True)
class Detection:
    """What was guessed.

    Shapes:  ``base_url`` is what the format's paths are appended to; ``is_sure`` False
             = nothing was there and openai is only the default.
    """

    api_format: str
    base_url: str
    is_sure: bool
    scores: dict[str, Score] = field(default_factory=dict)


def detect(asker: Asker) -> Detection:
    """Probe the endpoints of each format and choose the best hit.

    Fails:   never raises for what the server does; nothing found is openai.
    Cost:    up to fifteen requests of 4 s each, within the asker's time.
    """
    root = root_of(asker.candidate.base_url)
    scores = {name: _score(asker, root, name) for name in _ORDER}
    chosen = choose({name: score.points for name, score in scores.items()})
    if not chosen:
        return Detection("openai", asker.candidate.base_url, False, scores)
    hit = scores[chosen].hits[0]
    base = hit[: -len(_ENDINGS[chosen])]
    return Detection(chosen, base, True, scores)


def choose(points: dict[str, int]) -> str:
    """Return the format with the most points, blank when none has any."""
    best = max(points.values(), default=0)
    if best <= 0:
        return ""
    level = [name for name in _ORDER if points.get(name) == best]
    return max(level, key=lambda name: _TIES[name])


def exists(heard: Heard) -> bool:
    """Tell whether an endpoint is there, whatever it thinks of the request."""
    status = heard.status
    return status is not None and status not in _GONE and not heard.is_html


def _score(asker: Asker, root: str, name: str) -> Score:
    hits: list[str] = []
    for path in _PATHS[name]:
        heard = _send(asker, name, root + path, _plain(name))
        if heard.status is None and not hits:
            return Score()  # nobody answers at all
        if exists(heard):
            hits.append(root + path)
    if not hits:
        return Score()
    points = _FIRST + _EXTRA * (len(hits) - 1)
    if name in _MODELS:
        points += _TOOLS * _accepts(asker, name, hits[0], _with_tool(name))
        points += _IMAGE * _accepts(asker, name, hits[0], _with_image(name))
    return Score(points, tuple(hits))


def _accepts(asker: Asker, name: str, url: str, body: dict[str, Any]) -> bool:
    heard = _send(asker, name, url, body)
    return heard.status is not None and heard.status < 300 and not heard.is_html


def _send(asker: Asker, name: str, url: str, body: dict[str, Any] | None) -> Heard:
    credential = None
    if not asker.candidate.auth_scheme:
        credential = asker.credential(wire_id=name)
    return asker.ask(
        url,
        method="GET" if body is None else "POST",
        body=None if body is None else msgspec.json.encode(body),
        headers=_ANTHROPIC if name == "anthropic" else None,
        credential=credential,
    )


def _plain(name: str) -> dict[str, Any] | None:
    if name not in _MODELS:
        return None
    return _body(name, "ping")


def _body(name: str, content: Any) -> dict[str, Any]:
    said = [{"role": "user", "content": content}]
    if name == "responses":
        return {"model": _MODELS[name], "input": said, "max_output_tokens": 1}
    return {"model": _MODELS[name], "messages": said, "max_tokens": 1}


def _with_tool(name: str) -> dict[str, Any]:
    tool: dict[str, Any]
    if name == "anthropic":
        tool = {"name": "noop", "input_schema": _EMPTY}
    elif name == "responses":
        tool = {"type": "function", "name": "noop", "parameters": _EMPTY}
    else:
        inner = {"name": "noop", "parameters": _EMPTY}
        tool = {"type": "function", "function": inner}
    return {**_body(name, "ping"), "tools": [tool]}


def _with_image(name: str) -> dict[str, Any]:
    url = f"data:image/png;base64,{_PIXEL}"
    part: dict[str, Any]
    if name == "anthropic":
        source = {"type": "base64", "media_type": "image/png", "data": _PIXEL}
        part = {"type": "image", "source": source}
    elif name == "responses":
        part = {"type": "input_image", "image_url": url}
    else:
        part = {"type": "image_url", "image_url": {"url": url}}
    return _body(name, [part])
