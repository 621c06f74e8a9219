"""Prices and usage."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Router, Status
from ninja.errors import HttpError
from pydantic import AwareDatetime

from poolsite.money import per_million_nano_from_usd
from pricing import selectors as price_selectors
from pricing import services as price_services
from pricing.cost import PriceSpec
from providers.api import schemas
from providers.api.auth import actor_of
from providers.models import Provider
from usage import selectors

router = Router(tags=["money"])


@router.get("/prices")
def list_prices(request: HttpRequest) -> list[dict[str, Any]]:
    """List the prices people set, in USD per million tokens."""
    return price_selectors.custom_price_table()


@router.put("/prices/{path:model}")
def set_price(
    request: HttpRequest, model: str, data: schemas.PriceSet
) -> list[dict[str, Any]]:
    """Set the price of a model or pattern; returns all prices people set."""
    if data.provider:
        get_object_or_404(Provider, slug=data.provider, deleted_at=None)
    values = data.model_dump(exclude={"provider", "per_request"})
    prices = {name: _nano(value) for name, value in values.items()}
    # The column is per million units like every other.
    prices["per_request"] = _nano(data.per_request, times=1_000_000)
    price_services.set_price(
        actor_of(request), model, PriceSpec(**prices), provider_slug=data.provider
    )
    return price_selectors.custom_price_table()


@router.delete("/prices/{path:model}", response={204: None})
def remove_price(request: HttpRequest, model: str, provider: str = "") -> Status[None]:
    """Go back to the book's price."""
    row = price_selectors.custom_price(model, provider)
    if row is None:
        raise HttpError(404, "No price was set for this model.")
    price_services.remove_price(actor_of(request), row)
    return Status(204, None)


@router.get("/usage")
def usage(
    request: HttpRequest,
    since: AwareDatetime | None = None,
    until: AwareDatetime | None = None,
    by: Literal[
        "provider", "model", "key", "team", "user", "session", "agent", "status"
    ]
    | None = None,
) -> dict[str, Any]:
    """Sum requests, tokens and cost."""
    return selectors.usage_summary(since=since, until=until, by=by)


def _nano(usd: Decimal | None, *, times: int = 1) -> int | None:
    if usd is None:
        return None
    return per_million_nano_from_usd(usd * times, exact=True)
