"""Find out what a candidate speaks, and where: the named probes of a verification.

Nothing is stored. Each probe is one request of a few tokens; what came of each is kept
so that a person can see why something is recommended.

Source: reference seeds 5.5.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from providers.discovery.asking import Asker, Heard
from providers.discovery.calling import WORD, says_model_missing
from providers.discovery.check import model_ids
from providers.discovery.roots import bases_of, normalise, root_of
from providers.routing.format_plan import best_first, locked_format, preferred_formats

PROBES: Final = ("models", "chat", "messages", "responses_v1", "responses_plain")
_FORMATS: Final = {
    "chat": "openai",
    "messages": "anthropic",
    "responses_v1": "responses",
    "responses_plain": "responses",
}
_PATHS: Final = {
    "models": "/models",
    "chat": "/chat/completions",
    "messages": "/messages",
    "responses_v1": "/responses",
    "responses_plain": "/responses",
}
_THERE: Final = frozenset({400, 401, 403, 405})
_GONE: Final = frozenset({404, 410})
_MAX_TOKENS: Final = 8
_MODELS_TRIED: Final = 4
_UNNAMED: Final = "gpt-4o-mini"
_ANTHROPIC: Final = {"anthropic-version": "2023-06-01"}


@dataclass(frozen=True)
class Probe:
    """What one probe found.

    Shapes:  ``status_code`` None = nothing came back; ``error`` at most 180 characters.
    """

    url: str
    status_code: int | None
    reachable: bool
    error: str = ""
    base_url: str = ""

    @property
    def worked(self) -> bool:
        """Tell whether it was not only there but answered with success."""
        return (
            self.reachable and self.status_code is not None and self.status_code < 300
        )


@dataclass
class Verification:
    """What a verification recommends, and every probe behind it.

    Shapes:  ``resolution_source`` is the word of a format plan; ``note`` says what of
             the entered address was cut off. ``refused`` = the key was not accepted
             by any probe.
    """

    base_url: str
    root: str
    model: str = ""
    detected_format: str = ""
    recommended_api_format: str = ""
    candidate_formats: list[str] = field(default_factory=list)
    resolution_source: str = "family_default"
    recommended_base_url: str = ""
    responses_only: bool = False
    chat_error: str = ""
    responses_status: int | None = None
    probes: dict[str, Probe] = field(default_factory=dict)
    models: list[str] = field(default_factory=list)
    note: str = ""
    mode: str = "auto"
    auth_scheme: str = ""

    @property
    def ok(self) -> bool:
        """Tell whether anything that can be spoken to was found."""
        return bool(self.candidate_formats)

    @property
    def was_heard(self) -> bool:
        """Tell whether anybody answered at all."""
        return any(each.status_code is not None for each in self.probes.values())

    @property
    def refused(self) -> bool:
        """Tell whether everything that is there refuses the key."""
        heard = [each for each in self.probes.values() if each.reachable]
        refused = [each for each in heard if each.status_code in (401, 403)]
        return bool(refused) and not any(each.worked for each in heard)


def verify(asker: Asker, *, model: str = "", is_custom: bool = True) -> Verification:
    """Ask a candidate in every common format and recommend one.

    Shapes:  ``model`` blank = the best of those it lists.
    Fails:   never raises for what the provider does.
    Cost:    some ten requests of at most 8 tokens; the asker's time in all.
    """
    entered = asker.candidate.base_url
    cut = normalise(entered)
    found = Verification(base_url=entered, root=root_of(entered), note=cut.note)
    locked = locked_format(entered, is_custom=is_custom)
    bases = bases_of(entered)
    found.probes["models"] = _models_probe(asker, bases, found)
    ranked = [model] if model else best_first(found.models)[:_MODELS_TRIED]
    found.model = ranked[0] if ranked else _UNNAMED
    for name in PROBES[1:]:
        found.probes[name] = _probe(asker, name, bases, ranked or [_UNNAMED], found)
    _conclude(found, locked, asker)
    return found


def _models_probe(asker: Asker, bases: tuple[str, ...], found: Verification) -> Probe:
    probe = Probe(bases[0] + _PATHS["models"], None, False)
    for base in bases:
        heard, _ = _ask(asker, "models", base + _PATHS["models"])
        probe = _judged(asker, heard, base, base + _PATHS["models"])
        if probe.worked and heard.answer is not None:
            try:
                found.models = list(model_ids(heard.answer.json()))
            except ValueError:
                probe = Probe(
                    probe.url, probe.status_code, False, "This is no list of models."
                )
        if probe.reachable:
            break
    return probe


def _probe(
    asker: Asker,
    name: str,
    bases: tuple[str, ...],
    models: list[str],
    found: Verification,
) -> Probe:
    """Ask one format at each address it may have, with the first model that exists."""
    probe: Probe | None = None
    for base in _bases_for(name, bases, found.root):
        url = base + _PATHS[name]
        for model in models:
            heard, way = _ask(asker, name, url, _body(name, model))
            probe = _judged(asker, heard, base, url, _FORMATS[name])
            said = f"{probe.error} {asker.code(heard, _FORMATS[name])}"
            if not says_model_missing(probe.status_code, said):
                break
            # The endpoint is there; it only does not have this model.
            probe = Probe(url, probe.status_code, True, probe.error, base)
        if probe is not None and (probe.reachable or probe.status_code is None):
            if probe.worked:
                found.model = model
                found.auth_scheme = way if name == "messages" else found.auth_scheme
            break
    return probe or Probe(found.root, None, False, "Not asked.")


def _bases_for(name: str, bases: tuple[str, ...], root: str) -> tuple[str, ...]:
    if name == "responses_v1":
        return tuple(base for base in bases if base != root)
    return (root,) if name == "responses_plain" else bases


def _ask(
    asker: Asker, name: str, url: str, body: bytes | None = None
) -> tuple[Heard, str]:
    """Ask with the key in each header it may be expected in; return what was heard.

    Shapes:  the second value is the ``auth_scheme`` that is not the format's own way.
    """
    ways: list[tuple[str, dict[str, str]]] = [("", asker.credential())]
    if not asker.candidate.auth_scheme and asker.has_key:
        ways = [("", asker.credential(wire_id=_FORMATS.get(name, "openai")))]
        if name == "models":
            ways.append(("x-api-key", asker.credential("x-api-key")))
        elif name == "messages":
            # Compatible servers of this dialect often take a bearer only.
            ways.append(("bearer", asker.credential("bearer")))
    first: Heard | None = None
    for scheme, proof in ways:
        heard = asker.ask(
            url,
            method="GET" if body is None else "POST",
            body=body,
            headers=_ANTHROPIC if name in ("models", "messages") else None,
            credential=proof,
        )
        first = first or heard
        if heard.status not in (401, 403):
            return heard, scheme
    return first or heard, ""


def _body(name: str, model: str) -> bytes:
    body: dict[str, Any] = {"model": model}
    if name.startswith("responses"):
        body |= {"input": WORD, "max_output_tokens": _MAX_TOKENS, "store": False}
    else:
        said = [{"role": "user", "content": WORD}]
        body |= {"messages": said, "max_tokens": _MAX_TOKENS}
    return msgspec.json.encode(body)


def _judged(
    asker: Asker, heard: Heard, base: str, url: str, wire_id: str = "openai"
) -> Probe:
    status = heard.status
    if heard.answer is None or status is None:
        return Probe(url, None, False, heard.words, base)
    if heard.is_html:
        return Probe(url, status, False, "A web page, not an endpoint.", base)
    is_there = 200 <= status < 300 or status in _THERE
    error = "" if status < 300 else asker.quoted(heard, wire_id) or f"HTTP {status}"
    return Probe(url, status, is_there, error, base)


def _conclude(found: Verification, locked: str, asker: Asker) -> None:
    there: dict[str, Probe] = {}
    for name, wire_id in _FORMATS.items():
        probe = found.probes[name]
        best = there.get(wire_id)
        if probe.reachable and (best is None or (probe.worked and not best.worked)):
            there[wire_id] = probe
    found.chat_error = found.probes["chat"].error
    plain, v1 = found.probes["responses_plain"], found.probes["responses_v1"]
    found.responses_status = (v1 if v1.reachable else plain).status_code
    found.responses_only = set(there) == {"responses"}
    found.candidate_formats = ranked_formats(found.model, there)
    if locked and locked in there:
        found.candidate_formats = [locked]
    if not found.candidate_formats:
        found.recommended_api_format = asker.candidate.api_format
        found.recommended_base_url = normalise(found.base_url).base_url
        return
    chosen = found.candidate_formats[0]
    found.detected_format = found.recommended_api_format = chosen
    found.recommended_base_url = there[chosen].base_url
    found.resolution_source = "endpoint_lock" if locked == chosen else "detected"
    several = len(found.candidate_formats) > 1
    found.mode = "auto" if several else "pinned"
    if chosen != "anthropic":
        found.auth_scheme = ""


def ranked_formats(model: str, there: dict[str, Probe]) -> list[str]:
    """Order the formats that are there: what worked first, then as the family likes.

    A gateway may refuse a path it does not have like one it has; what answered with
    success is beyond that doubt.
    """
    order = preferred_formats(model)
    return sorted(there, key=lambda name: (not there[name].worked, order.index(name)))
