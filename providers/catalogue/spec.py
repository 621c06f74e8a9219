"""The embedded catalogue of providers: facts to fill a form with, no rows.

It knows the providers that speak a wire format the product has; the data file
names its source and date. A stored provider's own values always win over it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from providers.catalogue import plugins

DATA = Path(__file__).parent / "data" / "providers.json"

_BRACES = re.compile(r"\{([a-z_]+)\}")


class CatalogueEntry(msgspec.Struct, frozen=True):
    """One provider as its vendor documents it.

    Shapes:  ``environment`` are variable names people usually hold the key in;
             ``featured`` above 0 is its place among the first tiles;
             ``other_formats`` are further dialects, with their own root or blank;
             ``alternates`` further roots of the same provider (regions, plans), tried
             where a key is refused. ``base_url`` may hold names in braces, which the
             form asks for. ``auth`` says how one gets in: api_key, oauth, cloud, none;
             ``region`` where its servers and its terms are: global, cn, us, eu ...;
             ``aliases`` are words people search it by; ``listing_id`` is its id in the
             book of models, blank for its own; ``terms`` what one should know before
             using it, in a sentence. ``capabilities`` are kinds of models and words of
             what they can do, as in pricing.listing; empty where nothing is known.
    """

    id: str
    name: str
    type: str
    location: str
    base_url: str
    format: str
    key_url: str
    environment: tuple[str, ...]
    needs_key: bool
    featured: int = 0
    other_formats: dict[str, str] = {}
    alternates: tuple[str, ...] = ()
    auth: tuple[str, ...] = ("api_key",)
    auth_scheme: str = ""
    region: str = "global"
    free_tier: bool = False
    website: str = ""
    documentation: str = ""
    aliases: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()
    listing_id: str = ""
    terms: str = ""
    beta: bool = False

    @property
    def host(self) -> str:
        """Return the host of the base URL, names in braces included."""
        return urlsplit(self.base_url).netloc

    @property
    def placeholders(self) -> tuple[str, ...]:
        """Return the names the base URL asks for."""
        return tuple(dict.fromkeys(_BRACES.findall(self.base_url)))

    @property
    def listed_as(self) -> str:
        """Return its id in the book of models."""
        return self.listing_id or self.id


class _File(msgspec.Struct):
    source: str
    date: str
    providers: tuple[CatalogueEntry, ...]


@lru_cache(maxsize=1)
def entries() -> dict[str, CatalogueEntry]:
    """Return the catalogue by id; read from disk once a process."""
    data = msgspec.json.decode(DATA.read_bytes(), type=_File)
    found = {entry.id: entry for entry in data.providers}
    for entry in plugins.installed(CatalogueEntry):
        found.setdefault(entry.id, entry)
    return found


def featured() -> list[CatalogueEntry]:
    """Return the entries shown first, in their order."""
    chosen = [entry for entry in entries().values() if entry.featured]
    return sorted(chosen, key=_place)


def search(text: str) -> list[CatalogueEntry]:
    """Return entries a text is in the id, name, alias or host of, best first.

    Shapes:  names that begin with it, then names and aliases, then hosts; each by name.
    """
    wanted = text.strip().lower()
    ranked = [(_rank(entry, wanted), entry) for entry in entries().values()]
    found = [pair for pair in ranked if pair[0] is not None]
    return [entry for _, entry in sorted(found, key=_by_rank)]


def filtered(
    text: str = "",
    *,
    region: str = "",
    auth: str = "",
    type: str = "",
    capability: str = "",
    free: bool = False,
) -> list[CatalogueEntry]:
    """Return what ``search`` finds and every filter that is given lets through.

    Shapes:  ``type`` is a provider's type, or ``local`` for servers of one's own;
             ``capability`` a word of an entry's capabilities.
    """
    return [
        entry
        for entry in search(text)
        if (not region or entry.region == region)
        and (not auth or auth in entry.auth)
        and (not type or type in (entry.type, entry.location))
        and (not capability or capability in entry.capabilities)
        and (not free or entry.free_tier)
    ]


def match_environment(names: Iterable[str]) -> list[tuple[CatalogueEntry, str]]:
    """Return whose key a server's environment seems to hold, and in which variable.

    Shapes:  names only, never values; a variable several providers use is offered for
             each, featured ones first. Of a provider's variables the first counts.
    """
    there = set(names)
    found: list[tuple[CatalogueEntry, str]] = []
    for entry in entries().values():
        name = next((each for each in entry.environment if each in there), None)
        if name is not None:
            found.append((entry, name))
    return sorted(found, key=_by_place)


def _rank(entry: CatalogueEntry, wanted: str) -> int | None:
    name = entry.name.lower()
    if name.startswith(wanted) or entry.id == wanted:
        return 0
    if wanted in name or wanted in entry.id:
        return 1
    if any(wanted in alias for alias in entry.aliases):
        return 1
    return 2 if wanted in entry.host.lower() or wanted in entry.base_url else None


def _by_rank(found: tuple[int | None, CatalogueEntry]) -> tuple[int, str, str]:
    rank, entry = found
    return rank or 0, entry.name.lower(), entry.id


def _place(entry: CatalogueEntry) -> int:
    return entry.featured


def _by_place(found: tuple[CatalogueEntry, str]) -> tuple[int, str]:
    entry, _ = found
    return entry.featured or len(entries()), entry.id
