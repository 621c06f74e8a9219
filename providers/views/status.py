"""The pool's state in one pill, for the top bar of every screen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
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
    """Say how many providers can serve; a query or two unless the page read them."""
    url = url_or_empty("providers:provider-list")
    every = _shown.get()
    states: Mapping[str, int]
    if every is None:
        states = selectors.states_of_enabled()
        is_empty = not states and not selectors.has_providers()
    else:
        states = Counter(selectors.provider_state(row) for row in every if row.enabled)
        is_empty = not every
    if is_empty:
        return PoolStatus("untested", "No provider yet.", url)
    count = sum(states.values())
    usable = sum(number for state, number in states.items() if state in USABLE)
    text = f"{usable} of {count} enabled providers can serve."
    if count and usable == count:
        return PoolStatus("healthy", text, url)
    return PoolStatus("degraded" if usable else "down", text, url)
