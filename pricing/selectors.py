"""Read prices for screens, commands and the admin API."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from django.db.models import F, Q, QuerySet

from poolsite.clock import SystemClock
from pricing.cost import PriceSpec
from pricing.models import CustomPrice, PriceVersion
from pricing.units import ONE, PIECES, TOKENS, write_price
from pricing.versions import spec_of

DEFAULT_MODEL: Final = "@default"
"""The name of the default price: of every model nothing else has a price for."""

_NANO: Final = Decimal(1_000_000_000)
_CLOCK: Final = SystemClock()
_HISTORY: Final = 50
IN_FORCE: Final = "in_force"
WAITING: Final = "waiting"
ENDED: Final = "ended"
REPLACED: Final = "replaced"


def custom_price(
    model: str, provider_slug: str = "", *, at: datetime | None = None
) -> CustomPrice | None:
    """Return the price a person set that is in force, else the next one; one query.

    Shapes:  with ``at`` only one that is in force then.
    """
    rows = _live().filter(model=model, provider_slug=provider_slug)
    now = at or _CLOCK.now()
    found = _latest(list(rows.filter(_holds(now))))
    if found or at is not None:
        return found[0] if found else None
    return rows.order_by("valid_from", "pk").first()


def custom_prices() -> list[CustomPrice]:
    """Return every price people set, of any time, with its version; one query."""
    rows = _live().order_by(
        "provider_slug", "model", F("valid_from").asc(nulls_first=True)
    )
    return list(rows)


def prices_in_force(at: datetime | None = None) -> list[CustomPrice]:
    """Return the prices people set that hold at a moment, with versions; one query.

    Shapes:  one a model and provider: of several the one that began last.
    """
    return _latest(list(_live().filter(_holds(at or _CLOCK.now()))))


def edges_between(since: datetime | None, until: datetime) -> list[CustomPrice]:
    """Return prices that began or ended after one moment up to another; one query."""
    begins, ends = Q(valid_from__lte=until), Q(valid_to__lte=until)
    if since is not None:
        begins &= Q(valid_from__gt=since)
        ends &= Q(valid_to__gt=since)
    return list(CustomPrice.objects.filter(begins | ends, deleted_at=None))


def state_of(row: CustomPrice, in_force: set[int], at: datetime) -> str:
    """Say whether a price holds now, later, no more, or is outdone by a newer one."""
    if row.pk in in_force:
        return IN_FORCE
    if row.valid_to is not None and row.valid_to <= at:
        return ENDED
    if row.valid_from is not None and row.valid_from > at:
        return WAITING
    return REPLACED


def custom_price_table() -> list[dict[str, Any]]:
    """Return every price people set; one query.

    Units:   USD per million tokens as text, ``per_*`` in USD for one. The columns
             beyond the usual ones are there where they are set.
    """
    now = _CLOCK.now()
    rows = custom_prices()
    holding = {row.pk for row in _latest([r for r in rows if _is_within(r, now)])}
    return [
        {
            "id": row.pk,
            "model": row.model,
            "provider": row.provider_slug,
            **price_texts(spec_of(row.version)),
            "state": state_of(row, holding, now),
            "valid_from": row.valid_from and row.valid_from.isoformat(),
            "valid_to": row.valid_to and row.valid_to.isoformat(),
            "reason": row.reason,
        }
        for row in rows
    ]


_ALWAYS: Final = (
    "input",
    "output",
    "cache_read",
    "cache_write",
    "cache_write_1h",
    "per_request",
)


def price_texts(spec: PriceSpec | None) -> dict[str, Any]:
    """Return a price's columns as decimal text: the usual ones, and those it has.

    Units:   USD per million tokens, ``per_*`` in USD for one; None = not known.
    """
    spec = spec or PriceSpec()
    texts: dict[str, Any] = {}
    for name in (*_ALWAYS, *(each for each in TOKENS if each not in _ALWAYS)):
        value = getattr(spec, name)
        if name in _ALWAYS or value is not None:
            texts[name] = _text(name, value)
    for name in PIECES:
        value = getattr(spec, name)
        if value is not None:
            texts[name] = _text(name, value)
    if spec.long_threshold is not None:
        texts["long_threshold"] = spec.long_threshold
    return texts


def versions(ids: set[int]) -> dict[int, tuple[PriceVersion, PriceSpec]]:
    """Return price versions with their specs by id; one query."""
    rows = PriceVersion.objects.filter(pk__in=ids)
    return {row.pk: (row, spec_of(row)) for row in rows}


def history(keys: set[str], provider_slug: str) -> list[PriceVersion]:
    """Return the versions known under some names, newest first; one query."""
    rows = PriceVersion.objects.filter(
        key__in=keys - {""}, provider_slug__in=["", provider_slug]
    )
    return list(rows.order_by("-valid_from", "-pk")[:_HISTORY])


def usd(nano: int | None, *, units: int = 1) -> str | None:
    """Turn nano-USD for so many units into a plain decimal text; None stays None."""
    if nano is None:
        return None
    text = f"{Decimal(nano) / _NANO / units:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _text(name: str, value: int | None) -> str | None:
    if value is None:
        return None
    return write_price(value, per=ONE) if name in PIECES else write_price(value)


def _live() -> QuerySet[CustomPrice]:
    return CustomPrice.objects.filter(deleted_at=None).select_related("version")


def _holds(at: datetime) -> Q:
    began = Q(valid_from=None) | Q(valid_from__lte=at)
    return began & (Q(valid_to=None) | Q(valid_to__gt=at))


def _is_within(row: CustomPrice, at: datetime) -> bool:
    began = row.valid_from is None or row.valid_from <= at
    return began and (row.valid_to is None or row.valid_to > at)


def _latest(rows: list[CustomPrice]) -> list[CustomPrice]:
    """Keep of each model and provider the one that began last."""
    found: dict[tuple[str, str], CustomPrice] = {}
    for row in rows:
        key = (row.provider_slug, row.model)
        other = found.get(key)
        if other is None or _began(row) > _began(other):
            found[key] = row
    return [found[key] for key in sorted(found)]


def _began(row: CustomPrice) -> float:
    return row.valid_from.timestamp() if row.valid_from else float("-inf")
