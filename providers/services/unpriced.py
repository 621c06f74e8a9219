"""Be loud about traffic nobody knows the cost of, until it ends or gets a price."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from poolsite import alerts
from poolsite.clock import Clock, SystemClock
from poolsite.models import Alert
from providers.models import Provider
from providers.snapshot.prices import PriceTable
from usage import unpriced
from usage.unpriced import Unpriced, UnpricedModel

ALERT: Final = "unpriced_traffic"
PRICES_PAGE: Final = "/pricing/?source=unknown"
_KEY: Final = "pool"
_CLOCK: Final = SystemClock()


@dataclass(frozen=True)
class OpenModel:
    """A model with unpriced traffic at one provider, and no price to this moment."""

    traffic: UnpricedModel
    provider: str


def open_traffic(
    table: PriceTable | None = None,
    providers: Iterable[Provider] | None = None,
    *,
    clock: Clock = _CLOCK,
) -> list[OpenModel]:
    """Return the models of the last day's unpriced traffic that have no price yet.

    Shapes:  ``table`` and ``providers`` (all live ones) save reading them again.
    Cost:    one query where all is priced, else three, and what is not given.
    """
    found = unpriced.last_day(now=clock.now(), with_providers=True)
    if not found:
        return []
    if providers is None:
        providers = Provider.objects.filter(deleted_at=None)
    known = {row.slug: row for row in providers}
    table = table or PriceTable.load()
    still = []
    for each in found.models:
        for slug in each.providers or ("",):
            provider = known.get(slug)
            if provider is None or table.look(provider, each.model).price is None:
                still.append(OpenModel(each, slug))
    return still


def watch(*, clock: Clock = _CLOCK) -> bool:
    """Raise the alert while unpriced models are used, resolve it when none is.

    Cost:  as ``open_traffic``, and one change.
    """
    found = open_traffic(clock=clock)
    if not found:
        alerts.resolve(ALERT, _KEY, clock=clock)
        return False
    models = Unpriced(tuple({each.traffic: None for each in found}))
    calls = f"{models.calls:,} call{'' if models.calls == 1 else 's'}"
    alerts.raise_alert(
        ALERT,
        _KEY,
        title="Traffic without a known price",
        severity=Alert.Severity.WARNING,
        detail=f"{calls} in the last 24 hours: {models.names}. The cost is unknown.",
        link=PRICES_PAGE,
        clock=clock,
    )
    return True


def open_table(*, clock: Clock = _CLOCK) -> list[dict[str, Any]]:
    """Return ``open_traffic`` as the API and commands show it."""
    return [
        {
            "model": each.traffic.model,
            "provider": each.provider or None,
            "calls": each.traffic.calls,
            "last_at": each.traffic.last_at.isoformat(),
        }
        for each in open_traffic(clock=clock)
    ]
