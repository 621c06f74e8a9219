"""Look models up in everything that is publicly listed, fast and in order of trust.

Built once from the listings, used for every model of a snapshot. A provider's own entry
is looked for under its own id; the maker's list price stands for hosts nobody lists.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Final

import msgspec

from pricing.book.loader import embedded_listing
from pricing.cost import PriceSpec
from pricing.listing import ListedModel, Listing
from pricing.readings import bare, fold, readings, undressed

MAKERS: Final[dict[str, tuple[str, ...]]] = {
    "openai": (),
    "anthropic": (),
    "google": ("gemini", "imagen", "learnlm", "lyria", "veo", "text-", "embedding"),
    "mistral": (
        "mistral",
        "ministral",
        "mixtral",
        "open-mi",
        "codestral",
        "devstral",
        "magistral",
        "pixtral",
        "voxtral",
    ),
    "codestral": (),
    "deepseek": (),
    "xai": (),
    "moonshot": ("kimi", "moonshot", "k2", "k3"),
    "zai": ("glm", "cogview", "cogvideo"),
    "zhipu": ("glm", "cogview", "cogvideo"),
    "minimax-intl": ("minimax", "abab", "hailuo", "m2", "m3"),
    "minimax": ("minimax", "abab", "hailuo", "m2", "m3"),
    "qwen-intl": ("qwen", "qwq", "qvq", "wan"),
    "qwen": ("qwen", "qwq", "qvq", "wan"),
    "cohere": (),
    "llama": ("llama",),
    "bedrock": ("nova", "titan", "amazon"),
    "nova": ("nova",),
    "byteplus": ("doubao", "seed", "skylark"),
    "volcengine": ("doubao", "seed"),
    "stepfun-intl": ("step",),
    "stepfun": ("step",),
    "mimo": ("mimo",),
    "hunyuan": ("hunyuan", "hy"),
    "ai21": ("jamba",),
    "perplexity": ("sonar",),
    "inception": ("mercury",),
    "upstage": ("solar",),
    "longcat": ("longcat",),
    "nvidia": ("nemotron",),
}
"""Who makes models, in the order they are asked, and the words their own begin with.

Empty is everything they list; others also serve what somebody else made.
"""

# Open weights under a maker's name, which it does not serve itself.
_OPEN_WEIGHTS: Final = ("gpt-oss", "gemma")
# A price that another source adds columns to is the same in these.
_BASE: Final = ("input", "output")
_AT_ODDS: Final = -1_000_000
_RATES: Final = tuple(
    name for name in PriceSpec.__struct_fields__ if name != "long_threshold"
)


class Found(msgspec.Struct, frozen=True):
    """Hold an entry and who states its price.

    Shapes:  ``provider_id`` is the listing's; ``source``, ``url`` and ``date`` are of
             the listing the price came from. ``is_own`` is the provider's own word: a
             listing that bears its name.
    """

    model: ListedModel
    provider_id: str
    source: str
    url: str
    date: str

    @property
    def key(self) -> str:
        """Name the entry: the provider it is of, and its id there."""
        return f"{self.provider_id}/{self.model.id}"

    @property
    def is_own(self) -> bool:
        """Tell whether the provider itself states this price."""
        return self.source == self.provider_id


class _Shelf:
    """One provider's models by id, and by reading once somebody asks."""

    __slots__ = ("_bare", "_folded", "models", "origins")

    def __init__(self) -> None:
        self.models: dict[str, ListedModel] = {}
        self.origins: dict[str, int] = {}
        self._folded: dict[str, str] | None = None
        self._bare: dict[str, str] = {}

    def add(self, model: ListedModel, listing: int) -> None:
        """Take a model a listing states, less trusted than what is there."""
        model = _with_plain_writes(model)
        known = self.models.get(model.id)
        if known is None:
            self.models[model.id] = model
            self.origins[model.id] = listing
            return
        if known.price is None and model.price is not None:
            self.origins[model.id] = listing
        self.models[model.id] = _filled(known, model)

    def key(self, found: Iterable[str]) -> str | None:
        """Return the id that fits one of these readings."""
        if self._folded is None:
            self._read()
        folded = self._folded or {}
        for reading in found:
            key = folded.get(reading) or self._bare.get(reading)
            if key:
                return key
        return None

    def _read(self) -> None:
        self._folded = {fold(key): key for key in self.models}
        seen: dict[str, list[str]] = {}
        for key in self.models:
            seen.setdefault(bare(key), []).append(key)
        # Dated ids of one model stand for it as long as they cost the same.
        self._bare = {
            reading: keys[0]
            for reading, keys in seen.items()
            if reading not in self._folded and self._agree(keys)
        }

    def _agree(self, keys: list[str]) -> bool:
        first = self.models[keys[0]].price
        return all(self.models[key].price == first for key in keys[1:])


