"""The snapshot as a request sees it: everything known at one version.

A request takes a view once and keeps it. Tables that change rarely are immutable and
replaced; the table of client keys, which may hold 100,000, is shared by all views and
changed in place, so that a revocation holds for every request that authenticates after
it, whichever view that one took.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from itertools import islice
from typing import Final

import msgspec

from providers.routing.access import may_use_model, may_use_provider, serves
from providers.routing.order import Lineup, Order, Turns
from providers.routing.resolve import Answer, Index
from providers.routing.strategies import AUTO as ANY_MODE
from providers.routing.types import Offer, Offers
from providers.snapshot import types

_MOST_ANSWERS: Final = 4096
_MOST_LISTS: Final = 256
_MOST_DECODED: Final = 2048


class ClientKeys:
    """Client keys by public id, kept as the JSON they came in and decoded on use.

    Bytes are not followed by the garbage collector, so a hundred thousand keys cost
    no pauses, and loading them is filling one dictionary.
    """

    __slots__ = ("_decoded", "_decoder", "_raw")

    def __init__(self, raw: dict[str, bytes] | None = None) -> None:
        self._raw = {} if raw is None else raw
        self._decoded: dict[str, types.ClientKeyRecord] = {}
        self._decoder = msgspec.json.Decoder(types.ClientKeyRecord)

    def __len__(self) -> int:
        return len(self._raw)

    def get(self, public_id: str) -> types.ClientKeyRecord | None:
        """Find a key.

        Cost:    0.1 us for a key used lately, 2 us otherwise.
        """
        found = self._decoded.get(public_id)
        if found is not None:
            return found
        raw = self._raw.get(public_id)
        if raw is None:
            return None
        found = self._decoder.decode(raw)
        if len(self._decoded) >= _MOST_DECODED:
            self._decoded.clear()
        self._decoded[public_id] = found
        return found

    def change(self, changes: dict[str, bytes]) -> None:
        """Take over new and changed keys and tombstones, in one step for readers."""
        raw, decoded = self._raw, self._decoded
        for public_id, payload in changes.items():
            decoded.pop(public_id, None)
            if payload:
                raw[public_id] = payload
            else:
                raw.pop(public_id, None)


class Tables(msgspec.Struct, frozen=True):
    """Everything but the client keys, decoded.

    Shapes:  ``personal`` are the budgets of agents and sessions once more, mostly none.
    """

    settings: types.SettingsRecord
    providers: dict[int, types.ProviderRecord]
    models: dict[int, types.ModelRecord]
    aliases: dict[str, types.AliasRecord]
    budgets: dict[int, types.BudgetRecord]
    personal: dict[int, types.BudgetRecord] = {}


EMPTY: Final = Tables(types.SettingsRecord(), {}, {}, {}, {})


class Resolution:
    """What a name leads to, for one request.

    Shapes:  see ``providers.proxy.ports.Resolution``.
    """

    __slots__ = ("_index", "_routing", "_turns", "answer")

    def __init__(
        self, answer: Answer, index: Index, turns: Turns, routing: types.RoutingRecord
    ) -> None:
        self.answer = answer
        self._index = index
        self._turns = turns
        self._routing = routing

    @property
    def is_known(self) -> bool:
        """Tell whether the name exists, usable or not."""
        return self.answer.is_known

    @property
    def is_served(self) -> bool:
        """Tell whether anybody could serve it, in whatever mode."""
        return self.answer.is_served

    @property
    def near(self) -> tuple[str, ...]:
        """Names much like one that does not exist, at most five; looked up when read."""
        return () if self.answer.is_known else self._index.near(self.answer.asked)

    @property
    def candidates(self) -> Lineup:
        """Every route by the pool's own strategy, in whatever mode; counts a turn."""
        return Lineup(self.order(self._routing.strategy, ANY_MODE), self.take_turn())

    def some(self, most: int) -> list[Offer]:
        """Return at most so many of its offers, whoever could serve or not."""
        offers = (offer for target in self.answer.targets for offer in target)
        return list(islice(offers, most))

    def order(self, strategy: str, mode: str) -> Order:
        """Return the order of a strategy and mode."""
        return self.answer.order(strategy, mode, self._routing)

    def take_turn(self) -> int:
        """Count one request of this name; equals take turns by this number."""
        return self._turns.take(self.answer.asked)

    def peek_turn(self) -> int:
        """Return the number the next request will get."""
        return self._turns.peek(self.answer.asked)


class VisibleModel(msgspec.Struct, frozen=True, gc=False):
    """One name a client may ask for."""

    name: str
    owned_by: str
    created_s: int = 0


