"""Say what is publicly known right now, the most trusted source first.

Whoever looks a price or a fact up takes the first listing that has it. What people set
is no matter of this module: it comes before all of these.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

import msgspec

from pricing.book import loader
from pricing.feeds.diff import is_settled
from pricing.feeds.packed import Kept, key_of, unpack
from pricing.feeds.sources import SOURCES, TRUSTED
from pricing.listing import ListedModel, ListedProvider, Listing
from pricing.models import Feed

_TRIES: Final = 3


class _ChangedError(Exception):
    """A source was changed between two queries."""


def listings() -> list[Listing]:
    """Return everything known, in order of trust; treat it as read-only.

    Shapes:  OpenRouter's own list (of provider ``openrouter`` only), models.dev, the
             LiteLLM price file, each if it was ever read, and the embedded catalogue
             last. Where the release settled a price against a source, the listing of
             that source has none while it says what it first said: ``diff.is_settled``.
             A source that is switched off is not asked, but what it said still holds
             until somebody clears it.
    Cost:    one small query; one more, and the unpacking, when a source has changed.
    """
    stored = Feed.objects.exclude(digest="").filter(name__in=TRUSTED)
    for _ in range(_TRIES):
        try:
            return _listings(tuple(sorted(stored.values_list("name", "digest"))))
        except _ChangedError:
            continue
    return [loader.embedded_listing()]


def forget() -> None:
    """Drop what is cached in this process."""
    _listings.cache_clear()
    _unpacked.cache_clear()


@lru_cache(maxsize=2)
def _listings(stored: tuple[tuple[str, str], ...]) -> list[Listing]:
    embedded = loader.embedded_listing()
    digests = dict(stored)
    found = []
    for name in TRUSTED:
        if name in digests:
            kept = _unpacked(name, digests[name])
            only = SOURCES[name].providers
            found.append(_settled(_limited(kept.listing, only), kept, embedded))
    return [*found, embedded]


@lru_cache(maxsize=len(TRUSTED))
def _unpacked(name: str, digest: str) -> Kept:
    raw = Feed.objects.filter(name=name, digest=digest).values_list(
        "listing", flat=True
    )
    packed = raw.first()
    if not packed:
        raise _ChangedError  # and is not remembered
    return unpack(bytes(packed))


def _limited(listing: Listing, only: Iterable[str]) -> Listing:
    wanted = set(only)
    if not wanted:
        return listing
    own = {key: each for key, each in listing.providers.items() if key in wanted}
    return msgspec.structs.replace(listing, providers=own)


def _settled(listing: Listing, kept: Kept, embedded: Listing) -> Listing:
    """Leave out what a source first said where the release has settled a price."""
    providers = {
        # A vendor's own list is its own word.
        key: provider
        if key == listing.source
        else _with_settled(provider, kept, embedded)
        for key, provider in listing.providers.items()
    }
    return msgspec.structs.replace(listing, providers=providers)


def _with_settled(
    provider: ListedProvider, kept: Kept, embedded: Listing
) -> ListedProvider:
    shipped = embedded.providers.get(provider.id)
    changed: dict[str, ListedModel] = {}
    for key, model in shipped.models.items() if shipped else ():
        stated = provider.models.get(key)
        since = kept.since.get(key_of(provider.id, key), "")
        if stated is not None and is_settled(
            model, kept.listing.source, since, embedded.date
        ):
            changed[key] = msgspec.structs.replace(stated, price=None)
    if not changed:
        return provider
    return msgspec.structs.replace(provider, models={**provider.models, **changed})
