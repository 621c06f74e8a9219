"""Read models across providers: the list, one model, and what leads to it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice
from typing import Any, Final, cast

from django.db.models import (
    CharField,
    JSONField,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Sum,
    Value,
)
from django.db.models.functions import Cast, Concat
from django.utils import timezone

from pricing.matcher import Match
from pricing.models import PriceVersion
from providers.models import AliasTarget, Fact, Provider, ProviderModel
from providers.snapshot.prices import PriceTable
from usage import dimensions, recent, rollups
from usage.models import Dimension, Rollup15
from usage.recent import Month

PAGE: Final = 40
_MOST_ROWS: Final = 500
_MOST_SERVED: Final = 30
PROBES: Final = {
    "ok": Q(probe_ok=True),
    "failed": Q(probe_ok=False),
    "never": Q(probe_ok=None),
}
STATES: Final = {
    "on": Q(enabled=True, gone_at=None),
    "off": Q(enabled=False),
    "gone": Q(gone_at__isnull=False),
}


@dataclass(frozen=True)
class Wanted:
    """What is looked for; blank and None look for anything.

    Units:  ``price_to`` in nano-USD per million input tokens, ``context_from`` in
            tokens.
    """

    text: str = ""
    provider: str = ""
    capability: str = ""
    probe: str = ""
    state: str = ""
    price_to: int | None = None
    context_from: int | None = None


@dataclass
class Offer:
    """One provider's side of a model."""

    row: ProviderModel
    price: Match


@dataclass
class ModelRow:
    """A model id with everybody who serves it."""

    model_id: str
    offers: list[Offer] = field(default_factory=list)
    aliases: list[str] = field(default_factory=list)
    requests_24h: int = 0

    @property
    def enabled(self) -> int:
        """How many providers offer it."""
        return sum(offer.row.enabled for offer in self.offers)

    @property
    def context_window(self) -> int | None:
        """The largest window anybody states."""
        return max((o.row.context_window or 0 for o in self.offers), default=0) or None

    @property
    def max_output_tokens(self) -> int | None:
        """The largest output anybody states."""
        return (
            max((o.row.max_output_tokens or 0 for o in self.offers), default=0) or None
        )

    @property
    def capabilities(self) -> list[str]:
        """What any of them can do; answers that proved it count above lists."""
        return sorted({word for o in self.offers for word in can_do(o.row)})

    @property
    def cheapest(self) -> Match | None:
        """The lowest known price for input and output; None for unpriced."""
        known = [o.price for o in self.offers if o.price.price is not None]
        return min(known, key=_cost, default=None)

    @property
    def probed(self) -> ProviderModel | None:
        """The row that was probed last."""
        done = [o.row for o in self.offers if o.row.probe_at is not None]
        return max(done, key=lambda row: row.probe_at, default=None)  # type: ignore[arg-type,return-value] # not None here

    @property
    def is_gone(self) -> bool:
        """Say whether nobody lists it any more."""
        return all(offer.row.gone_at is not None for offer in self.offers)

    @property
    def is_deprecated(self) -> bool:
        """Say whether all who serve it call it deprecated."""
        return all(offer.row.deprecated for offer in self.offers)


@dataclass
class ModelPage:
    """One screenful of models by id; ``after`` is where the next begins.

    Shapes:  ``total`` None where counting would mean looking at every price.
    """

    rows: list[ModelRow]
    after: str = ""
    total: int | None = 0


def can_do(row: ProviderModel) -> set[str]:
    """Return the capabilities a row stands for."""
    stated = row.capabilities
    said = stated if isinstance(stated, dict) else dict.fromkeys(stated, True)
    proven = row.evidence if isinstance(row.evidence, dict) else {}
    return {word for word, has in {**said, **proven}.items() if has is True}


