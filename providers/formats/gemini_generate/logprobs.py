"""Gemini's log probabilities as chat's, and back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from providers.formats.base import UNREADABLE

_DECODER: Final = msgspec.json.Decoder(dict[str, Any])
_ENTRIES: Final = msgspec.json.Decoder(list[dict[str, Any]])


def read_logprobs(raw: msgspec.Raw) -> msgspec.Raw | None:
    """Return chat's ``content`` entries, None where nothing is said.

    Source:  reference wire 2.11.
    """
    try:
        said = _DECODER.decode(raw)
    except UNREADABLE:
        return None
    tops = said.get("topCandidates")
    tops = tops if isinstance(tops, list) else []
    entries = []
    chosen = said.get("chosenCandidates")
    for place, each in enumerate(chosen if isinstance(chosen, list) else ()):
        if isinstance(each, dict):
            top = tops[place] if place < len(tops) else None
            others = top.get("candidates") if isinstance(top, dict) else None
            listed = [
                _entry(other)
                for other in (others if isinstance(others, list) else ())
                if isinstance(other, dict)
            ]
            entries.append({**_entry(each), "top_logprobs": listed})
    return msgspec.Raw(msgspec.json.encode(entries)) if entries else None


def logprobs_body(raws: Iterable[msgspec.Raw]) -> dict[str, Any] | None:
    """Word chat's entries as Gemini does."""
    chosen: list[dict[str, Any]] = []
    tops: list[dict[str, Any]] = []
    for raw in raws:
        try:
            entries = _ENTRIES.decode(raw)
        except UNREADABLE:
            continue
        for entry in entries:
            chosen.append(_candidate(entry))
            others = entry.get("top_logprobs") or []
            tops.append({"candidates": [_candidate(each) for each in others]})
    if not chosen:
        return None
    return {"chosenCandidates": chosen, "topCandidates": tops}


def _entry(candidate: dict[str, Any]) -> dict[str, Any]:
    token = candidate.get("token")
    token = token if isinstance(token, str) else ""
    return {
        "token": token,
        "logprob": candidate.get("logProbability", 0.0),
        "bytes": list(token.encode()),
    }


def _candidate(entry: dict[str, Any]) -> dict[str, Any]:
    return {
        "token": entry.get("token", ""),
        "logProbability": entry.get("logprob", 0.0),
    }
