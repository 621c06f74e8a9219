"""Tell the data workers what the ledger holds of every budget window.

They add what they spent themselves and have not shipped yet; which part of the
ledger's sum came from them stands beside it, so that nothing is counted twice.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Final

import msgspec
from django.db.models import Q

from poolsite.clock import Clock
from usage.ledger import Window
from usage.limits.windows import TOTAL
from usage.models import BudgetWindow

FILE: Final = "spend.json"
_RECENT: Final = timedelta(days=32)
_CHUNK: Final = 400
_KEEP_GONE_S: Final = 60.0


class Spending:
    """The sums of current budget windows, as the file says them."""

    def __init__(self, run: Path, clock: Clock) -> None:
        self._path = run / FILE
        self._clock = clock
        self._totals: dict[Window, int] = {}
        self._is_loaded = False
        self._written_for: frozenset[str] = frozenset()
        # What came through journals that vanished, for stores that outlive a worker.
        self._last: dict[str, dict[Window, int]] = {}
        self._gone: dict[str, tuple[float, dict[Window, int]]] = {}

    def update(
        self, touched: Iterable[Window], shares: Mapping[str, Mapping[Window, int]]
    ) -> bool:
        """Read the windows that grew and write the file; tell whether it was written.

        Shapes:  ``shares`` is what came through each journal; one that vanished is
                 told for a while more, or its last moments would count twice.
        Cost:    one query a 400 windows; nothing when none grew.
        """
        windows = set(touched)
        living = frozenset(shares)
        if self._is_loaded and not windows and living == self._written_for:
            return False
        if not self._is_loaded:
            since = self._clock.now() - _RECENT
            # Of agents and sessions, only those that were heard of lately.
            recent = Q(updated_at__gte=since) | Q(window_id=TOTAL)
            self._read(recent)
            self._is_loaded = True
        ordered = sorted(windows)
        for start in range(0, len(ordered), _CHUNK):
            part = ordered[start : start + _CHUNK]
            where = Q(
                budget_id__in={budget for budget, _ in part},
                window_id__in={window for _, window in part},
            )
            self._read(where)
        self._write({**self._parted(shares), **shares})
        self._written_for = living
        return True

    def _parted(
        self, shares: Mapping[str, Mapping[Window, int]]
    ) -> dict[str, dict[Window, int]]:
        """Remember what journals held that are there no more, and return it."""
        now = self._clock.monotonic()
        for name in self._last.keys() - shares.keys():
            self._gone[name] = (now + _KEEP_GONE_S, self._last[name])
        self._last = {name: dict(windows) for name, windows in shares.items()}
        self._gone = {
            name: told
            for name, told in self._gone.items()
            if told[0] > now and name not in shares
        }
        return {name: windows for name, (_, windows) in self._gone.items()}

    def _read(self, where: Q) -> None:
        rows = BudgetWindow.objects.filter(where).values_list(
            "budget_id", "window_id", "spent_nano_usd"
        )
        for budget_id, window_id, spent in rows:
            self._totals[budget_id, window_id] = spent

    def _write(self, shares: Mapping[str, Mapping[Window, int]]) -> None:
        by_window: dict[Window, dict[str, int]] = {}
        for name, windows in shares.items():
            for window, nano in windows.items():
                by_window.setdefault(window, {})[name] = nano
        content = {
            "windows": [
                [budget_id, window_id, total, by_window.get((budget_id, window_id), {})]
                for (budget_id, window_id), total in self._totals.items()
            ],
            "at_s": self._clock.time_ns() / 1e9,
        }
        replace(self._path, msgspec.json.encode(content))


def replace(path: Path, data: bytes) -> None:
    """Write a file so that a reader sees the old or the new one, never a part."""
    beside = path.with_name(f".{path.name}.new")
    beside.write_bytes(data)
    os.replace(beside, path)
