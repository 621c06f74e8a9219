"""Add up what a recalculation would change, by month, client key and model."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from usage import bulk
from usage.models import ClientKey
from usage.recalculation import choose
from usage.recalculation.choose import Row
from usage.recalculation.price import (
    CHANGED,
    KEPT,
    UNPRICEABLE,
    VERDICTS,
    Look,
    Pair,
)
from usage.selectors import strings

MOST: Final = 200
_SAMPLES: Final = 20
Sums = dict[Any, list[int]]
"""Number of attempts, then nano-USD, by key."""


class Found:
    """The result of a count, bounded whatever the ledger holds."""

    def __init__(self) -> None:
        # By verdict, provider and model: attempts, nano-USD before and after, and how
        # many had no cost before.
        self._seen: Sums = {}
        self._months: Sums = {}
        self._keys: Sums = {}
        self._samples: list[str] = []

    def add(self, asked: Row, row: Row, look: Look) -> None:
        """Count one attempt."""
        verdict, before, after, _ = look
        key = verdict, row[choose.PROVIDER], row[choose.MODEL]
        line = self._seen.get(key)
        if line is None:
            line = self._seen[key] = [0, 0, 0, 0]
        line[0] += 1
        line[1] += before or 0
        line[2] += after or 0
        line[3] += before is None
        if verdict == CHANGED:
            delta = (after or 0) - (before or 0)
            _grow(self._months, bulk.month(asked[choose.AT]), delta)
            _grow(self._keys, asked[choose.CLIENT_KEY] or 0, delta)
        elif verdict == UNPRICEABLE and len(self._samples) < _SAMPLES:
            self._samples.append(str(bulk.as_uuid(asked[choose.ID])))

    def as_json(self) -> dict[str, Any]:
        """Return the figures with names in place of numbers; two queries."""
        verdicts = dict.fromkeys(VERDICTS, 0)
        changed: Sums = {}
        unpriceable: Sums = {}
        totals, newly_priced = [0, 0, 0, 0], 0
        for (verdict, *pair), line in self._seen.items():
            verdicts[verdict] += line[0]
            totals = [sum(each) for each in zip(totals, line, strict=True)]
            if verdict == CHANGED:
                changed[tuple(pair)] = [line[0], line[2] - line[1]]
                newly_priced += line[3]
            elif verdict in (UNPRICEABLE, KEPT):
                known = unpriceable.setdefault(tuple(pair), [0, 0])
                known[0] += line[0]
                known[1] += line[1]
        _, before, after, _ = totals
        models, models_rest = _dearest(changed)
        keys, keys_rest = _dearest(self._keys)
        stuck, stuck_rest = _dearest(unpriceable, by_count=True)
        words = strings(
            number for lines in (models, stuck) for pair, _ in lines for number in pair
        )
        ids = [key for key, _ in keys]
        names = dict(ClientKey.objects.filter(pk__in=ids).values_list("pk", "name"))

        def pair_name(pair: Pair) -> str:
            return ":".join(words.get(number, "?") for number in pair)

        return {
            **verdicts,
            "chosen": sum(verdicts.values()),
            "newly_priced": newly_priced,
            "before_nano_usd": before,
            "after_nano_usd": after,
            "delta_nano_usd": after - before,
            "months": _lines(sorted(self._months.items()), str),
            "keys": _lines(keys, lambda pk: names.get(pk, f"key {pk}" if pk else "")),
            "keys_rest": keys_rest,
            "models": _lines(models, pair_name),
            "models_rest": models_rest,
            "without_price": _lines(stuck, pair_name),
            "without_price_rest": stuck_rest,
            "samples": self._samples,
        }


def _grow(sums: Sums, key: Any, delta: int) -> None:
    line = sums.setdefault(key, [0, 0])
    line[0] += 1
    line[1] += delta


def _dearest(
    sums: Sums, *, by_count: bool = False
) -> tuple[list[tuple[Any, list[int]]], dict[str, int]]:
    """Pick the lines that matter most and add the others up."""
    place = 0 if by_count else 1
    ordered = sorted(sums.items(), key=lambda item: (-abs(item[1][place]), item[0]))
    rest = ordered[MOST:]
    return ordered[:MOST], {
        "lines": len(rest),
        "attempts": sum(line[0] for _, line in rest),
        "delta_nano_usd": sum(line[1] for _, line in rest),
    }


def _lines(
    items: Iterable[tuple[Any, list[int]]], name: Callable[[Any], str]
) -> list[dict[str, Any]]:
    return [
        {"name": name(key), "attempts": line[0], "delta_nano_usd": line[1]}
        for key, line in items
    ]
