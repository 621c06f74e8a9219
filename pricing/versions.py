"""Keep every price that ever priced anything as an immutable row.

A version is found by the digest of what it says, so the same price set twice is one
row, and a bill can name the row it was computed with for ever.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from poolsite.clock import Clock, SystemClock
from pricing.cost import PriceSpec
from pricing.models import PriceVersion

_CLOCK = SystemClock()
COLUMNS = PriceSpec.__struct_fields__


@dataclass(frozen=True)
class Priced:
    """A price with the name it is known by.

    Shapes:  ``source`` is where it came from (custom, book, heuristic, ...); a blank
             ``provider_slug`` means any provider.
    """

    key: str
    source: str
    spec: PriceSpec
    provider_slug: str = ""

    @property
    def digest(self) -> str:
        """Name this price by its content."""
        text = msgspec.json.encode(
            [self.key, self.provider_slug, self.source, self.spec]
        )
        return hashlib.sha256(text).hexdigest()


def ensure(prices: Iterable[Priced], *, clock: Clock = _CLOCK) -> dict[Priced, int]:
    """Return the version id of each price, creating rows that are missing.

    Cost: one query to look, one insert for all that are new, one to read them back.
    """
    wanted = {price.digest: price for price in prices}
    known = _ids(wanted)
    missing = [price for digest, price in wanted.items() if digest not in known]
    if missing:
        now = clock.now()
        PriceVersion.objects.bulk_create(
            [
                PriceVersion(
                    key=price.key,
                    provider_slug=price.provider_slug,
                    source=price.source,
                    digest=price.digest,
                    valid_from=now,
                    **msgspec.structs.asdict(price.spec),
                )
                for price in missing
            ],
            batch_size=200,
            ignore_conflicts=True,  # another process may have made the same row
        )
        known = _ids(wanted)
    return {price: known[digest] for digest, price in wanted.items()}


def spec_of(row: PriceVersion) -> PriceSpec:
    """Return the price a version holds."""
    return PriceSpec(**{name: getattr(row, name) for name in COLUMNS})


def _ids(wanted: dict[str, Priced]) -> dict[str, int]:
    rows = PriceVersion.objects.filter(digest__in=list(wanted))
    return dict(rows.values_list("digest", "pk"))
