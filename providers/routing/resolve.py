"""Find what a requested name leads to.

In this order: an alias, an exact model id, ``provider/rest`` when that provider exists
and serves the rest, an alias that is a pattern (``claude-*opus*``; the longest first), a
dated variant; otherwise nothing, with names much like it. A request that names no model,
or ``auto``, gets the pool's default model, or one of a shortlist where none is set. Of
those who serve a bare name the pool's default provider goes first.
Letter case is forgiven after the exact spelling was tried.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Final

import msgspec

from providers.routing.access import serves
from providers.routing.auto import shortlist
from providers.routing.near import near_names
from providers.routing.order import Order
from providers.routing.strategies import arrange
from providers.routing.types import Found, Offer, Offers
from providers.snapshot.types import (
    AliasRecord,
    ModelRecord,
    ProviderRecord,
    RoutingRecord,
    TargetRecord,
)

_DATE: Final = re.compile(
    r"[-@](\d{4}-\d{2}-\d{2}|\d{8}|\d{6}|\d{4}|\d{2}-\d{4}|\d{2}-\d{2}|latest)$"
)
_NOT_IN_SLUG: Final = re.compile(r"[^a-z0-9]+")
_MODELS_PREFIX: Final = "models/"
_AUTOMATIC: Final = frozenset({"", "auto"})
_MAX_NAME: Final = 200


class Answer(msgspec.Struct, frozen=True):
    """What a name leads to: offers, by the targets of an alias in their order.

    Shapes:  ``is_known`` without offers = the name exists, nothing can serve it now.
             ``is_served`` = somebody could serve it at all, in whatever mode; it follows
             from the targets.
             ``orders`` remembers each order that was asked for; it belongs to
             ``order``.
    """

    asked: str
    how: Found
    is_known: bool
    targets: tuple[Offers, ...] = ()
    orders: dict[tuple[str, str], Order] = {}
    is_served: bool = False

    def __post_init__(self) -> None:
        """Find out once what each request asks."""
        is_served = any(
            offer.provider.credentials or not offer.provider.needs_key
            for offers in self.targets
            for offer in offers
        )
        msgspec.structs.force_setattr(self, "is_served", is_served)

    def order(self, strategy: str, mode: str, routing: RoutingRecord) -> Order:
        """Return the routes in the order of a strategy, for one mode.

        Cost:    a dictionary read, but for the first time in a snapshot.
        """
        order = self.orders.get((strategy, mode))
        if order is None:
            order = arrange(self.targets, strategy=strategy, mode=mode, routing=routing)
            self.orders[strategy, mode] = order
        return order


class Index:
    """Find offers by every spelling of a name; built once per configuration.

    Cost:  some 2 us a model to build; a look-up is a few dictionary reads.
    """

    __slots__ = (
        "_aliases",
        "_by_fold",
        "_by_name",
        "_by_provider",
        "_by_stem",
        "_default",
        "_first",
        "_folded_aliases",
        "_patterns",
        "_slugs",
    )

    def __init__(
        self,
        providers: Mapping[int, ProviderRecord],
        models: Iterable[ModelRecord],
        aliases: Mapping[str, AliasRecord],
        *,
        default_model: str = "",
        default_provider: str = "",
    ) -> None:
        plain = {name for name in aliases if not is_pattern(name)}
        self._aliases = {name: aliases[name] for name in aliases if name in plain}
        self._patterns = sorted(
            ((name.casefold(), aliases[name]) for name in aliases if name not in plain),
            key=_longest_pattern_first,
        )
        self._folded_aliases = {name.casefold(): name for name in self._aliases}
        self._default = default_model
        self._first = default_provider
        self._by_name: dict[str, list[Offer]] = {}
        self._by_fold: dict[str, str] = {}
        self._by_provider: dict[int, dict[str, Offer]] = {}
        self._by_stem: dict[str, list[str]] = {}
        self._slugs = _slugs(providers.values())
        for model in models:
            provider = providers.get(model.provider_id)
            # A model whose provider is off or gone serves nothing.
            if provider is not None and serves(provider, model):
                self._add(Offer(provider, model))

    def find(self, asked: str) -> Answer:
        """Resolve a name.

        Fails:   never: a name nobody knows is an answer too.
        """
        if len(asked) > _MAX_NAME:
            return Answer(asked[:_MAX_NAME], "nothing", False)
        if asked in _AUTOMATIC and asked not in self._aliases:
            return self._automatic(asked)
        alias = self._alias(asked)
        if alias is not None:
            return Answer(asked, "alias", True, self._of_alias(alias))
        how, offers = self._offers(asked.removeprefix(_MODELS_PREFIX))
        if self._patterns and how in ("variant", "nothing"):
            pattern = self._pattern(asked.removeprefix(_MODELS_PREFIX))
            if pattern is not None:
                return Answer(asked, "alias", True, self._of_alias(pattern))
        return Answer(asked, how, bool(offers), self._led(how, offers))

    def near(self, asked: str) -> tuple[str, ...]:
        """Return at most five names much like one that was not found."""
        return near_names(asked, [*self._aliases, *self._by_name])

    def names(self) -> list[tuple[str, Offers]]:
        """List every name with its offers: aliases first, then model ids."""
        listed = [
            (name, tuple(o for t in alias.targets for o in self._target(t)))
            for name, alias in self._aliases.items()
        ]
        for name, offers in self._by_name.items():
            if name not in self._aliases:
                listed.append((name, tuple(offers)))
        return listed

    def _add(self, offer: Offer) -> None:
        name = offer.model.model_id
        offers = self._by_name.get(name)
        if offers is None:
            self._by_name[name] = [offer]
            self._by_fold.setdefault(name.casefold(), name)
            stem = _stem(name)
            if stem != name:
                self._by_stem.setdefault(stem.casefold(), []).append(name)
        else:
            offers.append(offer)
        self._by_provider.setdefault(offer.provider.id, {})[name] = offer

    def _alias(self, asked: str) -> AliasRecord | None:
        alias = self._aliases.get(asked)
        # An exact model id beats an alias that only agrees in another case.
        if alias is None and asked not in self._by_name:
            name = self._folded_aliases.get(asked.casefold())
            alias = self._aliases.get(name) if name is not None else None
        return alias

    def _pattern(self, asked: str) -> AliasRecord | None:
        folded = asked.casefold()
        for pattern, alias in self._patterns:
            if fnmatchcase(folded, pattern):
                return alias
        return None

    def _led(self, how: Found, offers: Offers) -> tuple[Offers, ...]:
        """Let the pool's default provider lead those who serve a bare name."""
        if not self._first or how == "provider":
            return (offers,) if offers else ()
        first = tuple(each for each in offers if each.provider.slug == self._first)
        others = tuple(each for each in offers if each.provider.slug != self._first)
        return tuple(part for part in (first, others) if part)

    def _automatic(self, asked: str) -> Answer:
        """Find who serves a request that leaves the model to the pool."""
        if self._default and self._default not in _AUTOMATIC:
            found = self.find(self._default)
            return Answer(asked, "default", found.is_known, found.targets)
        offers = tuple(
            offer for name in shortlist(self._by_name) for offer in self._by_name[name]
        )
        if not offers:
            return Answer(asked, "nothing", False)
        return Answer(asked, "auto", True, (offers,))

    def _of_alias(self, alias: AliasRecord) -> tuple[Offers, ...]:
        """Return the offers of each target, in their order, each offer once."""
        targets: list[Offers] = []
        seen: set[int] = set()
        for target in alias.targets:
            offers = [o for o in self._target(target) if o.model.id not in seen]
            seen.update(offer.model.id for offer in offers)
            if offers:
                targets.append(tuple(offers))
        return tuple(targets)

    def _target(self, target: TargetRecord) -> Offers:
        if target.provider_slug:
            provider = self._slugs.get(target.provider_slug)
            return () if provider is None else self._served(provider, target.model_id)
        return self._offers(target.model_id)[1]

    def _offers(self, name: str) -> tuple[Found, Offers]:
        exact = self._named(name)
        if exact:
            return "model", exact
        head, slash, rest = name.partition("/")
        if slash and rest:
            provider = self._slugs.get(head) or self._slugs.get(_normalised(head))
            if provider is not None and (found := self._served(provider, rest)):
                return "provider", found
        variant = self._variant(name)
        return ("variant", variant) if variant else ("nothing", ())

    def _named(self, name: str) -> Offers:
        offers = self._by_name.get(name)
        if offers is None:
            spelling = self._by_fold.get(name.casefold())
            offers = self._by_name.get(spelling) if spelling is not None else None
        return tuple(offers) if offers else ()

    def _served(self, provider: ProviderRecord, name: str) -> Offers:
        """Find one provider's own offer by id, letter case or dated variant."""
        own = self._by_provider.get(provider.id, {})
        offer = own.get(name)
        if offer is not None:
            return (offer,)
        for found in (*self._named(name), *self._variant(name)):
            if found.provider.id == provider.id:
                return (found,)
        return ()

    def _variant(self, name: str) -> Offers:
        """Find the same model under a date, or without one.

        A client that names a date never gets another date, only the undated name;
        one that names none gets the newest.
        """
        stem = _stem(name)
        if stem != name and (undated := self._named(stem)):
            return undated
        if stem != name and not name.endswith("latest"):
            return ()
        dated = self._by_stem.get(stem.casefold(), ())
        return self._named(max(dated)) if dated else ()


def is_pattern(name: str) -> bool:
    """Tell an alias for many names, ``claude-*opus*``, from one for a single name."""
    return "*" in name


def _longest_pattern_first(entry: tuple[str, AliasRecord]) -> tuple[int, str]:
    return -len(entry[0]), entry[0]


def _slugs(providers: Iterable[ProviderRecord]) -> dict[str, ProviderRecord]:
    """Map slugs, then normalised slugs and names that no slug claims."""
    listed = sorted(providers, key=_by_id)
    found = {provider.slug: provider for provider in listed}
    for provider in listed:
        found.setdefault(_normalised(provider.slug), provider)
        found.setdefault(_normalised(provider.name), provider)
    return found


def _by_id(provider: ProviderRecord) -> int:
    return provider.id


def _normalised(name: str) -> str:
    return _NOT_IN_SLUG.sub("-", name.casefold()).strip("-")


def _stem(name: str) -> str:
    return _DATE.sub("", name) or name
