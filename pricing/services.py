"""Set and remove the prices people know better than the book."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from poolsite import audit, version
from poolsite.actor import Actor
from poolsite.change import one_change
from poolsite.clock import Clock, SystemClock
from poolsite.columns import ColumnError, check_columns, is_plain
from pricing import selectors
from pricing.cost import PriceSpec
from pricing.models import CustomPrice
from pricing.selectors import DEFAULT_MODEL
from pricing.units import LABELS, PIECES, THRESHOLD
from pricing.versions import Priced, ensure

_CLOCK = SystemClock()
_DEAREST: Final = 10**18
"""A billion dollars per million tokens: above this it is a typing error."""
_LONGEST_PROMPT: Final = 1_000_000_000
_EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(2100, 1, 1, tzinfo=UTC)
"""What is beyond them cannot be shown in every time zone."""


class PriceError(Exception):
    """A price is refused; ``field`` names the input, ``code`` why, where it matters."""

    code = ""

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.field = field


@one_change
def set_price(  # noqa: PLR0913 - a price and the time it holds for
    actor: Actor,
    model: str,
    spec: PriceSpec,
    *,
    provider_slug: str = "",
    valid_from: datetime | None = None,
    valid_to: datetime | None = None,
    reason: str = "",
    clock: Clock = _CLOCK,
) -> CustomPrice:
    """Set the price of a model, of a pattern such as ``gpt-*``, or of the unknown.

    Shapes:  without ``valid_from`` it replaces what is in force now; with one, what is
             in force stays until then. ``@default`` is the price of models nothing
             else has a price for.
    What was billed before keeps its own version.

    Errors:  PriceError for a blank model, a negative price, no price at all, or a time
             that ends before it begins.
    """
    model = model.strip()
    _check_name(CustomPrice(model=model, provider_slug=provider_slug, reason=reason))
    now = clock.now()
    if valid_from is None:
        row = selectors.custom_price(model, provider_slug, at=now)
        # One that held since ever and has ended begins anew: there is one of these.
        row = row or _from(model, provider_slug, None)
    else:
        row = _from(model, provider_slug, valid_from)
    if row is None:
        row = CustomPrice(
            model=model,
            provider_slug=provider_slug,
            created_at=now,
            valid_from=valid_from,
        )
    values = {"valid_to": valid_to, "reason": reason}
    before, after = _put(row, spec, values, clock)
    audit.record(actor, "price.set", row, before=before, after=after)
    return row


@one_change
def change_price(  # noqa: PLR0913 - a price and the time it holds for
    actor: Actor,
    row: CustomPrice,
    spec: PriceSpec,
    *,
    valid_from: datetime | None = None,
    valid_to: datetime | None = None,
    reason: str = "",
    clock: Clock = _CLOCK,
) -> CustomPrice:
    """Change a price that was set: its columns, its time, its reason.

    Errors:  PriceError, as ``set_price``; also when another one holds from then on, or
             it was removed meanwhile.
    """
    row.refresh_from_db()
    if row.deleted_at is not None:
        raise PriceError("This price was removed meanwhile.")
    other = _from(row.model, row.provider_slug, valid_from)
    if other is not None and other.pk != row.pk:
        raise PriceError("Another price begins at this time.", field="valid_from")
    values = {"valid_from": valid_from, "valid_to": valid_to, "reason": reason}
    before, after = _put(row, spec, values, clock)
    audit.record(actor, "price.set", row, before=before, after=after)
    return row


@one_change
def remove_price(actor: Actor, row: CustomPrice, *, clock: Clock = _CLOCK) -> None:
    """Go back to the book's price from now on; doing it twice changes nothing."""
    row.refresh_from_db()
    if row.deleted_at is None:
        _remove(actor, row, clock)


@one_change
def remove_prices(
    actor: Actor, model: str, provider_slug: str = "", *, clock: Clock = _CLOCK
) -> int:
    """Remove every price set for a model, those of other times too; return how many."""
    if not is_plain(model) or not is_plain(provider_slug):
        return 0
    rows = CustomPrice.objects.filter(
        model=model, provider_slug=provider_slug, deleted_at=None
    )
    found = list(rows.order_by("pk"))
    for row in found:
        _remove(actor, row, clock)
    return len(found)


