"""The request log: search it, read one request, ask it again."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
from django.core.exceptions import BadRequest
from django.http import Http404, HttpRequest
from ninja import Router
from ninja.errors import HttpError
from pydantic import Field

from poolsite.clock import SystemClock
from providers.api.auth import actor_of
from providers.api.schemas import Strict
from providers.services import replay
from providers.services.errors import ServiceError
from providers.services.request_facts import facts, summary
from usage import log, log_find, log_search

router = Router(tags=["requests"])
_CLOCK = SystemClock()
_MOST = 500


class Replay(Strict):
    """A body in the dialect the request came in: prompts are not recorded."""

    body: dict[str, Any] = Field(max_length=200)


@router.get("/requests")
def find_requests(
    request: HttpRequest, q: str = "", cursor: str = "", limit: int = 50
) -> dict[str, Any]:
    """Search the log, newest first.

    ``q`` is what the console takes: ``status:429 key:ci cost>0.1``; every word must be
    right here. ``older`` and ``newer`` of the answer are the next cursors. ``is_cut``
    says that enough rows were looked at, back to ``looked_to``: ``older`` goes on.
    """
    search = log_search.parse(q)
    if search.problems:
        problem = search.problems[0]
        raise ServiceError(f"{problem.word}: {problem.why}.", field="q")
    if not 1 <= limit <= _MOST:
        raise ServiceError(f"limit is 1 to {_MOST}.", field="limit")
    try:
        found = log_find.find(search, cursor, now=_CLOCK.now(), size=limit)
    except BadRequest as exc:
        raise HttpError(400, str(exc)) from exc
    return {
        "requests": [
            summary(row) for row in log.in_words(found.rows, with_tries=False)
        ],
        "older": found.older or None,
        "newer": found.newer or None,
        "is_cut": found.is_cut,
        "looked_to": found.looked_to.isoformat() if found.looked_to else None,
    }


@router.get("/requests/{uuid:request_id}")
def get_request(request: HttpRequest, request_id: UUID) -> dict[str, Any]:
    """Return every recorded fact of one request, its attempts in order."""
    found = log.detail(request_id)
    if found is None:
        raise Http404
    return facts(found)


@router.post("/requests/{uuid:request_id}/replay")
def replay_request(
    request: HttpRequest, request_id: UUID, data: Replay
) -> dict[str, Any]:
    """Ask again with this body, as the same client key; it costs like every call."""
    if log.detail(request_id) is None:
        raise Http404
    body = msgspec.json.encode(data.body)
    answer = replay.replay(actor_of(request), request_id, body)
    return {
        "status": answer.status,
        "request_id": answer.request_id or None,
        "latency_ms": answer.latency_ms,
        "body": answer.body,
    }
