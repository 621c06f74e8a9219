"""Keep every price that ever priced anything as an immutable row.

A version is found by the digest of what it says, so the same price set twice is one
row, and a bill can name the row it was computed with for ever. A listed price that
changes closes the row before it; one that comes back begins a row of its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final

import msgspec
from django.db import transaction
from django.db.models import Q

from poolsite.clock import Clock, SystemClock
from pricing.cost import PriceSpec
from pricing.models import PriceVersion

_CLOCK = SystemClock()
COLUMNS = PriceSpec.__struct_fields__

SUPERSEDED: Final = frozenset({"live", "book", "heuristic"})
"""Sources that say one price at a time: a new one ends the one before."""

_AT_ONCE: Final = 5_000
_WRITTEN_AT_ONCE: Final = 200
"""Rows of a transaction: others write too."""

_LONGEST_KEY: Final = 200
_LONGEST_ORIGIN: Final = 40
_LONGEST_URL: Final = 300
_LONGEST_REASON: Final = 200


@dataclass(frozen=True)
class Priced:
    """A price with the name it is known by.

    Shapes:  ``source`` is where it came from (custom, book, heuristic, ...); a blank
             ``provider_slug`` means any provider. ``origin`` names who states it, at
             ``origin_url``, of which day; ``reason`` says what else there is to know.
             These are kept with the row, and make no other price of it.
    """

    key: str
    source: str
    spec: PriceSpec
    provider_slug: str = ""
    origin: str = field(default="", compare=False)
    origin_url: str = field(default="", compare=False)
    stated_on: date | None = field(default=None, compare=False)
    reason: str = field(default="", compare=False)

    @property
    def digest(self) -> str:
        """Name this price by its content."""
        return _sha256([_key(self), self.provider_slug, self.source, self.spec])


def ensure(prices: Iterable[Priced], *, clock: Clock = _CLOCK) -> dict[Priced, int]:
    """Return the version id of each price, creating rows that are missing.

    Cost: one query to look; for what is new an insert (a transaction for 200 rows) and
        one to read back, and one more where it follows another price.
    """
    wanted = {price.digest: price for price in prices}
    ids: dict[Priced, int] = {}
    for part in _parts(wanted, _AT_ONCE):
        known = _Look(part)
        missing = {each: part[each] for each in part if each not in known.found}
        if missing:
            now = clock.now()
            for few in _parts(missing, _WRITTEN_AT_ONCE):
                _make(few, known, now)
            known = _Look(part)
        ids.update({price: known.found[each].pk for each, price in part.items()})
    return ids


def in_force(prices: Iterable[Priced]) -> dict[Priced, PriceVersion]:
    """Return the rows of prices that have one; one query.

    Shapes:  by the price; what was never used to bill has no row.
    """
    wanted = {price.digest: price for price in prices}
    return {wanted[digest]: row for digest, row in _Look(wanted).found.items()}


def spec_of(row: PriceVersion) -> PriceSpec:
    """Return the price a version holds."""
    return PriceSpec(**{name: getattr(row, name) for name in COLUMNS})


class _Look:
    """What is stored of some prices: by content, by name, and what was closed."""

    def __init__(self, wanted: dict[str, Priced]) -> None:
        keys = {_key(price) for price in wanted.values()}
        same_name = Q(key__in=keys, source__in=SUPERSEDED, valid_to=None)
        rows = PriceVersion.objects.filter(Q(digest__in=wanted) | same_name)
        self.found: dict[str, PriceVersion] = {}
        self.closed: dict[str, int] = {}
        self.open: dict[tuple[str, str, str], list[int]] = {}
        for row in rows.order_by("pk"):
            if row.valid_to is not None:
                self.closed[row.digest] = row.pk
                continue
            self.open.setdefault((row.key, row.provider_slug, row.source), []).append(
                row.pk
            )
            # A price that was superseded and came back has a digest of its own.
            digest = row.digest if row.digest in wanted else _content(row)
            if digest in wanted:
                self.found.setdefault(digest, row)


def _make(missing: dict[str, Priced], known: _Look, now: datetime) -> None:
    """Insert rows, and close those they follow."""
    rows = []
    followed: list[int] = []
    for digest, price in missing.items():
        before = known.closed.get(digest)
        new = digest if before is None else _sha256([digest, before, now.isoformat()])
        rows.append(_row(price, new, now))
        if price.source in SUPERSEDED:
            followed += known.open.get(_name(price), [])
    with transaction.atomic(savepoint=False):
        if followed:
            PriceVersion.objects.filter(pk__in=followed).update(valid_to=now)
        # Another process may have made the same row.
        PriceVersion.objects.bulk_create(rows, ignore_conflicts=True)


def _row(price: Priced, digest: str, now: datetime) -> PriceVersion:
    return PriceVersion(
        key=_key(price),
        provider_slug=price.provider_slug,
        source=price.source,
        digest=digest,
        origin=price.origin[:_LONGEST_ORIGIN],
        origin_url=price.origin_url[:_LONGEST_URL],
        stated_on=price.stated_on,
        reason=price.reason[:_LONGEST_REASON],
        valid_from=now,
        **msgspec.structs.asdict(price.spec),
    )


def _content(row: PriceVersion) -> str:
    return Priced(row.key, row.source, spec_of(row), row.provider_slug).digest


def _name(price: Priced) -> tuple[str, str, str]:
    return (_key(price), price.provider_slug, price.source)


def _key(price: Priced) -> str:
    return price.key[:_LONGEST_KEY]


def _sha256(value: object) -> str:
    return hashlib.sha256(msgspec.json.encode(value)).hexdigest()


def _parts(wanted: dict[str, Priced], size: int) -> Iterator[dict[str, Priced]]:
    """Cut into parts a database takes in one question."""
    items = list(wanted.items())
    for start in range(0, len(items), size):
        yield dict(items[start : start + size])
