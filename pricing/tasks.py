"""The background work of prices: three-line shells over the services that do it."""

from __future__ import annotations

from typing import Any

import msgspec

from poolsite.job_handle import JobHandle
from poolsite.jobs import job_task, periodic_task
from pricing import edges
from pricing.feeds import refresh as feeds


@periodic_task("pricing.refresh_feeds", interval_s=6 * 3600)
def refresh_feeds() -> None:
    """Ask the public sources of models and prices."""
    feeds.refresh_automatic()


@job_task("pricing.refresh_feed", longest_s=90)
def refresh_feed(handle: JobHandle, feed: str = "") -> list[dict[str, Any]]:
    """Ask one of them now, or every one that is switched on."""
    found = feeds.refresh_now(feed, on_step=handle.step)
    return [msgspec.to_builtins(outcome) for outcome in found]


@periodic_task("pricing.pass_edges", interval_s=30)
def pass_edges() -> None:
    """Let prices begin and end on time."""
    edges.pass_edges()
