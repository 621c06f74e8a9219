"""Lay a new answer of a source over what is known: nothing is lost, jumps wait.

Pure: no database, no clock. What an answer no longer says stays as it was last said.
What it says anew is in force at once, except a price that moves by more than ten times,
or between free and not free: the value in force stays until a person has decided.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from pricing.cost import PriceSpec
from pricing.feeds.packed import Kept, key_of
from pricing.listing import ListedModel, ListedProvider, Listing

MOST_LINES: Final = 2_000
MOST_MODELS: Final = 40_000
JUMP: Final = 10
ACCEPTED: Final = "accepted"
DECLINED: Final = "declined"
_LONGEST_NAME: Final = 200
_PRICES: Final = PriceSpec.__struct_fields__
_FACTS: Final = ("context_window", "max_output", "kind", "deprecated")
# A number of tokens among the prices.
_NO_PRICE: Final = frozenset({"long_threshold"})


class MergeError(ValueError):
    """The answer must not be taken over; ``message`` says why to a person."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """Say one difference.

    Shapes:  ``kind`` is new, changed or gone; ``column`` a price's or fact's name,
             blank where the line is about the whole model. ``key`` is set for lines a
             person decides about.
    Units:   prices as in PriceSpec, None = unknown.
    """

    kind: str
    provider: str
    model: str
    column: str = ""
    before: Any = None
    after: Any = None
    key: str = ""


@dataclass
class Merged:
    """What comes of a merge.

    Shapes:  ``lines`` holds at most ``MOST_LINES``, ``counts`` is exact: new, changed
             and gone lines by kind. ``decisions`` are those that still matter.
    """

    kept: Kept
    lines: list[Line] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    held: list[Line] = field(default_factory=list)
    decisions: dict[str, str] = field(default_factory=dict)


def merge(
    known: Kept | None,
    stated: Listing,
    *,
    embedded: Listing,
    decisions: Mapping[str, str],
) -> Merged:
    """Lay what a source states over what is known of it.

    Shapes:  before the first answer (``known`` None) the embedded catalogue is what
             prices are compared with. ``stated.date`` is the day of the answer.
    Errors:  MergeError when more prices would jump than anybody can decide about, or
             when there are more models than are kept.
    """
    return _Merge(known, stated, embedded, decisions).run()


def decide(kept: Kept, line: Line, *, date: str) -> Kept:
    """Put a held value in force; the model being gone meanwhile changes nothing."""
    provider = kept.listing.providers.get(line.provider)
    model = provider.models.get(line.model) if provider else None
    if provider is None or model is None:
        return kept
    price = msgspec.structs.replace(
        model.price or PriceSpec(), **{line.column: line.after}
    )
    changed = msgspec.structs.replace(model, price=price)
    models = {**provider.models, line.model: changed}
    providers = {
        **kept.listing.providers,
        line.provider: msgspec.structs.replace(provider, models=models),
    }
    listing = msgspec.structs.replace(kept.listing, providers=providers)
    since = {**kept.since, key_of(line.provider, line.model): date}
    return msgspec.structs.replace(kept, listing=listing, since=since)


def is_settled(
    model: ListedModel | None, source: str, since: str, settled_on: str
) -> bool:
    """Tell whether the price shipped for a model beats what a source states.

    Shapes:  ``model`` is the embedded one, ``source`` the name of who states another
             price, ``since`` from when on it has said something new, blank for never.

    The release chose its prices knowing what every source said that day, and another
    one than this source's was right. So a source that still says what it said when it
    was first read is overruled; one that says something new after the release's date is
    believed again, until a later release has settled it once more. A price the release
    took from this very source is not settled against it: a difference is its news.
    """
    if model is None or model.price is None or model.origin == source:
        return False
    return since <= settled_on


class _Merge:
    """The work of one merge."""

    def __init__(
        self,
        known: Kept | None,
        stated: Listing,
        embedded: Listing,
        decisions: Mapping[str, str],
    ) -> None:
        self._known = known
        self._stated = stated
        self._embedded = embedded
        self._asked = decisions
        self._since = dict(known.since) if known else {}
        self._gone = dict(known.gone) if known else {}
        self._result = Merged(known or Kept(stated))

    def run(self) -> Merged:
        """Merge provider by provider."""
        old = self._known.listing.providers if self._known else {}
        providers = dict(old)
        for key, provider in self._stated.providers.items():
            if is_name(key):
                providers[key] = self._provider(key, old.get(key), provider)
        self._note_gone(old)
        total = sum(len(each.models) for each in providers.values())
        if total > MOST_MODELS:
            raise MergeError(
                f"It would make {total:,} models; at most {MOST_MODELS:,} are kept."
            )
        if len(self._result.held) > MOST_LINES:
            raise MergeError(
                f"{len(self._result.held):,} prices would move by more than "
                f"{JUMP} times at once; that is no change of prices."
            )
        if self._known and providers == old:
            listing = self._known.listing
        else:
            listing = msgspec.structs.replace(self._stated, providers=providers)
        self._result.kept = Kept(listing, self._since, self._gone)
        return self._result

    def _provider(
        self, key: str, old: ListedProvider | None, new: ListedProvider
    ) -> ListedProvider:
        models = dict(old.models) if old else {}
        shipped = self._embedded.providers.get(key)
        for model_id, model in new.models.items():
            if is_name(model_id):
                embedded = shipped.models.get(model_id) if shipped else None
                models[model_id] = self._model(
                    key, models.get(model_id), model, embedded
                )
        return ListedProvider(
            key,
            new.name or (old.name if old else ""),
            new.base_url or (old.base_url if old else ""),
            new.documentation or (old.documentation if old else ""),
            new.environment or (old.environment if old else ()),
            models,
        )

    def _model(
        self,
        provider: str,
        old: ListedModel | None,
        new: ListedModel,
        embedded: ListedModel | None,
    ) -> ListedModel:
        place = key_of(provider, new.id)
        self._gone.pop(place, None)
        if old is None and embedded is None:
            self._note(Line("new", provider, new.id))
            return new
        settled = self._is_settled(provider, place, embedded)
        if old is None and settled:
            return new
        shipped = embedded.price if embedded and (old is None or settled) else None
        base = shipped or (old.price if old else None)
        if new.price is None:
            price = old.price if old else None
        elif base is None or (old is not None and old.price == new.price):
            price = new.price
        else:
            price = self._price(place, base, new.price, is_shipped=base is shipped)
        if old is None:
            return msgspec.structs.replace(new, price=price)
        self._facts(provider, old, new)
        return _over(old, msgspec.structs.replace(new, price=price))

    def _is_settled(
        self, provider: str, place: str, embedded: ListedModel | None
    ) -> bool:
        if self._stated.source == provider:
            return False  # its own word of itself
        since = self._since.get(place, "")
        return is_settled(embedded, self._stated.source, since, self._embedded.date)

    def _price(
        self, place: str, base: PriceSpec, new: PriceSpec, *, is_shipped: bool
    ) -> PriceSpec:
        provider, model = place.split("\n")
        kept: dict[str, int | None] = {}
        for column in _PRICES:
            before, after = getattr(base, column), getattr(new, column)
            # What was shipped may hold columns of several sources: silence is no news.
            if before == after or (is_shipped and after is None):
                continue
            line = Line("changed", provider, model, column, before, after)
            if is_jump(column, before, after) and not self._may(line):
                kept[column] = before
                continue
            self._note(line)
            if self._known is not None:
                self._since[place] = self._stated.date
        return msgspec.structs.replace(new, **kept)

    def _may(self, line: Line) -> bool:
        """Tell whether a person let a jump pass; ask when nobody has said anything."""
        key = decision_key(line)
        said = self._asked.get(key)
        if said is None:
            self._result.held.append(msgspec.structs.replace(line, key=key))
        else:
            self._result.decisions[key] = said
        return said == ACCEPTED

    def _facts(self, provider: str, old: ListedModel, new: ListedModel) -> None:
        for column in _FACTS:
            before, after = getattr(old, column), getattr(new, column)
            if before != after and after is not None:
                self._note(Line("changed", provider, new.id, column, before, after))

    def _note_gone(self, old: Mapping[str, ListedProvider]) -> None:
        for key, provider in old.items():
            stated = self._stated.providers.get(key)
            for model_id in provider.models:
                place = key_of(key, model_id)
                is_listed = stated is not None and model_id in stated.models
                if not is_listed and place not in self._gone:
                    self._gone[place] = self._stated.date
                    self._note(Line("gone", key, model_id))

    def _note(self, line: Line) -> None:
        self._result.counts[line.kind] += 1
        if len(self._result.lines) < MOST_LINES:
            self._result.lines.append(line)


def is_jump(column: str, before: int | None, after: int | None) -> bool:
    """Tell whether a price moves too far to be believed without a person.

    From and to unknown is no jump: there is nothing to compare with.
    """
    if before is None or after is None or column in _NO_PRICE:
        return False
    if not before or not after:
        return before != after
    return max(before, after) > JUMP * min(before, after)


def is_name(text: str) -> bool:
    """Tell whether a name of a provider or model can be kept and shown on one line."""
    return 0 < len(text) <= _LONGEST_NAME and text.isprintable()


def decision_key(line: Line) -> str:
    """Name a value somebody decides about, so that the same one is asked once."""
    text = msgspec.json.encode([line.provider, line.model, line.column, line.after])
    return hashlib.sha256(text).hexdigest()[:16]


def _over(old: ListedModel, new: ListedModel) -> ListedModel:
    """Keep of an old model what a new answer no longer says."""
    silent = {
        name: getattr(old, name)
        for name in ListedModel.__struct_fields__
        if name != "deprecated" and getattr(new, name) in (None, "", ())
    }
    return msgspec.structs.replace(new, **silent)
