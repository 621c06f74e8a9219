"""Set and remove the prices people know better than the book."""

from __future__ import annotations

from typing import Final

from poolsite import audit, version
from poolsite.actor import Actor
from poolsite.change import one_change
from poolsite.clock import Clock, SystemClock
from poolsite.columns import ColumnError, check_columns
from pricing.cost import PriceSpec
from pricing.models import CustomPrice
from pricing.versions import Priced, ensure

_CLOCK = SystemClock()
_DEAREST: Final = 10**18
"""A billion dollars per million tokens: above this it is a typing error."""


class PriceError(Exception):
    """A price is refused; ``field`` names the input."""

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.field = field


@one_change
def set_price(
    actor: Actor,
    model: str,
    spec: PriceSpec,
    *,
    provider_slug: str = "",
    clock: Clock = _CLOCK,
) -> CustomPrice:
    """Set the price of a model (or pattern such as ``gpt-*``) from now on.

    What was billed before keeps its own version.

    Errors:  PriceError for a blank model, a negative price, or no price at all.
    """
    model = model.strip()
    _check(model, provider_slug, spec)
    priced = Priced(model, "custom", spec, provider_slug)
    version_id = ensure([priced], clock=clock)[priced]
    row = CustomPrice.objects.filter(
        model=model, provider_slug=provider_slug, deleted_at=None
    ).first()
    before = {"price_version": row.version_id} if row else None
    if row is None:
        row = CustomPrice(
            model=model, provider_slug=provider_slug, created_at=clock.now()
        )
    row.is_pattern = any(sign in model for sign in "*?[")
    row.version_id = version_id
    row.save()
    version.bump(row)
    after = {"price_version": version_id, **columns_of(spec)}
    audit.record(actor, "price.set", row, before=before, after=after)
    return row


@one_change
def remove_price(actor: Actor, row: CustomPrice, *, clock: Clock = _CLOCK) -> None:
    """Go back to the book's price from now on; doing it twice changes nothing."""
    row.refresh_from_db()
    if row.deleted_at is not None:
        return
    row.deleted_at = clock.now()
    row.save(update_fields=["deleted_at"])
    version.bump(row)
    audit.record(actor, "price.remove", row)


def columns_of(spec: PriceSpec) -> dict[str, int]:
    """Return the prices that are known, by column."""
    return {
        name: value
        for name in spec.__struct_fields__
        if (value := getattr(spec, name)) is not None
    }


def _check(model: str, provider_slug: str, spec: PriceSpec) -> None:
    if not model:
        raise PriceError("Name the model.", field="model")
    try:
        check_columns(
            CustomPrice(model=model, provider_slug=provider_slug),
            ["model", "provider_slug"],
        )
    except ColumnError as exc:
        raise PriceError(str(exc), field=exc.field) from exc
    for name, value in columns_of(spec).items():
        if not 0 <= value <= _DEAREST:
            raise PriceError("A price is neither negative nor absurd.", field=name)
    if (spec.input is None or spec.output is None) and spec.per_request is None:
        raise PriceError(
            "Give an input and an output price, or a price per request.", field="input"
        )