def columns_of(spec: PriceSpec) -> dict[str, int]:
    """Return the prices that are known, by column."""
    return {
        name: value
        for name in spec.__struct_fields__
        if (value := getattr(spec, name)) is not None
    }


def _put(
    row: CustomPrice, spec: PriceSpec, values: dict[str, Any], clock: Clock
) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """Give a row its price and its time; return it before and after."""
    before = None if row._state.adding else _seen(row)
    for name, value in values.items():
        setattr(row, name, value)
    _check(row, spec)
    priced = Priced(row.model, "custom", spec, row.provider_slug)
    row.version_id = ensure([priced], clock=clock)[priced]
    row.is_pattern = is_pattern(row.model)
    row.save()
    version.bump(row)
    return before, {**_seen(row), **columns_of(spec)}


def _remove(actor: Actor, row: CustomPrice, clock: Clock) -> None:
    row.deleted_at = clock.now()
    row.save(update_fields=["deleted_at"])
    version.bump(row)
    audit.record(actor, "price.remove", row)


def is_pattern(model: str) -> bool:
    """Tell whether a name stands for many models."""
    return any(sign in model for sign in "*?[")


def _from(
    model: str, provider_slug: str, valid_from: datetime | None
) -> CustomPrice | None:
    return CustomPrice.objects.filter(
        model=model,
        provider_slug=provider_slug,
        valid_from=valid_from,
        deleted_at=None,
    ).first()


def _seen(row: CustomPrice) -> dict[str, Any]:
    """Return what an audit event keeps of a row; a plain one is its version alone."""
    kept: dict[str, Any] = {"price_version": row.version_id}
    for name in ("valid_from", "valid_to"):
        moment = getattr(row, name)
        if moment is not None:
            kept[name] = moment.isoformat()
    if row.reason:
        kept["reason"] = row.reason
    return kept


def _check_name(row: CustomPrice) -> None:
    """Refuse names no column holds, before anything is looked up by them."""
    if not row.model:
        raise PriceError("Name the model.", field="model")
    if row.model == DEFAULT_MODEL and row.provider_slug:
        raise PriceError("The default is one for all providers.", field="provider")
    try:
        check_columns(row, ["model", "provider_slug", "reason"])
    except ColumnError as exc:
        raise PriceError(str(exc), field=exc.field) from exc


def _check(row: CustomPrice, spec: PriceSpec) -> None:
    _check_name(row)
    _check_times(row)
    columns = columns_of(spec)
    for name, value in columns.items():
        most = _LONGEST_PROMPT if name == THRESHOLD else _DEAREST
        if not 0 <= value <= most:
            raise PriceError(
                f"{LABELS[name]}: it is neither negative nor absurd.", field=name
            )
    if (spec.input is None or spec.output is None) and columns.keys().isdisjoint(
        PIECES
    ):
        raise PriceError(
            "Give an input and an output price, 0 where there is none such as for "
            "embeddings; or a price per piece.",
            field="input",
        )
    _check_long(spec, columns)


def _check_times(row: CustomPrice) -> None:
    for name in ("valid_from", "valid_to"):
        moment = getattr(row, name)
        if moment is not None and not _EARLIEST <= moment <= _LATEST:
            raise PriceError("Choose a day of this century.", field=name)
    if row.valid_from and row.valid_to and row.valid_to <= row.valid_from:
        raise PriceError("It ends before it begins.", field="valid_to")


def _check_long(spec: PriceSpec, columns: dict[str, int]) -> None:
    """Refuse long-context prices without a threshold, and one without prices."""
    has_prices = any(name.startswith("long_") and name != THRESHOLD for name in columns)
    if has_prices and spec.long_threshold is None:
        raise PriceError("Say from how many tokens on.", field=THRESHOLD)
    if spec.long_threshold is not None and not has_prices:
        raise PriceError("Give a price above it.", field="long_input")
