"""Learn from a 400 which fields an upstream model refuses.

Vendors refuse what they do not know ("Unsupported parameter: 'x'"), and which models
refuse what changes by the week. The field is left out once more on the same candidate;
if that is then understood, the next request leaves it out at once. Nothing that carries
the conversation is ever left out.

Source: reference wire 1.13, 7.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from poolsite.clock import Clock
from providers.formats.base import UNREADABLE, UpstreamRequest
from providers.formats.errors import ErrorDetail
from providers.formats.jsonspans import REMOVE, Members, patch, read_members
from providers.proxy.exchange import Candidate
from usage.journal.records import Fact

REFUSAL_FACT: Final = "refusal"
MOST_A_CALL: Final = 3
"""A call is tried this often with one field less; then its error is the client's."""

_KEPT_S: Final = 24 * 3600.0
"""A refusal may hold for one request's combination only; one more a day is its price."""

_MOST_MODELS: Final = 10_000
_MOST_FIELDS: Final = 20
_LONGEST: Final = 4_000
_NANO: Final = 1_000_000_000
_RENAMES: Final = {
    "max_tokens": "max_completion_tokens",
    "max_completion_tokens": "max_tokens",
}
_PROTECTED: Final = frozenset(
    {
        "model",
        "messages",
        "input",
        "contents",
        "prompt",
        "system",
        "systemInstruction",
        "system_instruction",
        "instructions",
        "stream",
        "tools",
        "functions",
        "toolConfig",
        "request",
    }
)
_TUNING: Final = frozenset(
    {
        "temperature",
        "top_p",
        "top_k",
        "min_p",
        "presence_penalty",
        "frequency_penalty",
        "parallel_tool_calls",
    }
)
"""Left out also where only the value is refused: the default is then the nearest."""

_REFUSES: Final = re.compile(
    r"unsupported[ _](parameter|field|argument)|not supported|unrecogni[sz]ed"
    r"|unknown (parameter|field|argument|name|key)|extra (inputs?|fields?)[^.]{0,20} not"
    r"|not permitted|unexpected (keyword|field|property|parameter)"
    r"|additional propert|does not support|cannot find field|not allowed",
    re.IGNORECASE,
)
_VALUE: Final = re.compile(r"unsupported[ _]value|invalid[ _]value", re.IGNORECASE)
_NAMED: Final = re.compile(
    r"""['"`](?P<quoted>[A-Za-z_][\w.\[\]-]*)['"`]"""
    r"""|^(?P<bare>[A-Za-z_][\w.]*): extra inputs"""
    r"""|supplied: (?P<supplied>[A-Za-z_][\w.]*)""",
    re.IGNORECASE | re.MULTILINE,
)
_LOCATED: Final = re.compile(r'"loc"\s*:\s*\[\s*"body"\s*,\s*"(\w+)"\s*\]')


class Lessons:
    """What was learned, by provider and model; one object a process.

    Shapes:  a lesson is a field's name, or ``old=new`` for one that is called
             otherwise there.
    Cost:    a dictionary read a request.
    """

    __slots__ = ("_clock", "_known")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: dict[tuple[int, str], frozenset[str]] = {}

    def of(self, candidate: Candidate) -> frozenset[str]:
        """Return what a candidate is not to be sent."""
        if not self._known:
            return _NOTHING
        return self._known.get(_key(candidate), _NOTHING)

    def learn(self, candidate: Candidate, words: frozenset[str]) -> Iterable[Fact]:
        """Remember what an upstream was asked without, and understood."""
        key = _key(candidate)
        known = self._known.get(key, _NOTHING) | words
        if len(known) > _MOST_FIELDS or known == self._known.get(key):
            return ()
        self._remember(key, known)
        now_ns = self._clock.time_ns()
        provider_id, model = key
        payload = {
            "provider_id": provider_id,
            "model": model,
            "fields": sorted(known),
            "until_s": now_ns / _NANO + _KEPT_S,
        }
        name = f"{provider_id}:{model}"
        return (Fact(kind=REFUSAL_FACT, key=name, at_ns=now_ns, payload=payload),)

    def load(self, payloads: Iterable[Mapping[str, Any]]) -> None:
        """Take over what was learned before; what is out of date stays out."""
        now_s = self._clock.time_ns() / _NANO
        for payload in payloads:
            fields = payload.get("fields")
            provider_id, model = payload.get("provider_id"), payload.get("model")
            if not isinstance(provider_id, int) or not isinstance(model, str):
                continue
            if not isinstance(fields, list) or payload.get("until_s", 0) <= now_s:
                continue
            self._remember((provider_id, model), frozenset(map(str, fields)))

    def _remember(self, key: tuple[int, str], words: frozenset[str]) -> None:
        if len(self._known) >= _MOST_MODELS:
            self._known.clear()
        self._known[key] = words


def refused_field(detail: ErrorDetail, sent: UpstreamRequest) -> str | None:
    """Return the lesson in an upstream's 400, None when it holds none.

    Shapes:  only a top-level field that was really sent, and only where the words say
             that the field itself is not taken.
    """
    text = detail.message[:_LONGEST]
    is_about_value = _VALUE.search(f"{detail.code} {text}") is not None
    if not is_about_value and not _REFUSES.search(f"{detail.code} {text}"):
        return None
    name = _named(detail, text)
    if name is None or name in _PROTECTED or (is_about_value and name not in _TUNING):
        return None
    members = _members(sent)
    if members is None or name not in members.values:
        return None
    other = _RENAMES.get(name)
    if other is not None and other not in members.values and _is_renamed(name, text):
        return f"{name}={other}"
    return name


def plain(words: frozenset[str]) -> frozenset[str]:
    """Return the lessons that leave a field out."""
    return frozenset(word for word in words if "=" not in word)


def without(sent: UpstreamRequest, words: frozenset[str]) -> UpstreamRequest:
    """Apply lessons to what was built, where its dialect has not done so."""
    members = _members(sent)
    if members is None:
        return sent
    changes: dict[str, bytes] = {}
    losses = dict.fromkeys(
        word if ":" in word else f"{word}:drop" for word in sent.losses
    )
    for word in sorted(words):
        name, _, other = word.partition("=")
        value = members.values.get(name)
        if value is None:
            continue
        changes[name] = REMOVE
        if not other:
            losses[f"{name}:drop"] = None
        elif other not in members.values:
            changes[other] = bytes(value)
    body = patch(members, changes) if changes else sent.body
    return replace(sent, body=body, losses=tuple(losses))


def _named(detail: ErrorDetail, text: str) -> str | None:
    """Return the first name an error gives; one inside another field is no use."""
    if detail.param:
        return detail.param if detail.param.isidentifier() else None
    located = _LOCATED.search(detail.raw[:_LONGEST].decode("utf-8", "replace"))
    if located is not None:
        return located[1]
    found = _NAMED.search(text)
    if found is None:
        return None
    name = found["quoted"] or found["bare"] or found["supplied"]
    return name if name.isidentifier() else None


def _is_renamed(name: str, text: str) -> bool:
    """Tell a field that is called otherwise from one that is not taken at all."""
    return name == "max_completion_tokens" or _RENAMES[name] in text


def _members(sent: UpstreamRequest) -> Members | None:
    if not sent.content_type.startswith("application/json"):
        return None
    try:
        return read_members(sent.body)
    except (*UNREADABLE, msgspec.ValidationError):
        return None


def _key(candidate: Candidate) -> tuple[int, str]:
    route = candidate.route
    return route.provider.id, route.model.model_id


_NOTHING: Final[frozenset[str]] = frozenset()
