"""The pool's state in one pill, for the top bar of every screen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

from poolsite.ui.shell import PoolStatus, url_or_empty
from providers import selectors
from providers.models import Provider

_shown: ContextVar[Sequence[Provider] | None] = ContextVar("shown", default=None)
USABLE = frozenset({"healthy", "untested"})


@contextmanager
def known(rows: Sequence[Provider]) -> Iterator[None]:
    """Let the pill use what the page has read already, while it is rendered."""
    token = _shown.set(rows)
    try:
        yield
    finally:
        _shown.reset(token)


def pool_status() -> PoolStatus:
    """Say how many providers can serve; one query unless the page read them."""
    url = url_or_empty("providers:provider-list")
    every = _shown.get()
    rows = selectors.providers_with_states() if every is None else every
    states = [selectors.provider_state(row) for row in rows if row.enabled]
    usable = sum(state in USABLE for state in states)
    text = f"{usable} of {len(states)} enabled providers can serve."
    if not rows:
        return PoolStatus("untested", "No provider yet.", url)
    if states and usable == len(states):
        return PoolStatus("healthy", text, url)
    return PoolStatus("degraded" if usable else "down", text, url)
