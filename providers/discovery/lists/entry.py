"""Read single values out of a vendor's list, whatever stands there instead of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

from poolsite.columns import is_plain
from poolsite.money import AmountError, per_million_nano_from_usd_per_unit
from pricing.listing import ListedModel

MOST_MODELS: Final = 5000
LONGEST_ID: Final = 200
_MOST_TOKENS: Final = 2_000_000_000
_DEAREST: Final = 10**18
"""No price is a billion dollars per million of anything."""
_EARLIEST_S: Final = 1_420_070_400
_LATEST_S: Final = 4_102_444_800


class NotAListError(ValueError):
    """What came is no list of models in this shape."""


def items(data: Any, *names: str) -> list[dict[str, Any]]:
    """Return the entries under the first of these names that is there, or a bare list.

    Errors:  NotAListError.
    """
    found = data
    if isinstance(data, dict):
        found = next((data[name] for name in names if name in data), None)
    if not isinstance(found, list):
        raise NotAListError("no list")
    return [each for each in found if isinstance(each, dict)]


def model_id(value: Any) -> str:
    """Return a model's id, blank for what cannot be one."""
    if not isinstance(value, str):
        return ""
    text = value.strip()
    good = 0 < len(text) <= LONGEST_ID and text.isprintable() and is_plain(text)
    return text if good else ""


def words(value: Any, longest: int = LONGEST_ID) -> str:
    """Return a name for people, without what could not be shown."""
    if not isinstance(value, str):
        return ""
    kept = "".join(sign if sign.isprintable() else " " for sign in value[: 4 * longest])
    return " ".join(kept.split())[:longest] if is_plain(kept) else ""


def count(*values: Any) -> int | None:
    """Return the first that is a positive number of tokens; None for none."""
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        if 0 < value <= _MOST_TOKENS:  # no NaN is
            return int(value)
    return None


def texts(value: Any) -> tuple[str, ...]:
    """Return the short texts of a list, those a database can hold."""
    if not isinstance(value, list):
        return ()
    return tuple(
        each
        for each in value[:100]
        if isinstance(each, str) and len(each) < 60 and each.isprintable()
    )


def table(value: Any) -> dict[str, Any]:
    """Return an object, empty for anything else."""
    return value if isinstance(value, dict) else {}


def price(value: Any) -> int | None:
    """Read USD per unit as nano-USD per million units; None for what is no price.

    Shapes:  decimal text or a number; a vendor's "-1" means it depends.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        found = per_million_nano_from_usd_per_unit(str(value))
    except (AmountError, ValueError):  # also of an integer too long to be written
        return None
    return found if found <= _DEAREST else None


def day(value: Any) -> str:
    """Return YYYY-MM-DD of a Unix time or of a text that begins with a date."""
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value[:10]).date().isoformat()
        except ValueError:
            return ""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    if not _EARLIEST_S < value < _LATEST_S:
        return ""
    return datetime.fromtimestamp(value, UTC).date().isoformat()


def distinct(found: Iterable[ListedModel]) -> list[ListedModel]:
    """Return models with an id, each once, at most MOST_MODELS."""
    kept: dict[str, ListedModel] = {}
    for each in _named(found):
        if each.id not in kept and len(kept) < MOST_MODELS:
            kept[each.id] = each
    return list(kept.values())


def _named(found: Iterable[ListedModel]) -> Iterator[ListedModel]:
    return (each for each in found if each.id)
