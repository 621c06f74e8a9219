"""Tell what is recorded of a request: as data, and as a command that repeats it.

Neither holds a prompt or an answer: those are not part of the ledger.
"""

from __future__ import annotations

import json
import shlex
from typing import Any, Final
from urllib.parse import quote

from providers.formats.base import NEED_NAMES
from providers.services.trail import summary_line
from usage.ledger_rows import TOKENS
from usage.log import AttemptRow, RequestDetail, RequestRow

_PLACEHOLDER: Final = "(the prompt is not recorded)"
_MESSAGES: Final = [{"role": "user", "content": _PLACEHOLDER}]
_PATHS: Final = {
    "openai": "/v1/chat/completions",
    "responses": "/v1/responses",
    "anthropic": "/v1/messages",
    "google": "/v1beta/models/{model}:{verb}",
    "ollama": "/api/chat",
}


def summary(row: RequestRow) -> dict[str, Any]:
    """Return what a list tells of one request.

    Units:  milliseconds, nano-USD with corrections included; None = unknown.
    """
    own = row.row
    return {
        "id": str(row.id),
        "at": own.at.isoformat(),
        "status": own.status,
        "outcome": own.get_outcome_display().lower().replace(" ", "_"),
        "error": row.error or None,
        "client_key": row.key or None,
        "model_asked": row.model or None,
        "model_served": row.served or None,
        "provider": row.provider or None,
        "agent": row.agent or None,
        "session": row.session or None,
        "end_user": row.end_user or None,
        "dialect": row.dialect or None,
        "purpose": row.purpose or None,
        "stream": own.stream,
        "attempts": own.attempts,
        "ttft_ms": own.ttft_ms,
        "latency_ms": own.latency_ms,
        "tokens": {name: getattr(own, name) for name in TOKENS},
        "estimated": own.estimated,
        "unpriced": own.unpriced,
        "cost_nano_usd": row.cost_nano_usd,
    }


def facts(found: RequestDetail) -> dict[str, Any]:
    """Return everything that is recorded of a request, its attempts in order."""
    own = found.request.row
    return {
        **summary(found.request),
        "settled_cost_nano_usd": own.cost_nano_usd,
        "overhead_us": own.overhead_us,
        "input_estimate_tokens": own.input_estimate,
        "needs": [name for name, bit in NEED_NAMES.items() if own.needs & bit],
        "trail": found.trail,
        "way": summary_line(found) or None,
        "attempts": [_attempt(each) for each in found.attempts],
    }


def as_curl(found: RequestDetail, host: str) -> str:
    """Return a command that asks the same again, as far as it is known."""
    asked, own = found.request, found.request.row
    body: dict[str, Any] = {"model": asked.model or "…"}
    if asked.dialect == "google":
        body = {"contents": [{"role": "user", "parts": [{"text": _PLACEHOLDER}]}]}
    elif asked.dialect == "responses":
        body["input"] = _PLACEHOLDER
    else:
        body["messages"] = _MESSAGES
    if asked.dialect == "anthropic":
        body["max_tokens"] = 1024
    if asked.dialect != "google" and (own.stream or asked.dialect == "ollama"):
        body["stream"] = own.stream
    lines = [
        f"curl {shlex.quote(host + path_of(found))}",
        '  -H "Authorization: Bearer $POOL_KEY"',
        '  -H "Content-Type: application/json"',
    ]
    if asked.session:
        lines.append(f"  -H {shlex.quote(f'x-pool-session: {asked.session}')}")
    lines.append(f"  -d {shlex.quote(json.dumps(body, ensure_ascii=False))}")
    return " \\\n".join(lines)


def path_of(found: RequestDetail) -> str:
    """Return the path of the pool that takes the dialect a request came in."""
    asked = found.request
    is_stream = asked.row.stream
    return _PATHS.get(asked.dialect, _PATHS["openai"]).format(
        model=quote(asked.model or "…", safe="/"),
        verb="streamGenerateContent?alt=sse" if is_stream else "generateContent",
    )


def _attempt(each: AttemptRow) -> dict[str, Any]:
    own = each.row
    return {
        "number": own.number,
        "id": str(own.id),
        "provider": each.provider,
        "credential": each.credential or None,
        "model": each.model,
        "status": own.status,
        "outcome": each.outcome,
        "error": each.error or None,
        "reason": own.reason or None,
        "decision": each.decision or None,
        "losses": own.losses or None,
        "start_offset_ms": own.start_offset_ms,
        "ttft_ms": own.ttft_ms,
        "latency_ms": own.latency_ms,
        "tokens": {name: getattr(own, name) for name in TOKENS},
        "estimated": own.estimated,
        "service_tier": own.flags or None,
        "price_version": own.price_version_id,
        "price_source": each.price_source or None,
        "cost_nano_usd": each.cost_nano_usd,
        "settled_cost_nano_usd": own.cost_nano_usd,
        "provider_cost_nano_usd": own.vendor_cost_nano_usd,
        "reserved_nano_usd": own.reservation_nano_usd,
        "cost_lines": [
            {
                "kind": line.kind,
                "count": line.count,
                "price_nano_usd_per_million": line.price,
                "cost_nano_usd": line.cost_nano_usd,
            }
            for line in each.lines
        ],
        "adjustments": [
            {
                "delta_nano_usd": change.row.delta_nano_usd,
                "price_version": change.row.price_version_id,
                "is_undo": change.row.is_undo,
            }
            for change in each.adjustments
        ],
    }
