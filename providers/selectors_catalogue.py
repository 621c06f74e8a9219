"""Look into the catalogue: who fits what a person is looking for, and who is added.

Pure but for one query that finds out who is in the pool already.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, Final

from pricing.book.listing_file import embedded_listing
from providers.catalogue import spec
from providers.catalogue.spec import CatalogueEntry
from providers.discovery.roots import placeholders
from providers.models import Provider

CAPABILITIES: Final = {
    "tools": "Tools",
    "vision": "Vision",
    "reasoning": "Reasoning",
    "embedding": "Embeddings",
    "image": "Images",
    "speech": "Speech",
}
AUTH: Final = {
    "api_key": "API key",
    "oauth": "Sign-in",
    "cloud": "Cloud credential",
    "none": "No key",
}
KINDS: Final = {
    "builtin": "Model vendors",
    "platform": "Platforms",
    "local": "Own machine",
    "ide": "IDEs and CLIs",
    "media": "Media",
}


@dataclass(frozen=True)
class Wanted:
    """What a person looks for; blank = anything."""

    text: str = ""
    kind: str = ""
    region: str = ""
    auth: str = ""
    capability: str = ""
    is_free: bool = False

    @classmethod
    def of(cls, values: Mapping[str, str]) -> Wanted:
        """Read the parameters of a page or of the API."""
        return cls(
            text=values.get("q", "").strip()[:80],
            kind=values.get("kind", ""),
            region=values.get("region", ""),
            auth=values.get("auth", ""),
            capability=values.get("can", ""),
            is_free=values.get("free", "") not in ("", "0", "false"),
        )

    @property
    def is_filtered(self) -> bool:
        """Tell whether anything but the text narrows the list."""
        return any((self.kind, self.region, self.auth, self.capability, self.is_free))


@dataclass(frozen=True)
class Tile:
    """One provider of the catalogue as it is shown.

    Shapes:  ``models`` None = nobody counted them.
    """

    entry: CatalogueEntry
    models: int | None
    is_added: bool

    @property
    def auth_words(self) -> str:
        """How one gets in, in words."""
        if self.entry.location == "local":
            return "On your own machine"
        return ", ".join(AUTH.get(name, name) for name in self.entry.auth)


def tiles(wanted: Wanted) -> list[Tile]:
    """Return who fits, the best known first without a text, by name with one.

    Cost:  one query.
    """
    added = set(
        Provider.objects.filter(deleted_at=None).values_list("catalogue_id", flat=True)
    )
    found = [each for each in spec.entries().values() if _fits(each, wanted)]
    text = wanted.text.lower()
    found.sort(key=lambda each: _rank(each, text))
    return [Tile(each, _facts(each.id)[0], each.id in added) for each in found]


def regions() -> list[str]:
    """Return the regions the catalogue knows."""
    return sorted({each.region for each in spec.entries().values() if each.region})


def table(found: Iterable[Tile]) -> list[dict[str, Any]]:
    """Return tiles as rows of the API."""
    rows = []
    for tile in found:
        entry = tile.entry
        rows.append(
            {
                "id": entry.id,
                "name": entry.name,
                "kind": kind_of(entry),
                "location": entry.location,
                "region": entry.region,
                "base_url": entry.base_url,
                "placeholders": list(placeholders(entry.base_url)),
                "alternates": list(entry.alternates),
                "format": entry.format,
                "other_formats": entry.other_formats,
                "auth": list(entry.auth),
                "key_url": entry.key_url,
                "environment": list(entry.environment),
                "needs_key": entry.needs_key,
                "free_tier": entry.free_tier,
                "capabilities": sorted(capabilities_of(entry)),
                "terms": entry.terms,
                "models": tile.models,
                "added": tile.is_added,
            }
        )
    return rows


def kind_of(entry: CatalogueEntry) -> str:
    """Return what kind of provider it is; one on this machine is a kind of its own."""
    return "local" if entry.location == "local" else entry.type


def capabilities_of(entry: CatalogueEntry) -> frozenset[str]:
    """Return what the catalogue and its list of models say a provider can do."""
    return frozenset(entry.capabilities) | _facts(entry.id)[1]


def as_words(wanted: Wanted) -> dict[str, Any]:
    """Return what is looked for as plain values."""
    return asdict(wanted)


def _fits(entry: CatalogueEntry, wanted: Wanted) -> bool:
    text = wanted.text.lower()
    if text and not any(text in words for words in _words(entry)):
        return False
    return (
        wanted.kind in ("", kind_of(entry))
        and wanted.region in ("", entry.region)
        and (not wanted.auth or wanted.auth in entry.auth)
        and (not wanted.capability or wanted.capability in capabilities_of(entry))
        and (entry.free_tier or not wanted.is_free)
    )


def _words(entry: CatalogueEntry) -> tuple[str, ...]:
    every = (entry.id, entry.name, entry.base_url, *entry.aliases)
    return tuple(words.lower() for words in every)


def _rank(entry: CatalogueEntry, text: str) -> tuple[bool, bool, int, str]:
    name = entry.name.lower()
    starts = any(words.startswith(text) for words in (name, entry.id))
    place = entry.featured if entry.featured and not text else 10_000
    return (not starts if text else False, entry.beta, place, name)


@lru_cache(maxsize=2048)
def _facts(entry_id: str) -> tuple[int | None, frozenset[str]]:
    """Count the models the embedded listing knows of a provider."""
    entry = spec.entries().get(entry_id)
    if entry is None:
        return None, frozenset()
    listed = embedded_listing().providers.get(entry.listing_id or entry.id)
    if listed is None:
        return None, frozenset()
    can: set[str] = set()
    for model in listed.models.values():
        can.update(model.capabilities)
        can.add(model.kind)
        if "image" in model.inputs:
            can.add("vision")
    return len(listed.models), frozenset(can & set(CAPABILITIES))
