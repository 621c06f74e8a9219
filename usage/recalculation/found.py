"""Add up what a recalculation would change, by month, client key and model."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from usage.models import ClientKey
from usage.recalculation.choose import Row
from usage.recalculation.price import Look, Pair, Verdict
from usage.selectors import strings

MOST: Final = 200
_SAMPLES: Final = 20
Sums = dict[Any, list[int]]
"""Number of attempts and nano-USD by key."""


class Found:
    """The result of a count, bounded whatever the ledger holds.

    Units:  nano-USD; ``before`` and ``after`` cover the chosen attempts.
    """

    def __init__(self) -> None:
        self.by_verdict = dict.fromkeys(Verdict, 0)
        self.newly_priced = 0
        self.before_nano_usd = 0
        self.after_nano_usd = 0
        self._months: Sums = {}
        self._keys: Sums = {}
        self._models: Sums = {}
        self._unpriceable: Sums = {}
        self._samples: list[str] = []

    def add(self, asked: Row, row: Row, look: Look) -> None:
        """Count one attempt."""
        self.by_verdict[look.verdict] += 1
        self.before_nano_usd += look.before or 0
        self.after_nano_usd += look.after or 0
        pair = (row["provider_dim"], row["model_dim"])
        if look.verdict is Verdict.CHANGED:
            self.newly_priced += look.before is None
            for sums, key in (
                (self._months, f"{asked['at']:%Y-%m}"),
                (self._keys, asked["client_key_id"] or 0),
                (self._models, pair),
            ):
                _grow(sums, key, look.delta)
        elif look.verdict in (Verdict.UNPRICEABLE, Verdict.KEPT):
            _grow(self._unpriceable, pair, look.before or 0)
            if look.verdict is Verdict.UNPRICEABLE and len(self._samples) < _SAMPLES:
                self._samples.append(str(asked["id"]))

    def as_json(self) -> dict[str, Any]:
        """Return the figures with names in place of numbers; two queries."""
        verdicts = {
            verdict.value: count
            for verdict, count in self.by_verdict.items()
            if verdict is not Verdict.OUT
        }
        models, models_rest = _dearest(self._models)
        keys, keys_rest = _dearest(self._keys)
        stuck, stuck_rest = _dearest(self._unpriceable, by_count=True)
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
            "newly_priced": self.newly_priced,
            "before_nano_usd": self.before_nano_usd,
            "after_nano_usd": self.after_nano_usd,
            "delta_nano_usd": self.after_nano_usd - self.before_nano_usd,
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
