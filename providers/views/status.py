"""The pool's state in one pill, for the top bar of every screen."""

from __future__ import annotations

from poolsite.ui.shell import PoolStatus, url_or_empty
from providers import selectors


def pool_status() -> PoolStatus:
    """Say how many providers can serve; one query."""
    url = url_or_empty("providers:provider-list")
    rows = [row for row in selectors.providers_with_counts() if row.enabled]
    states = [selectors.provider_state(row) for row in rows]
    usable = sum(state in ("healthy", "untested") for state in states)
    text = f"{usable} of {len(rows)} enabled providers can serve."
    if not rows:
        return PoolStatus("untested", "No provider yet.", url)
    if usable == len(rows):
        return PoolStatus("healthy", text, url)
    return PoolStatus("degraded" if usable else "down", text, url)