class _Agreement:
    """What several hosts say of one model: an entry for all, and how many they are."""

    __slots__ = ("hosts", "key", "last", "provider_id")

    def __init__(self, provider_id: str, key: str) -> None:
        self.provider_id = self.last = provider_id
        self.key = key
        self.hosts = 1


class PriceIndex:
    """Answer what is listed of a model.

    Cost:  about 20 us a listed model to build, 30 us to look a model up, whatever is
           listed: dictionary look-ups by reading, no search.
    """

    def __init__(self, listings: Sequence[Listing]) -> None:
        self._sources = [(each.source, each.url, each.date) for each in listings]
        self._shelves: dict[str, _Shelf] = {}
        for number, listing in enumerate(listings):
            for provider in listing.providers.values():
                shelf = self._shelves.setdefault(provider.id, _Shelf())
                for model in provider.models.values():
                    shelf.add(model, number)
        self._agreed: dict[str, _Agreement] | None = None

    def find(self, provider_id: str, model_id: str) -> Found | None:
        """Return a provider's own entry, as it or a source spells it."""
        shelf = self._shelves.get(provider_id)
        if shelf is None:
            return None
        key = model_id if model_id in shelf.models else shelf.key(readings(model_id))
        return None if key is None else self._found(provider_id, key)

    def entry(self, provider_id: str, model_id: str) -> ListedModel | None:
        """Return what a provider's own listing says of a model."""
        found = self.find(provider_id, model_id)
        return found.model if found else None

    def generic(self, model_id: str) -> Found | None:
        """Return the maker's entry; else anyone's, if all that list it agree.

        Shapes:  only entries with a price, and none that is free: what one host gives
                 away says nothing of another. One host alone agrees with nobody.
        """
        return self._by_readings(readings(model_id))

    def guess(self, model_id: str) -> Found | None:
        """Return the maker's entry of the same model in another packaging.

        Shapes:  ``x-instruct`` for ``x``; a guess, and to be marked as one.
        """
        found = readings(model_id)
        plain = dict.fromkeys(undressed(each) for each in found)
        return self._by_readings([each for each in plain if each not in found])

    def _by_readings(self, found: Sequence[str]) -> Found | None:
        for reading in found:
            for maker in self._makers(reading):
                shelf = self._shelves[maker]
                key = shelf.key((reading,))
                if key is not None and _is_priced(shelf.models[key]):
                    return self._found(maker, key)
        agreed = self._agreements()
        for reading in found:
            place = agreed.get(reading)
            if place is not None and place.hosts > 1:
                return self._found(place.provider_id, place.key)
        return None

    def _makers(self, reading: str) -> Iterator[str]:
        if reading.startswith(_OPEN_WEIGHTS):
            return
        for maker, words in MAKERS.items():
            if maker in self._shelves and (not words or reading.startswith(words)):
                yield maker

    def _agreements(self) -> dict[str, _Agreement]:
        """Return what all hosts that list a model say of it, by bare reading."""
        if self._agreed is None:
            self._agreed = {}
            for provider_id in sorted(self._shelves):
                for key, model in self._shelves[provider_id].models.items():
                    if _is_priced(model):
                        self._hear(bare(key), provider_id, key)
        return self._agreed

    def _hear(self, reading: str, provider_id: str, key: str) -> None:
        agreed = self._agreed if self._agreed is not None else {}
        known = agreed.get(reading)
        if known is None:
            agreed[reading] = _Agreement(provider_id, key)
            return
        theirs = self._shelves[known.provider_id].models[known.key].price
        if theirs != self._shelves[provider_id].models[key].price:
            known.hosts = _AT_ODDS
        elif known.last != provider_id:
            known.hosts += 1
        known.last = provider_id

    def _found(self, provider_id: str, key: str) -> Found:
        shelf = self._shelves[provider_id]
        source, url, date = self._sources[shelf.origins[key]]
        return Found(shelf.models[key], provider_id, source, url, date)


