"""Prices: in force, set by people, guessed, missing."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

from django.http import Http404, HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Query, Router, Status
from ninja.errors import HttpError
from pydantic import AwareDatetime, Field

from poolsite.columns import is_plain
from pricing import selectors, services, units
from pricing.cost import PriceSpec
from pricing.models import CustomPrice
from pricing.services import PriceError
from pricing.units import PriceTextError
from providers.api.auth import actor_of
from providers.api.schemas import Strict
from providers.models import Provider
from providers.services import price_list, prices, unpriced
from providers.services.price_list import PriceFilters
from providers.services.prices import NewPrice

router = Router(tags=["prices"])

_Usd = Annotated[Decimal, Field(ge=0, le=1_000_000_000)] | None
_Source = Literal[
    "", "custom", "live", "book", "guessed", "default", "local", "unknown"
]


class PriceSet(Strict):
    """A price: USD by the ``unit`` for tokens, USD for one of what is not tokens.

    Shapes:  ``confirm`` says that a price far off what its source says is meant.
    """

    provider: str = ""
    unit: Literal["million", "thousand", "one"] = "million"
    input: _Usd = None
    output: _Usd = None
    cache_read: _Usd = None
    cache_write: _Usd = None
    cache_write_1h: _Usd = None
    reasoning: _Usd = None
    audio_in: _Usd = None
    audio_out: _Usd = None
    image_in: _Usd = None
    image_out: _Usd = None
    per_request: _Usd = None
    per_image: _Usd = None
    per_second: _Usd = None
    per_video_second: _Usd = None
    per_character: _Usd = None
    per_tool_call: _Usd = None
    long_threshold: int | None = Field(None, ge=1, le=1_000_000_000)
    long_input: _Usd = None
    long_output: _Usd = None
    long_cache_read: _Usd = None
    long_cache_write: _Usd = None
    long_cache_write_1h: _Usd = None
    flex_input: _Usd = None
    flex_output: _Usd = None
    flex_cache_read: _Usd = None
    priority_input: _Usd = None
    priority_output: _Usd = None
    priority_cache_read: _Usd = None
    batch_input: _Usd = None
    batch_output: _Usd = None
    batch_cache_read: _Usd = None
    valid_from: AwareDatetime | None = None
    valid_to: AwareDatetime | None = None
    reason: str = Field("", max_length=200)
    confirm: bool = False

    def spec(self) -> PriceSpec:
        """Return the price as it is kept.

        Errors:  PriceError, which names the column.
        """
        columns: dict[str, int | None] = {"long_threshold": self.long_threshold}
        for name in (*units.TOKENS, *units.PIECES):
            value: Decimal | None = getattr(self, name)
            if value is None:
                continue
            per = units.ONE if name in units.PIECES else self.unit
            try:
                columns[name] = units.nano_of(value, per=per)
            except PriceTextError as exc:
                raise PriceError(str(exc), field=name) from exc
        return PriceSpec(**columns)


@router.get("/prices")
def list_prices(request: HttpRequest) -> list[dict[str, Any]]:
    """List the prices people set, in USD per million tokens."""
    return selectors.custom_price_table()


@router.put("/prices/{path:model}")
def set_price(request: HttpRequest, model: str, data: PriceSet) -> list[dict[str, Any]]:
    """Set the price of a model, a pattern, or of the unknown (``@default``).

    A price a hundred times off what its source says is refused with the code
    ``price_unconfirmed``; ``confirm`` lets it pass. Returns all prices people set.
    """
    if data.provider:
        if not is_plain(data.provider):
            raise Http404
        get_object_or_404(Provider, slug=data.provider, deleted_at=None)
    new = NewPrice(
        model=model,
        spec=data.spec(),
        provider=data.provider,
        valid_from=data.valid_from,
        valid_to=data.valid_to,
        reason=data.reason,
    )
    prices.set_price(actor_of(request), new, confirmed=data.confirm)
    return selectors.custom_price_table()


@router.delete("/prices/{path:model}", response={204: None})
def remove_price(request: HttpRequest, model: str, provider: str = "") -> Status[None]:
    """Go back to what the book says, now and later."""
    if not services.remove_prices(actor_of(request), model, provider):
        raise HttpError(404, "No price was set for this model.")
    return Status(204, None)


@router.put("/price-overrides/{int:price_id}")
def change_price(
    request: HttpRequest, price_id: int, data: PriceSet
) -> list[dict[str, Any]]:
    """Change one price that was set, its time included; model and provider stay.

    Asks again as setting one does. Returns all prices people set.
    """
    row = _live(price_id)
    new = NewPrice(
        model=row.model,
        spec=data.spec(),
        provider=row.provider_slug,
        valid_from=data.valid_from,
        valid_to=data.valid_to,
        reason=data.reason,
    )
    actor = actor_of(request)
    prices.change_price(actor, row, new, confirmed=data.confirm)
    return selectors.custom_price_table()


@router.delete("/price-overrides/{int:price_id}", response={204: None})
def remove_override(request: HttpRequest, price_id: int) -> Status[None]:
    """Remove one price that was set; those of other times stay."""
    services.remove_price(actor_of(request), _live(price_id))
    return Status(204, None)


@router.get("/effective-prices")
def list_effective(
    request: HttpRequest,
    source: _Source = "",
    provider: str = "",
    q: str = "",
    page: Annotated[int, Query(ge=1, le=1_000_000)] = 1,
    size: Annotated[int, Query(ge=1, le=500)] = 100,
) -> dict[str, Any]:
    """List what each model costs at each provider, and who says so."""
    filters = PriceFilters(source, provider, q)
    found = price_list.page_of_prices(filters, page, size=size)
    return {
        "total": found.total,
        "page": found.number,
        "pages": found.last,
        "prices": price_list.price_table(found.rows),
    }


@router.get("/effective-prices/{slug}/{path:model}")
def get_effective(request: HttpRequest, slug: str, model: str) -> dict[str, Any]:
    """Return one model's price, what it means, and where it is from."""
    row = price_list.price_of(slug, model)
    if row is None:
        raise Http404
    return price_list.price_facts(row)


@router.get("/unpriced-traffic")
def list_unpriced(request: HttpRequest) -> list[dict[str, Any]]:
    """List models used in the last day that have no price to this moment."""
    return unpriced.open_table()


def _live(price_id: int) -> CustomPrice:
    rows = CustomPrice.objects.select_related("version")
    row: CustomPrice = get_object_or_404(rows, pk=price_id, deleted_at=None)
    return row
