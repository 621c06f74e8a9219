"""Know a provider under the id each source gives it."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import Final

import msgspec

_SLUG: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,79}")


@cache
def table(source: str) -> dict[str, str]:
    """Return a source's own ids with the catalogue's for them."""
    raw = files("pricing.book").joinpath("provider_ids.json").read_bytes()
    return msgspec.json.decode(raw, type=dict[str, dict[str, str]])[source]


def catalogue_id(source: str, theirs: str) -> str:
    """Return the catalogue's id for a provider of a source.

    Fails:   blank for what can be no id.
    """
    known = table(source)
    found = known.get(theirs)
    if found is not None:
        return found
    ours = re.sub(r"[._ ]+", "-", theirs.lower()).strip("-")
    return ours if _SLUG.fullmatch(ours) else ""
