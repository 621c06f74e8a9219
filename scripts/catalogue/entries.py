"""Make the catalogue of providers: those kept by hand, and all models.dev can reach."""

from __future__ import annotations

import json
from typing import Any, Final, TypeAlias

from pricing.feeds.provider_ids import table
from pricing.listing import KINDS, ListedProvider, Listing
from scripts.catalogue.hand import FOLDER

Entry: TypeAlias = dict[str, Any]

SOURCE: Final = (
    "kept by hand from the vendors' public documentation; the rest from models.dev"
    " (MIT), see docs/catalogue.md"
)

_LOCAL: Final = ("http://localhost", "http://127.0.0.1")
_FULL_PATHS: Final = ("/chat/completions", "/messages", "/responses")
_TELLING: Final = ("tools", "vision", "reasoning", "json_schema", "cache", "web_search")
_PLANS: Final = ("coding", "token-plan", "-plan")


def make(models_dev: Listing) -> list[Entry]:
    """Return all entries by id; one kept by hand wins as a whole."""
    raw = json.loads((FOLDER / "providers.json").read_text())
    found: dict[str, Entry] = {entry["id"]: entry for entry in raw["providers"]}
    for provider in models_dev.providers.values():
        if provider.id not in found and provider.base_url:
            found[provider.id] = _entry(provider)
    for entry in found.values():
        known = models_dev.providers.get(entry["id"])
        if known is not None and known.documentation:
            entry.setdefault("documentation", known.documentation)
    theirs = {ours: name for name, ours in table("models_dev").items()}
    regions = json.loads((FOLDER / "regions.json").read_text())
    for entry in found.values():
        alias = theirs.get(entry["id"])
        if alias:
            entry["aliases"] = sorted({*entry.get("aliases", ()), alias})
        if entry["id"] in regions:
            entry.setdefault("region", regions[entry["id"]])
    return [found[name] for name in sorted(found)]


def listing_id(entry: Entry) -> str:
    """Return under which id the listing has the models of an entry."""
    return str(entry.get("listing_id") or entry["id"])


def add_capabilities(catalogue: list[Entry], listing: Listing) -> None:
    """Say of each entry what any of its listed models is for and can do."""
    for entry in catalogue:
        known = listing.providers.get(listing_id(entry))
        if known is None or "capabilities" in entry:
            continue
        models = known.models.values()
        kinds = {model.kind for model in models} - {"other"}
        can = {word for model in models for word in model.capabilities}
        entry["capabilities"] = [
            *(word for word in sorted(KINDS) if word in kinds),
            *(word for word in _TELLING if word in can),
        ]


def text(catalogue: list[Entry], date: str) -> str:
    """Return the file as the catalogue reads it, one line an entry."""
    head = json.dumps({"source": SOURCE, "date": date}, ensure_ascii=False)[:-1]
    rows = ",\n".join(
        json.dumps(_ordered(each), ensure_ascii=False) for each in catalogue
    )
    return f'{head}, "providers": [\n{rows}\n]}}\n'


def _entry(provider: ListedProvider) -> Entry:
    base_url = provider.base_url
    for path in _FULL_PATHS:
        base_url = base_url.removesuffix(path)
    is_local = base_url.startswith(_LOCAL)
    base_url = base_url.replace("http://127.0.0.1", "http://localhost")
    entry: Entry = {
        "id": provider.id,
        "name": provider.name or provider.id,
        "type": "platform",
        "location": "local" if is_local else "cloud",
        "base_url": _in_braces(base_url),
        "format": "anthropic" if _is_anthropic(base_url) else "openai",
        "key_url": "",
        "environment": _keys(provider.environment),
        "needs_key": not is_local,
    }
    if is_local:
        entry["auth"] = ["none"]
    if any(word in provider.id for word in _PLANS):
        entry["terms"] = PLAN_TERMS
    return entry


PLAN_TERMS: Final = (
    "A subscription for coding tools: its terms may forbid other use and sharing."
)


def _is_anthropic(base_url: str) -> bool:
    return "/anthropic" in base_url


def _in_braces(base_url: str) -> str:
    """Turn ``${NAME}`` into ``{name}``, which the form asks for."""
    out = ""
    rest = base_url
    while "${" in rest:
        before, _, rest = rest.partition("${")
        name, _, rest = rest.partition("}")
        out += f"{before}{{{name.lower()}}}"
    return out + rest


def _keys(names: tuple[str, ...]) -> list[str]:
    """Return the variables that hold a key, not an address or an account."""
    other = ("_ENDPOINT", "_URL", "_HOST", "_ACCOUNT_ID", "_RESOURCE_NAME", "_REGION")
    return [name for name in names if not name.endswith(other)]


def _ordered(entry: Entry) -> Entry:
    return {name: entry[name] for name in _FIELDS if name in entry}


_FIELDS: Final = (
    "id",
    "name",
    "type",
    "location",
    "base_url",
    "format",
    "key_url",
    "environment",
    "needs_key",
    "featured",
    "other_formats",
    "alternates",
    "auth",
    "auth_scheme",
    "region",
    "free_tier",
    "website",
    "documentation",
    "aliases",
    "capabilities",
    "listing_id",
    "terms",
    "beta",
)