@cache
def embedded_index() -> PriceIndex:
    """Return what is shipped with the product, indexed once a process."""
    return PriceIndex([embedded_listing()])


# One index a process: it is some megabytes.
_last: tuple[tuple[Listing, ...], PriceIndex] | None = None


def index_of(listings: Iterable[Listing]) -> PriceIndex:
    """Return the index of these listings; the last one is kept for the same ones."""
    global _last
    wanted = tuple(listings)
    if _last is not None and _is_same(_last[0], wanted):
        return _last[1]
    index = PriceIndex(wanted)
    _last = (wanted, index)
    return index


def _is_same(known: tuple[Listing, ...], wanted: tuple[Listing, ...]) -> bool:
    if len(known) != len(wanted):
        return False
    return all(one is other for one, other in zip(known, wanted, strict=True))


def _with_plain_writes(model: ListedModel) -> ListedModel:
    """Read a cache write for nothing as one without a surcharge.

    Lists write zero where a vendor takes nothing on top of the input price; the tokens
    are prompt all the same, and not free.
    """
    price = model.price
    if price is None or price.cache_write != 0 or not price.input:
        return model
    plain = msgspec.structs.replace(price, cache_write=None)
    return msgspec.structs.replace(model, price=plain)


def _filled(known: ListedModel, further: ListedModel) -> ListedModel:
    """Fill what a more trusted source leaves open.

    A price is filled column by column only where both say the same of text: with
    another base the rest of a price is of another time.
    """
    changes: dict[str, object] = {}
    for name in ("context_window", "max_output"):
        if getattr(known, name) is None and getattr(further, name) is not None:
            changes[name] = getattr(further, name)
    price = _filled_price(known.price, further.price)
    if price != known.price:
        changes["price"] = price
    if known.price is None and price is not None:
        # Whoever states the price is named, not who stated the rest.
        changes["origin"] = further.origin
    return msgspec.structs.replace(known, **changes) if changes else known


def _filled_price(
    known: PriceSpec | None, further: PriceSpec | None
) -> PriceSpec | None:
    if known is None or further is None:
        return known or further
    if any(getattr(known, name) != getattr(further, name) for name in _BASE):
        return known
    if known.long_threshold not in (None, further.long_threshold):
        further = without_long(further)
    columns = {
        name: getattr(further, name)
        for name in PriceSpec.__struct_fields__
        if getattr(known, name) is None and getattr(further, name) is not None
    }
    return msgspec.structs.replace(known, **columns) if columns else known


def without_long(price: PriceSpec) -> PriceSpec:
    """Return a price without its long-context columns."""
    names = [name for name in PriceSpec.__struct_fields__ if name.startswith("long_")]
    return msgspec.structs.replace(price, **dict.fromkeys(names))


def _is_priced(model: ListedModel) -> bool:
    """Tell whether an entry says what others may cost too: more than nothing."""
    price = model.price
    return price is not None and any(getattr(price, name) for name in _RATES)