def model_page(
    wanted: Wanted,
    providers: Sequence[Provider],
    *,
    after: str = "",
    size: int = PAGE,
) -> ModelPage:
    """Return a page of model ids with who serves them, by name.

    Cost:  four queries and those of the prices; where a price is wanted, a look at
           each model's until the page is full.
    """
    table = PriceTable.load()
    by_id = {provider.pk: provider for provider in providers}
    found = _found(wanted)
    if wanted.price_to is None:
        ids = found.order_by().values_list("model_id", flat=True).distinct()
        # Sorted here: every database would do it in its own way.
        names = sorted(ids)
        total: int | None = len(names)
        names = names[bisect_right(names, after) :] if after else names
    else:
        cheap = _cheap(found, table, by_id, wanted.price_to)
        names = list(islice((name for name in cheap if name > after), size + 1))
        total = None
    rows = _rows(names[:size], table, by_id)
    return ModelPage(rows, names[size - 1] if len(names) > size else "", total)


def _found(wanted: Wanted) -> QuerySet[ProviderModel]:
    rows = _live()
    if wanted.text:
        rows = rows.filter(
            Q(model_id__icontains=wanted.text) | Q(display_name__icontains=wanted.text)
        )
    if wanted.provider:
        rows = rows.filter(provider__slug=wanted.provider)
    if wanted.capability:
        proven = Q(**{f"evidence__{wanted.capability}": True})
        stated = Q(**{f"capabilities__{wanted.capability}": True})
        untried = Q(**{f"evidence__{wanted.capability}__isnull": True})
        rows = rows.filter(proven | (stated & untried))
    if wanted.probe in PROBES:
        rows = rows.filter(PROBES[wanted.probe])
    if wanted.state in STATES:
        rows = rows.filter(STATES[wanted.state])
    if wanted.context_from is not None:
        rows = rows.filter(context_window__gte=wanted.context_from)
    return rows


def _live() -> QuerySet[ProviderModel]:
    return ProviderModel.objects.filter(deleted_at=None, provider__deleted_at=None)


def _cheap(
    rows: QuerySet[ProviderModel],
    table: PriceTable,
    providers: Mapping[int, Provider],
    most: int,
) -> Iterator[str]:
    """Yield the ids somebody sells for at most this much input, by name."""
    pairs = rows.order_by().values_list("model_id", "provider_id")
    last = ""
    for name, provider_id in sorted(pairs):
        provider = providers.get(provider_id)
        if provider is None or name == last:
            continue
        price = table.look(provider, name).price
        if price is not None and price.input is not None and price.input <= most:
            last = name
            yield name


def _rows(
    names: Sequence[str], table: PriceTable, providers: Mapping[int, Provider]
) -> list[ModelRow]:
    if not names:
        return []
    found = {name: ModelRow(name) for name in names}
    for row in _live().filter(model_id__in=names).order_by("pk")[:_MOST_ROWS]:
        provider = providers.get(row.provider_id)
        if provider is None:
            continue
        row.provider = provider
        offer = Offer(row, table.look(provider, row.model_id))
        found[row.model_id].offers.append(offer)
    for name, alias in _aliases(names):
        found[name].aliases.append(alias)
    for name, requests in _requests_24h(names):
        found[name].requests_24h = requests
    return [made for made in found.values() if made.offers]


def _cost(match: Match) -> int:
    price = match.price
    return 0 if price is None else (price.input or 0) + (price.output or 0)


def _aliases(names: Iterable[str]) -> list[tuple[str, str]]:
    rows = AliasTarget.objects.filter(
        model_id__in=list(names), alias__deleted_at=None, alias__enabled=True
    )
    pairs = rows.order_by("alias__name").values_list("model_id", "alias__name")
    return list(dict.fromkeys(pairs))


def _requests_24h(names: Sequence[str]) -> list[tuple[str, int]]:
    """Return how often models served in the last day; one query."""
    seen = Dimension.objects.filter(kind=dimensions.MODEL, value__in=list(names))
    name = Dimension.objects.filter(pk=OuterRef("ref")).values("value")
    since = timezone.now() - timedelta(hours=24)
    rows = Rollup15.objects.filter(
        kind=rollups.MODEL_SERVED, bucket__gt=since, ref__in=seen.values("pk")
    )
    sums = (
        rows.order_by().values("ref").annotate(n=Sum("requests"), name=Subquery(name))
    )
    return list(sums.values_list("name", "n"))


