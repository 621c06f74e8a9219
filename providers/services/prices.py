"""Set a price for models of this pool, and ask again where it looks like a slip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Final

from poolsite.actor import Actor
from poolsite.clock import Clock, SystemClock
from poolsite.columns import is_plain
from pricing import guard, selectors, services
from pricing.cost import PriceSpec
from pricing.guard import Reference, Slip
from pricing.matcher import UNKNOWN
from pricing.models import CustomPrice
from pricing.selectors import DEFAULT_MODEL
from pricing.services import PriceError
from pricing.versions import spec_of
from providers.models import Provider, ProviderModel
from providers.selectors import live_models
from providers.snapshot.prices import PriceTable

_CLOCK: Final = SystemClock()
_MOST_COMPARED: Final = 200
SAYS: Final = {
    "custom_provider": "the price set before",
    "custom_model": "the price set before",
    "custom_pattern": "the price set for its pattern",
    "book": "the price book",
    "live": "the provider's own list",
    "heuristic": "the guess by its family",
}
"""Who states a price a new one is compared with, in words before "says"."""


class PriceDoubtError(PriceError):
    """A price looks like a slip of the unit; ``confirmed`` lets it pass."""

    code = "price_unconfirmed"

    def __init__(self, slips: Sequence[Slip]) -> None:
        words = " ".join(slip.words for slip in slips)
        super().__init__(f"Is this right? {words}", field=slips[0].column)
        self.slips = tuple(slips)


@dataclass(frozen=True)
class NewPrice:
    """A price a person wants to set, and for when.

    Shapes:  ``model`` may be a pattern or ``@default``; a blank ``provider`` is any.
    """

    model: str
    spec: PriceSpec
    provider: str = ""
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    reason: str = ""


def set_price(
    actor: Actor, new: NewPrice, *, confirmed: bool = False, clock: Clock = _CLOCK
) -> CustomPrice:
    """Set a price, unless it looks like a slip and nobody said it is none.

    Errors:  PriceDoubtError for a price a hundred times off what its source says;
             PriceError, as ``pricing.services.set_price``.
    Cost:    beside the change two queries, one pass over the pool's models.
    """
    if not confirmed:
        check(new)
    return services.set_price(
        actor,
        new.model,
        new.spec,
        provider_slug=new.provider,
        valid_from=new.valid_from,
        valid_to=new.valid_to,
        reason=new.reason,
        clock=clock,
    )


def change_price(
    actor: Actor,
    row: CustomPrice,
    new: NewPrice,
    *,
    confirmed: bool = False,
    clock: Clock = _CLOCK,
) -> CustomPrice:
    """Change a price that was set; its model and provider stay.

    Errors:  as ``set_price``.
    """
    if not confirmed:
        check(new)
    return services.change_price(
        actor,
        row,
        new.spec,
        valid_from=new.valid_from,
        valid_to=new.valid_to,
        reason=new.reason,
        clock=clock,
    )


def check(new: NewPrice) -> None:
    """Compare a price with what its source says of the models it is for.

    Errors:  PriceDoubtError.
    """
    found = guard.slips(new.spec, references(new.model.strip(), new.provider))
    if found:
        raise PriceDoubtError(found)


def references(model: str, provider: str = "") -> list[Reference]:
    """Return what is said of the price of a model, or of each a pattern covers.

    Shapes:  the price in force, and where a person set that one, also what the sources
             say: a slip that was saved once is no measure for the next.
    """
    if not is_plain(model) or not is_plain(provider):
        return []
    if model == DEFAULT_MODEL:
        row = selectors.custom_price(model)
        return [] if row is None else [_reference_of(row)]
    tables = (PriceTable.load(), PriceTable([]))
    found: dict[tuple[PriceSpec, str], Reference] = {}
    for each in matching(model, provider)[:_MOST_COMPARED]:
        for table in tables:
            match = table.look(each.provider, each.model_id)
            words = SAYS.get(match.source)
            if match.price is not None and words:
                found[match.price, words] = Reference(match.price, words)
    if not found:
        # Nobody serves it yet: what is known of the name counts all the same.
        row = selectors.custom_price(model, provider)
        if row is not None:
            return [_reference_of(row)]
        match = PriceTable([]).look(Provider(slug=provider), model)
        words = SAYS.get(match.source)
        if match.price is not None and words:
            return [Reference(match.price, words)]
    return list(found.values())


def matching(model: str, provider: str = "") -> list[ProviderModel]:
    """Return the pool's models a price for this name or pattern would be used for."""
    wanted = model.strip().lower()
    if not wanted:
        return []
    is_pattern = services.is_pattern(wanted)
    return [
        row
        for row in live_models()
        if provider in ("", row.provider.slug)
        and _is_meant(row.model_id.lower(), wanted, is_pattern=is_pattern)
    ]


def unpriced_models() -> list[ProviderModel]:
    """Return the pool's live models nothing has a price for; two queries."""
    table = PriceTable.load()
    return [
        row
        for row in live_models()
        if table.look(row.provider, row.model_id).source == UNKNOWN
    ]


def _is_meant(model_id: str, wanted: str, *, is_pattern: bool) -> bool:
    if not is_pattern:
        return model_id == wanted
    bare = model_id.rpartition("/")[2]
    return fnmatchcase(model_id, wanted) or fnmatchcase(bare, wanted)


def _reference_of(row: CustomPrice) -> Reference:
    return Reference(spec_of(row.version), SAYS["custom_model"])