class Snapshot:
    """The configuration at one version.

    Cost:  every member a few dictionary reads, whatever the size of the pool.
    """

    __slots__ = (
        "_answers",
        "_index",
        "_keys",
        "_lists",
        "_only",
        "_tables",
        "_turns",
        "made_at",
        "personal_budgets",
        "settings",
        "version",
    )

    def __init__(
        self, keys: ClientKeys, tables: Tables, index: Index | None, turns: Turns
    ) -> None:
        self.version = 0
        self.made_at = 0.0
        self.settings = tables.settings
        self.personal_budgets = tables.personal
        self._tables = tables
        self._keys = keys
        self._turns = turns
        self._index = index or make_index(tables)
        self._answers: dict[str, Answer] = {}
        self._only: dict[int, Answer] = {}
        self._lists: dict[object, tuple[VisibleModel, ...]] = {}

    def at_version(self, version: int, made_at: float) -> Snapshot:
        """Return this view under a version; what was already looked up is shared."""
        later = copy.copy(self)
        later.version = version
        later.made_at = made_at
        return later

    def client_key(self, public_id: str) -> types.ClientKeyRecord | None:
        """Find a client key by its public id."""
        return self._keys.get(public_id)

    def provider(self, provider_id: int) -> types.ProviderRecord | None:
        """Find a provider by row id."""
        return self._tables.providers.get(provider_id)

    def budget(self, budget_id: int) -> types.BudgetRecord | None:
        """Find a budget by row id."""
        return self._tables.budgets.get(budget_id)

    def resolve(self, name: str) -> Resolution:
        """Resolve a name as design 4 orders it."""
        answer = self._answers.get(name)
        if answer is None:
            answer = self._index.find(name)
            if len(self._answers) >= _MOST_ANSWERS:
                self._answers.clear()
            self._answers[answer.asked] = answer
        return self._resolution(answer)

    def only(self, model_row: int) -> Resolution:
        """Return the ways to one model row at its own provider, whatever its name."""
        answer = self._only.get(model_row)
        if answer is None:
            if len(self._only) >= _MOST_ANSWERS:
                self._only.clear()
            answer = self._only[model_row] = self._bound(model_row)
        return self._resolution(answer)

    def _bound(self, model_row: int) -> Answer:
        tables = self._tables
        model = tables.models.get(model_row)
        provider = None if model is None else tables.providers.get(model.provider_id)
        targets: tuple[Offers, ...] = ()
        if model is not None and provider is not None and serves(provider, model):
            targets = ((Offer(provider, model),),)
        return Answer(f"#{model_row}", "provider", bool(targets), targets)

    def _resolution(self, answer: Answer) -> Resolution:
        return Resolution(answer, self._index, self._turns, self.settings.routing)

    def visible_models(self, key: types.ClientKeyRecord) -> Sequence[VisibleModel]:
        """List the names a key may ask for, sorted."""
        rule = (
            key.model_access,
            key.models_allowed,
            key.provider_access,
            key.providers_allowed,
        )
        listed = self._lists.get(rule)
        if listed is None:
            if len(self._lists) >= _MOST_LISTS:
                self._lists.clear()
            listed = self._lists[rule] = tuple(self._visible(key))
        return listed

    def counts(self) -> dict[str, int]:
        """Count what is held, by kind, for metrics."""
        tables = self._tables
        return {
            types.PROVIDER: len(tables.providers),
            types.MODEL: len(tables.models),
            types.ALIAS: len(tables.aliases),
            types.BUDGET: len(tables.budgets),
            types.CLIENT_KEY: len(self._keys),
        }

    def some_credentials(self, most: int) -> list[types.CredentialRecord]:
        """Return a few credentials, to try whether the keys at hand open them."""
        found: list[types.CredentialRecord] = []
        for provider in self._tables.providers.values():
            found += provider.credentials[: most - len(found)]
            if len(found) >= most:
                break
        return found

    def _visible(self, key: types.ClientKeyRecord) -> list[VisibleModel]:
        found = []
        for name, offers in self._index.names():
            allowed = [offer for offer in offers if _may_use(key, name, offer)]
            if allowed:
                first = max(allowed, key=_priority_of)
                created = first.model.created_s
                found.append(VisibleModel(name, first.provider.slug, created))
        found.sort(key=_name_of)
        return found


def make_index(tables: Tables) -> Index:
    """Index a set of tables by name; the costly part of a new snapshot."""
    return Index(
        tables.providers,
        tables.models.values(),
        tables.aliases,
        default_model=tables.settings.default_model,
        default_provider=tables.settings.default_provider,
    )


def _may_use(key: types.ClientKeyRecord, name: str, offer: Offer) -> bool:
    slug = offer.provider.slug
    named = (slug, offer.model.model_id)
    return may_use_provider(key, slug) and may_use_model(key, name, named)


def _priority_of(offer: Offer) -> int:
    return offer.provider.priority


def _name_of(model: VisibleModel) -> str:
    return model.name
