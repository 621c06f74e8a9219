"""Let the data plane see prices that begin or end by the time alone."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from poolsite import version
from poolsite.change import one_change
from poolsite.clock import Clock, SystemClock
from poolsite.models import Setting
from pricing import selectors

_CLOCK: Final = SystemClock()
_SEEN: Final = "pricing.edges_seen"


@one_change
def pass_edges(*, clock: Clock = _CLOCK) -> int:
    """Make a change of each edge that passed, once; return how many.

    Workers hear of changes, not of the time. Nobody did anything here: the audit event
    was written when the price was set.

    Cost:  two queries where nothing began or ended.
    """
    now = clock.now()
    seen = Setting.objects.filter(key=_SEEN).first()
    since = datetime.fromisoformat(str(seen.value)) if seen else None
    rows = selectors.edges_between(since, now)
    if rows:
        version.bump(*rows)
        Setting.objects.update_or_create(key=_SEEN, defaults={"value": now.isoformat()})
    return len(rows)
