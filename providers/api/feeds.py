"""The public sources of models and prices."""

from __future__ import annotations

from typing import Any, Final, Literal

from django.http import Http404, HttpRequest
from ninja import Router, Status
from pydantic import Field

from pricing.feeds import selectors, services
from pricing.feeds.selectors import FeedState, Lines
from providers.api.auth import actor_of
from providers.api.schemas import Strict

router = Router(tags=["feeds"])
_MOST_KEYS: Final = 2_000


class FeedSet(Strict):
    """How a source is asked; what is absent stays, a blank url is the source's own."""

    url: str | None = Field(None, max_length=300)
    enabled: bool | None = None


class FeedDecide(Strict):
    """Keys of held prices, and what becomes of them."""

    decision: Literal["accept", "decline"]
    keys: list[str] = Field(min_length=1, max_length=_MOST_KEYS)


@router.get("/feeds")
def list_feeds(request: HttpRequest) -> dict[str, Any]:
    """List the sources, and what is shipped with the release."""
    return {
        "automatic": selectors.is_automatic(),
        "embedded": selectors.embedded_state(),
        "feeds": selectors.feed_table(),
    }


@router.post("/feeds/refresh", response={202: dict[str, Any]})
def refresh_feeds(request: HttpRequest) -> Status[dict[str, Any]]:
    """Ask every source that is switched on, in the background."""
    job = services.start_refresh(actor_of(request))
    return Status(202, {"job": job.pk})


@router.get("/feeds/{str:name}")
def get_feed(request: HttpRequest, name: str) -> dict[str, Any]:
    """Return one source."""
    return selectors.as_data(_state(name))


@router.patch("/feeds/{str:name}")
def set_feed(request: HttpRequest, name: str, data: FeedSet) -> dict[str, Any]:
    """Change where a source is asked, or switch it on or off."""
    _state(name)
    services.set_feed(actor_of(request), name, url=data.url, enabled=data.enabled)
    return selectors.as_data(_state(name))


@router.post("/feeds/{str:name}/refresh", response={202: dict[str, Any]})
def refresh_feed(request: HttpRequest, name: str) -> Status[dict[str, Any]]:
    """Ask one source in the background."""
    _state(name)
    job = services.start_refresh(actor_of(request), name)
    return Status(202, {"job": job.pk})


@router.delete("/feeds/{str:name}/listing", response={204: None})
def clear_feed(request: HttpRequest, name: str) -> Status[None]:
    """Forget what a source said; the embedded catalogue serves instead."""
    _state(name)
    services.clear_feed(actor_of(request), name)
    return Status(204, None)


@router.get("/feeds/{str:name}/lines")
def list_lines(
    request: HttpRequest,
    name: str,
    held: bool = False,
    q: str = "",
    page: int = 1,
) -> dict[str, Any]:
    """List what the last change was, or with ``held`` the prices that wait.

    Prices are nano-USD per million units, null is unknown.
    """
    _state(name)
    read = selectors.held_lines if held else selectors.changed_lines
    return _page(read(name, q[:200], page))


@router.post("/feeds/{str:name}/decisions")
def decide(request: HttpRequest, name: str, data: FeedDecide) -> dict[str, Any]:
    """Accept or decline held prices; one that waits no longer is passed over."""
    _state(name)
    count = services.decide(
        actor_of(request), name, data.keys, accept=data.decision == "accept"
    )
    return {"decided": count, "held": _state(name).held}


def _page(lines: Lines) -> dict[str, Any]:
    rows = [selectors.line_data(row.line) for row in lines.rows]
    return {
        "lines": rows,
        "matching": lines.matching,
        "page": lines.page,
        "pages": lines.pages,
    }


def _state(name: str) -> FeedState:
    state = selectors.feed_state(name)
    if state is None:
        raise Http404
    return state
