"""Prompts and answers: whether they are kept, one call's, none any more."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import Http404, HttpRequest
from ninja import Router, Status

from providers.api.auth import actor_of, require_owner
from providers.api.schemas import Strict
from providers.services import bodies

router = Router(tags=["requests"])


class RecordingSet(Strict):
    """The pool's switch, and how much of each side is kept; null = as it is."""

    is_on: bool | None = None
    keep_kb: int | None = None


@router.get("/request-bodies")
def get_recording(request: HttpRequest) -> dict[str, Any]:
    """Tell whether bodies are kept of keys that ask for it."""
    return _told(bodies.recording())


@router.put("/request-bodies")
def set_recording(request: HttpRequest, data: RecordingSet) -> dict[str, Any]:
    """Switch the pool's part of it; owners only."""
    require_owner(request)
    return _told(
        bodies.set_recording(actor_of(request), is_on=data.is_on, keep_kb=data.keep_kb)
    )


@router.delete("/request-bodies")
def forget_all(request: HttpRequest) -> dict[str, int]:
    """Remove every prompt and answer; owners only."""
    require_owner(request)
    return {"forgotten": bodies.forget(actor_of(request))}


@router.post("/requests/{uuid:request_id}/bodies")
def look_at(request: HttpRequest, request_id: UUID) -> dict[str, Any]:
    """Return what is kept of one call; a POST, because every look is written down."""
    found = bodies.look_at(actor_of(request), request_id)
    if found is None:
        raise Http404
    return bodies.as_data(found)


@router.delete("/requests/{uuid:request_id}/bodies", response={204: None})
def forget_one(request: HttpRequest, request_id: UUID) -> Status[None]:
    """Remove what is kept of one call."""
    if not bodies.is_kept(request_id):
        raise Http404
    bodies.forget(actor_of(request), request_id)
    return Status(204, None)


def _told(found: bodies.Recording) -> dict[str, Any]:
    return {"is_on": found.is_on, "keep_kb": found.keep_kb}
