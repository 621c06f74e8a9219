"""Set and remove the prices people know better than the book."""

from __future__ import annotations

from django.db import transaction

from poolsite import audit, version
from poolsite.actor import Actor
from poolsite.clock import Clock, SystemClock
from pricing.cost import PriceSpec
from pricing.models import CustomPrice
from pricing.versions import Priced, ensure

_CLOCK = SystemClock()


class PriceError(Exception):
    """A price is refused; ``field`` names the input."""

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.field = field


@transaction.atomic
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
    if not model:
        raise PriceError("Name the model.", field="model")
    values = [getattr(spec, name) for name in spec.__struct_fields__]
    if any(value is not None and value < 0 for value in values):
        raise PriceError("A price is not negative.", field="input")
    if spec.input is None and spec.output is None and spec.per_request is None:
        raise PriceError("Give at least an input and an output price.", field="input")
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
    after = {
        name: value
        for name in spec.__struct_fields__
        if (value := getattr(spec, name)) is not None
    }
    audit.record(actor, "price.set", row, before=before, after=after)
    return row


@transaction.atomic
def remove_price(actor: Actor, row: CustomPrice, *, clock: Clock = _CLOCK) -> None:
    """Go back to the book's price from now on."""
    row.deleted_at = clock.now()
    row.save(update_fields=["deleted_at"])
    version.bump(row)
    audit.record(actor, "price.remove", row)
