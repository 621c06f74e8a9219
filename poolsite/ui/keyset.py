"""Page through long tables by the last row seen, never by counting rows.

An offset gets slower with depth and shifts under the reader while rows arrive; a key
does neither. The cursor holds one row's key and the direction. It is checked field by
field rather than signed: a forged cursor can only start the reader elsewhere in rows
the view already allowed.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.core.exceptions import BadRequest, ValidationError
from django.db.models import Q, QuerySet

PAGE_SIZE: Final = 50
_MAX_CURSOR: Final = 300


@dataclass(frozen=True, slots=True)
class Page:
    """One screenful, newest first; ``newer`` and ``older`` are cursors or empty."""

    rows: Sequence[Any]
    newer: str = ""
    older: str = ""

    @property
    def has_other(self) -> bool:
        """Tell whether there is anywhere else to go."""
        return bool(self.newer or self.older)


def paginate(
    queryset: QuerySet[Any],
    cursor: str = "",
    *,
    key: Sequence[str] = ("at", "id"),
    size: int = PAGE_SIZE,
) -> Page:
    """Return the page a cursor asks for, newest first.

    Shapes: ``key`` is one or two field names that together are unique; index them.
    Errors: BadRequest for a cursor that this page never gave out.
    Cost:   one query of ``size + 1`` rows whatever the depth.
    """
    descending = [f"-{name}" for name in key]
    if not cursor:
        rows = list(queryset.order_by(*descending)[: size + 1])
        more = len(rows) > size
        return _page(rows[:size], key, newer=False, older=more)
    is_older, values = _decode(cursor, queryset, key)
    found = queryset.filter(_beyond(key, values, "lt" if is_older else "gt"))
    if is_older:
        rows = list(found.order_by(*descending)[: size + 1])
        return _page(rows[:size], key, newer=True, older=len(rows) > size)
    rows = list(found.order_by(*key)[: size + 1])
    more = len(rows) > size
    return _page(rows[:size][::-1], key, newer=more, older=True)


def _beyond(key: Sequence[str], values: Sequence[Any], side: str) -> Q:
    first, *rest = key
    if not rest:
        return Q(**{f"{first}__{side}": values[0]})
    # The outer bound lets the database walk the index; the inner one breaks ties.
    bound = Q(**{f"{first}__{side}e": values[0]})
    return bound & (
        Q(**{f"{first}__{side}": values[0]}) | Q(**{f"{rest[0]}__{side}": values[1]})
    )


def _page(rows: list[Any], key: Sequence[str], *, newer: bool, older: bool) -> Page:
    if not rows:
        return Page(rows)
    return Page(
        rows,
        newer=_encode("n", rows[0], key) if newer else "",
        older=_encode("o", rows[-1], key) if older else "",
    )


def _encode(direction: str, row: Any, key: Sequence[str]) -> str:
    values = [row[n] if isinstance(row, dict) else getattr(row, n) for n in key]
    texts = [v.isoformat() if hasattr(v, "isoformat") else str(v) for v in values]
    raw = json.dumps([direction, *texts], separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(
    cursor: str, queryset: QuerySet[Any], key: Sequence[str]
) -> tuple[bool, list[Any]]:
    damaged = BadRequest("This page link is damaged. Open the list again.")
    if len(cursor) > _MAX_CURSOR:
        raise damaged
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        direction, *texts = json.loads(raw)
        fields = [queryset.model._meta.get_field(name) for name in key]
        pairs = zip(fields, texts, strict=True)
        values = [field.to_python(str(text)) for field, text in pairs]
    except (ValueError, TypeError, binascii.Error, ValidationError) as exc:
        raise damaged from exc
    if direction not in ("n", "o"):
        raise damaged
    return direction == "o", values
