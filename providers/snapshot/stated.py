"""What providers themselves say their models cost, out of the lists they gave.

A list is read again only when it was fetched anew: unpacking a hundred of them for
every price on a screen would cost more than all the rest of it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import msgspec

from poolsite.money import NANO_PER_USD
from pricing.cost import PriceSpec
from providers.models import ModelList

Prices = dict[str, PriceSpec]

_MOST_LISTS: Final = 500
_DEAREST_TOKENS: Final = 5_000 * NANO_PER_USD
"""Per million: a list above this is in another unit than it is read in."""

_DEAREST: Final = 10**18
_kept: dict[int, tuple[datetime | None, Prices]] = {}


def stated_prices() -> dict[int, Prices]:
    """Return the prices providers state, by provider and model; treat as read-only.

    Cost:  one small query; one more for lists that were fetched meanwhile.
    """
    stamps = dict(
        ModelList.objects.exclude(fetched_at=None)
        .order_by("provider_id")
        .values_list("provider_id", "fetched_at")[:_MOST_LISTS]
    )
    for provider_id in set(_kept) - set(stamps):
        _kept.pop(provider_id, None)
    changed = [
        key for key, at in stamps.items() if key not in _kept or _kept[key][0] != at
    ]
    if changed:
        rows = ModelList.objects.filter(provider_id__in=changed)
        for key, at, entries in rows.values_list(
            "provider_id", "fetched_at", "entries"
        ):
            _kept[key] = (at, prices_of(entries))
    return {key: _kept[key][1] for key in stamps if key in _kept and _kept[key][1]}


def prices_of(entries: Any) -> Prices:
    """Return the prices of a list's entries; what is none is left out."""
    found: Prices = {}
    for entry in entries if isinstance(entries, list) else ():
        if not isinstance(entry, dict) or not entry.get("price"):
            continue
        try:
            price = msgspec.convert(entry["price"], PriceSpec)
        except msgspec.ValidationError:
            continue
        model_id = entry.get("id")
        if isinstance(model_id, str) and _is_priced(price):
            found[model_id] = price
    return found


def forget() -> None:
    """Drop what is kept in this process."""
    _kept.clear()


def _is_priced(price: PriceSpec) -> bool:
    """Tell whether a list says enough to bill by, and nothing absurd."""
    columns = msgspec.structs.asdict(price)
    known = {name: value for name, value in columns.items() if value is not None}
    if not all(0 <= value <= _DEAREST for value in known.values()):
        return False
    if max(known.get("input", 0), known.get("output", 0)) > _DEAREST_TOKENS:
        return False
    is_whole = "input" in known and "output" in known
    return is_whole or any(known[name] for name in known if name.startswith("per_"))
