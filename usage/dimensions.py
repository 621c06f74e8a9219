"""Number the strings of the ledger, each stored once."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Final

from django.db.models import Q

from usage.models import Dimension

MODEL: Final = "model"
PROVIDER: Final = "provider"
CREDENTIAL: Final = "credential"
PURPOSE: Final = "purpose"
DIALECT: Final = "dialect"
SESSION: Final = "session"
AGENT: Final = "agent"
END_USER: Final = "end_user"
MODE: Final = "mode"
ERROR: Final = "error"
OUTCOME: Final = "outcome"
DECISION: Final = "decision"
PRICE_SOURCE: Final = "price_source"

_MAX_LENGTH: Final = 255
_MAX_CACHED: Final = 50_000
_CHUNK: Final = 200

Pair = tuple[str, str]


def clean(text: str, limit: int = _MAX_LENGTH) -> str:
    """Make client text fit a column: no NUL, which PostgreSQL refuses, and no more
    than the column holds.
    """  # noqa: D205 - one sentence
    if len(text) <= limit and "\x00" not in text:
        return text
    return text.replace("\x00", "")[:limit]


class Dimensions:
    """Look numbers up, making those that are missing.

    The memory is only filled through ``remember``, after the transaction that made
    the numbers was committed: a rolled back number must not be handed out again.
    """

    def __init__(self) -> None:
        self._known: dict[Pair, int] = {}

    def resolve(self, pairs: Iterable[Pair]) -> dict[Pair, int]:
        """Return a number for every pair, inside the caller's transaction.

        Cost: no query when all are remembered, else one or three per 200 pairs.
        """
        wanted = set(pairs)
        found = {pair: self._known[pair] for pair in wanted if pair in self._known}
        # One order for everybody: two nodes then never wait for each other.
        missing = iter(sorted(wanted - found.keys()))
        while chunk := list(islice(missing, _CHUNK)):
            found.update(_get_or_create(chunk))
        return found

    def remember(self, numbers: dict[Pair, int]) -> None:
        """Keep numbers whose transaction is committed."""
        if len(self._known) + len(numbers) > _MAX_CACHED:
            self._known.clear()
        self._known.update(numbers)


def _get_or_create(pairs: list[Pair]) -> dict[Pair, int]:
    found = _select(pairs)
    missing = [pair for pair in pairs if pair not in found]
    if missing:
        rows = [Dimension(kind=kind, value=value) for kind, value in missing]
        Dimension.objects.bulk_create(rows, ignore_conflicts=True)
        found.update(_select(missing))
    return found


def _select(pairs: list[Pair]) -> dict[Pair, int]:
    by_kind: dict[str, list[str]] = {}
    for kind, value in pairs:
        by_kind.setdefault(kind, []).append(value)
    where = Q()
    for kind, values in by_kind.items():
        where |= Q(kind=kind, value__in=values)
    rows = Dimension.objects.filter(where).values_list("kind", "value", "id")
    return {(kind, value): number for kind, value, number in rows}