# One model


@dataclass
class Detail:
    """Everything there is to know about one model id.

    Shapes:  ``refused`` are the fields each provider was found to refuse, by provider
             id; ``served_by`` counts all, ``offers`` hold the first.
    """

    model_id: str
    offers: list[Offer]
    served_by: int
    aliases: list[str]
    versions: list[PriceVersion]
    month: Month
    refused: dict[int, list[str]]


def model_detail(model_id: str, providers: Sequence[Provider]) -> Detail | None:
    """Return one model, None when nobody has it; four queries and the prices'.

    Shapes:  each row carries its provider's ``model_list``.
    """
    by_id = {provider.pk: provider for provider in providers}
    rows = list(
        _live()
        .filter(model_id=model_id)
        .select_related("provider__model_list")
        .annotate(refusal=Subquery(_refusal(), output_field=JSONField()))
        .order_by("-enabled", "-provider__priority", "pk")[:_MOST_ROWS]
    )
    if not rows:
        return None
    table = PriceTable.load()
    offers = []
    for row in rows[:_MOST_SERVED]:
        kept = getattr(row.provider, "model_list", None)
        # The provider with its counts, and the list beside it.
        row.provider = by_id.get(row.provider_id, row.provider)
        row.kept_list = kept  # type: ignore[attr-defined] # for the screen
        offers.append(Offer(row, table.look(row.provider, model_id)))
    seen = Dimension.objects.filter(kind=dimensions.MODEL, value=model_id)
    months = recent.last_month("model", cast("Any", seen.values("pk")))
    return Detail(
        model_id=model_id,
        offers=offers,
        served_by=len(rows),
        aliases=[alias for _, alias in _aliases([model_id])],
        versions=_versions(model_id, offers),
        month=next(iter(months.values()), Month()),
        refused={offer.row.provider_id: _refused(offer.row) for offer in offers},
    )


def _versions(model_id: str, offers: Sequence[Offer]) -> list[PriceVersion]:
    keys = {model_id, *(offer.price.key for offer in offers)} - {""}
    rows = PriceVersion.objects.filter(key__in=keys).filter(
        Q(provider_slug="")
        | Q(provider_slug__in={offer.row.provider.slug for offer in offers})
    )
    return list(rows.order_by("-valid_from", "-pk")[:20])


def _refusal() -> QuerySet[Fact, Any]:
    """Look up what a provider's model was found to refuse."""
    number = Cast(OuterRef("provider_id"), CharField())
    key = Concat(number, Value(":"), OuterRef("model_id"))
    return Fact.objects.filter(kind="refusal", key=key).values("payload")[:1]


def _refused(row: ProviderModel) -> list[str]:
    payload = row.refusal  # type: ignore[attr-defined] # annotated
    fields = payload.get("fields") if isinstance(payload, dict) else None
    found = fields if isinstance(fields, list) else []
    return [str(name)[:60] for name in found[:20]]


def rows_called(ids: Iterable[str], provider: str = "") -> list[ProviderModel]:
    """Return the live rows of these model ids, of one provider or of all; one query."""
    rows = _live().filter(model_id__in=list(ids)[:_MOST_ROWS])
    if provider:
        rows = rows.filter(provider__slug=provider)
    return list(rows.order_by("pk"))


def table_of(page: ModelPage) -> list[dict[str, Any]]:
    """Return a page as flat rows for commands and the API."""
    made = []
    for row in page.rows:
        match = row.cheapest
        price = match.price if match else None
        made.append(
            {
                "id": row.model_id,
                "providers": [offer.row.provider.slug for offer in row.offers],
                "enabled": row.enabled,
                "context_window": row.context_window,
                "max_output_tokens": row.max_output_tokens,
                "capabilities": row.capabilities,
                "input_nano_usd_per_million": price.input if price else None,
                "output_nano_usd_per_million": price.output if price else None,
                "price_source": match.source if match else "unknown",
                "requests_24h": row.requests_24h,
                "aliases": row.aliases,
                "gone": row.is_gone,
            }
        )
    return made
