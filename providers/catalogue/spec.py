"""The embedded catalogue of providers: facts to fill a form with, no rows.

It knows the providers that speak a wire format the product has; the data file
names its source and date. A stored provider's own values always win over it.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import msgspec

from providers.catalogue import plugins

DATA = Path(__file__).parent / "data" / "providers.json"


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
             using it, in a sentence.
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
    return sorted(chosen, key=lambda entry: entry.featured)


def search(text: str) -> list[CatalogueEntry]:
    """Return entries whose id, name or host contains the text, names first."""
    wanted = text.strip().lower()
    found = [
        entry
        for entry in entries().values()
        if wanted in entry.id
        or wanted in entry.name.lower()
        or wanted in entry.base_url
    ]
    return sorted(found, key=lambda e: (not e.name.lower().startswith(wanted), e.name))
