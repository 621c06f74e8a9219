"""Read prices for screens, commands and the admin API."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from pricing.cost import PriceSpec
from pricing.models import CustomPrice, PriceVersion
from pricing.versions import spec_of

_NANO = Decimal(1_000_000_000)


def custom_price(model: str, provider_slug: str = "") -> CustomPrice | None:
    """Return the price a person set, if any; one query."""
    return (
        CustomPrice.objects.filter(
            model=model, provider_slug=provider_slug, deleted_at=None
        )
        .select_related("version")
        .first()
    )


def custom_prices() -> list[CustomPrice]:
    """Return every price people set, with its version; one query."""
    rows = CustomPrice.objects.filter(deleted_at=None).select_related("version")
    return list(rows.order_by("provider_slug", "model"))


def custom_price_table() -> list[dict[str, Any]]:
    """Return every price people set; one query.

    Units:   USD per million tokens as text, ``per_request`` in USD a request.
    """
    return [
        {
            "model": row.model,
            "provider": row.provider_slug,
            "input": usd(row.version.input),
            "output": usd(row.version.output),
            "cache_read": usd(row.version.cache_read),
            "cache_write": usd(row.version.cache_write),
            "cache_write_1h": usd(row.version.cache_write_1h),
            "per_request": usd(row.version.per_request, units=1_000_000),
        }
        for row in custom_prices()
    ]


def versions(ids: set[int]) -> dict[int, tuple[PriceVersion, PriceSpec]]:
    """Return price versions with their specs by id; one query."""
    rows = PriceVersion.objects.filter(pk__in=ids)
    return {row.pk: (row, spec_of(row)) for row in rows}


def usd(nano: int | None, *, units: int = 1) -> str | None:
    """Turn nano-USD for so many units into a plain decimal text; None stays None."""
    if nano is None:
        return None
    text = f"{Decimal(nano) / _NANO / units:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
