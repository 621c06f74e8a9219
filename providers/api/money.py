"""Usage."""

from __future__ import annotations

from typing import Any, Literal

from django.http import HttpRequest
from ninja import Router
from pydantic import AwareDatetime

from usage import selectors

router = Router(tags=["money"])


@router.get("/usage")
def usage(
    request: HttpRequest,
    since: AwareDatetime | None = None,
    until: AwareDatetime | None = None,
    by: Literal[
        "provider", "model", "key", "team", "user", "session", "agent", "status"
    ]
    | None = None,
) -> dict[str, Any]:
    """Sum requests, tokens and cost."""
    return selectors.usage_summary(since=since, until=until, by=by)
