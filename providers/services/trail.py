"""Word the way one request took: in a line, and whether another model was a fallback.

::

    acme[rate_limit,123ms]->other | other[success:gpt-5-mini]

The decisions after an attempt are the ones an operator knows from other gateways: next
key, next quota pool, next backend, retry same, wait, fail fast, exhausted.
"""

from __future__ import annotations

from typing import Final

from usage.log import AttemptRow, RequestDetail

_SERVED: Final = "served"
_STOPS: Final = {"fail_fast": "fail fast", "exhausted": "exhausted"}
_AGAIN: Final = {"retry_same": "retry same", "wait": "wait"}
_MOST: Final = 20


def summary_line(found: RequestDetail) -> str:
    """Return the way of a request in one line, blank when nobody was asked."""
    steps = found.attempts
    told = [
        _step(each, steps[number] if number < len(steps) else None)
        for number, each in enumerate(steps[:_MOST], 1)
    ]
    if len(steps) > _MOST:
        told.append("…")
    return " | ".join(told)


def not_a_fallback(found: RequestDetail) -> str:
    """Say why another model than the asked one is no failure, blank where it is one.

    The first attempt served under another name, so nothing had gone wrong before: the
    name is an alias, or equals share the work by weight, or a rule chose beforehand.
    """
    asked, steps = found.request, found.attempts
    if not asked.is_renamed or len(steps) != 1 or steps[0].decision != _SERVED:
        return ""
    if found.trail.get("notes"):
        return "Not a fallback: a rule chose before anybody was asked."
    return (
        f"Not a fallback: “{asked.model}” is another name for what served it, or one of "
        "several that share its work by weight."
    )


def notes(found: RequestDetail) -> list[str]:
    """Return what else decided the way: rules, waiting, a last resort."""
    kept = found.trail.get("notes")
    return [str(each) for each in kept] if isinstance(kept, list) else []


def _step(each: AttemptRow, following: AttemptRow | None) -> str:
    if each.decision == _SERVED:
        return f"{each.provider}[success:{each.model}]"
    took = each.row.latency_ms
    time = "" if took is None else f",{took}ms"
    reason = each.error or each.outcome or "unknown"
    stop = _STOPS.get(each.decision, "")
    if following is None:
        return f"{each.provider}[{reason}{time}]" + (f"->{stop}" if stop else "")
    onward = _AGAIN.get(each.decision) or _whom(each, following)
    return f"{each.provider}[{reason}{time}]->{onward}"


def _whom(each: AttemptRow, following: AttemptRow) -> str:
    """Name the next one by what is different: the provider, the model or the key."""
    if following.provider != each.provider:
        return following.provider
    if following.model != each.model:
        return following.model
    return "next key"
