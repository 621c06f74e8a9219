"""Count what the data plane does, and tell it in Prometheus' text format.

Each worker counts for itself and writes its counters to a small file every second; the
worker that is asked adds up all files, so any one answers for all, and of what a killed
worker had counted only the last second is lost. Labels are bounded: dialects, slugs and outcome words,
never what a client sent.

This is not prometheus-client's multi-process mode, which keeps a memory-mapped file for
each metric and imports much for what are a dozen counters here.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path
from typing import Final

import msgspec

from poolsite.clock import NANOSECONDS_PER_SECOND, Clock
from providers.proxy.exchange import Outcome

CONTENT_TYPE: Final = b"text/plain; version=0.0.4; charset=utf-8"
FLUSH_INTERVAL_S: Final = 1.0
_SILENT_S: Final = 30.0
_BUCKETS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
_MOST_SERIES: Final = 2_000
_MOST_UNPRICED: Final = 200
_FILE: Final = re.compile(r"data-(\d+)-\d+\.json")
_ESCAPES: Final = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})

REQUESTS: Final = "pool_requests_total"
ATTEMPTS: Final = "pool_attempts_total"
STRANGERS: Final = "pool_strangers_refused_total"
FLAGS: Final = "pool_usage_flags_total"
UNPRICED: Final = "pool_unpriced_requests_total"
DURATION: Final = "pool_request_seconds"

_HELP: Final = {
    REQUESTS: "Client calls by dialect, status class and outcome.",
    ATTEMPTS: "Upstream calls by provider and outcome.",
    STRANGERS: "Calls without a usable key, path or method, not recorded, by reason.",
    FLAGS: "Oddities in the usage vendors report, by provider.",
    UNPRICED: "Client calls of unknown cost by provider and model.",
    DURATION: "Duration of client calls in seconds.",
    "pool_in_flight": "Client calls under way.",
    "pool_queued": "Client calls in line for a place at an upstream.",
    "pool_ready": "1 when the worker takes work.",
    "pool_snapshot_version": "Configuration version in force.",
    "pool_snapshot_age_seconds": "Seconds since the keeper last confirmed it.",
    "pool_snapshot_rejected_total": "Snapshot files that were refused.",
    "pool_snapshot_records": "Records held, by kind.",
    "pool_loop_late_seconds": "Longest stall of an event loop in the last 10 to 20 s.",
    "pool_loop_late_own_seconds": "The same, with the worker itself at work.",
    "pool_cooling": "Credentials, models and providers that are cooling down.",
    "pool_journal_records_total": "Records appended to the journal.",
    "pool_journal_errors_total": "Journal writes and flushes that failed.",
    "pool_bodies_dropped_total": "Prompts and answers that were not kept in time.",
    "pool_limits_shared": "1 while Redis decides about limits, 0 while workers do alone.",
    "pool_limits_share_refused_total": "Calls refused without Redis, because a worker's "
    "share of a hard budget was used up.",
    "pool_resident_bytes": "Memory of the worker.",
    "pool_workers": "Data workers alive.",
}

Labels = tuple[tuple[str, str], ...]
Series = tuple[str, Labels]


class Gauges(msgspec.Struct):
    """What a worker reports about its state at this moment.

    Shapes:  ``values`` are added up over workers, ``highest`` and ``lowest`` are not.
    """

    values: dict[str, float] = {}
    highest: dict[str, float] = {}
    lowest: dict[str, float] = {}
    records: dict[str, float] = {}


class _Dump(msgspec.Struct):
    counters: list[tuple[str, Labels, float]]
    histograms: list[tuple[str, Labels, list[float], float]]
    gauges: Gauges
    at_s: float = 0.0


class DataMetrics:
    """The counters of one worker and the way to everybody's.

    Cost:  a count is two dictionary operations, about 0.5 us.
    """

    def __init__(self, directory: Path, clock: Clock) -> None:
        self._directory = directory
        self._clock = clock
        self._counters: dict[Series, float] = defaultdict(float)
        self._histograms: dict[Labels, list[float]] = {}
        self._unpriced: set[tuple[str, str]] = set()
        self._gauges: Callable[[], Gauges] = Gauges
        pid, started = os.getpid(), clock.time_ns() // 1_000_000
        self._path = directory / f"data-{pid}-{started}.json"

    def watch(self, gauges: Callable[[], Gauges]) -> None:
        """Name the function that tells the worker's state."""
        self._gauges = gauges

    def request_finished(
        self, outcome: Outcome, *, dialect: str, is_stream: bool, seconds: float
    ) -> None:
        """Count one authenticated client call."""
        labels = _request_labels(
            dialect, is_stream, outcome.outcome, outcome.status // 100
        )
        self._count(REQUESTS, labels)
        self._observe(labels[:2], seconds)

    def attempt_finished(
        self, provider_slug: str, outcome: str, *, seconds: float
    ) -> None:
        """Count one upstream call."""
        self._count(ATTEMPTS, (("outcome", outcome), ("provider", provider_slug)))

    def stranger_refused(self, reason: str) -> None:
        """Count a call without a usable key, path or method: it is not recorded."""
        self._count(STRANGERS, (("reason", reason),))

    def usage_flagged(self, provider_slug: str, flags: Iterable[str]) -> None:
        """Count what a vendor's usage report got wrong."""
        for flag in flags:
            self._count(FLAGS, (("flag", flag), ("provider", provider_slug)))

    def request_unpriced(self, provider_slug: str, model: str) -> None:
        """Count a client call whose cost is not known in full.

        Shapes:  models are those of the pool; beyond the first 200 pairs they share
                 the label ``other``, lest they push other figures out.
        """
        pair = (provider_slug, model)
        if pair not in self._unpriced:
            if len(self._unpriced) >= _MOST_UNPRICED:
                pair = (provider_slug, "other")
            self._unpriced.add(pair)
        self._count(UNPRICED, (("model", pair[1]), ("provider", pair[0])))

    def flush(self) -> None:
        """Write this worker's figures for the others.

        Fails:   silently: figures are not worth an error, the next second tries again.
        """
        with contextlib.suppress(OSError):
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            data = msgspec.json.encode(self._dump())
            descriptor, temporary = tempfile.mkstemp(
                prefix=".new-", dir=self._directory
            )
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(data)
            os.replace(temporary, self._path)

    def render(self) -> bytes:
        """Word the figures of all workers.

        Cost:    one small file a worker.
        """
        total = _Total()
        total.add(self._dump(), is_alive=True)
        latest_s = self._clock.time_ns() / NANOSECONDS_PER_SECOND - _SILENT_S
        for path in self._others():
            dump = _read(path)
            if dump is not None:
                # Another process may have got the number of a dead one.
                is_alive = dump.at_s >= latest_s and _is_alive(path)
                total.add(dump, is_alive=is_alive)
        return total.text()

    def _count(self, name: str, labels: Labels) -> None:
        series = (name, labels)
        if series not in self._counters and len(self._counters) >= _MOST_SERIES:
            series = (name, (("overflow", "true"),))
        self._counters[series] += 1

    def _observe(self, labels: Labels, seconds: float) -> None:
        cells = self._histograms.get(labels)
        if cells is None:
            cells = self._histograms[labels] = [0.0] * (len(_BUCKETS) + 2)
        cells[bisect_left(_BUCKETS, seconds)] += 1
        cells[-1] += seconds

    def _dump(self) -> _Dump:
        return _Dump(
            [(name, labels, value) for (name, labels), value in self._counters.items()],
            [
                (DURATION, labels, cells[:-1], cells[-1])
                for labels, cells in self._histograms.items()
            ],
            self._gauges(),
            self._clock.time_ns() / NANOSECONDS_PER_SECOND,
        )

    def _others(self) -> list[Path]:
        try:
            names = os.listdir(self._directory)
        except OSError:
            return []
        found = [self._directory / name for name in names if _FILE.fullmatch(name)]
        return [path for path in found if path != self._path]


@lru_cache(maxsize=1024)
def _request_labels(
    dialect: str, is_stream: bool, outcome: str, status_class: int
) -> Labels:
    return (
        ("dialect", dialect),
        ("mode", "stream" if is_stream else "whole"),
        ("outcome", outcome),
        ("status", f"{status_class}xx"),
    )


def clear(directory: Path) -> None:
    """Forget the figures of a run before; counters start at zero with the server."""
    with contextlib.suppress(OSError):
        for name in os.listdir(directory):
            if _FILE.fullmatch(name) or name.startswith(".new-"):
                (directory / name).unlink(missing_ok=True)


class _Total:
    """The sum over all workers."""

    def __init__(self) -> None:
        self._counters: dict[Series, float] = defaultdict(float)
        self._histograms: dict[Series, list[float]] = {}
        self._values: dict[str, float] = defaultdict(float)
        self._records: dict[str, float] = {}

    def add(self, dump: _Dump, *, is_alive: bool) -> None:
        for name, labels, value in dump.counters:
            self._counters[(name, labels)] += value
        for name, labels, cells, total in dump.histograms:
            sums = self._histograms.setdefault(
                (name, labels), [0.0] * (len(_BUCKETS) + 2)
            )
            for place, value in enumerate([*cells, total]):
                sums[place] += value
        values = self._values
        for name, value in dump.gauges.values.items():
            if is_alive or name.endswith("_total"):
                values[name] += value
        if not is_alive:
            return
        values["pool_workers"] += 1
        for name, value in dump.gauges.highest.items():
            values[name] = max(values.get(name, value), value)
        for name, value in dump.gauges.lowest.items():
            values[name] = min(values.get(name, value), value)
        self._records.update(dump.gauges.records)

    def text(self) -> bytes:
        by_name: dict[str, list[str]] = defaultdict(list)
        for (name, labels), value in sorted(self._counters.items()):
            by_name[name].append(_line(name, labels, value))
        for (name, labels), cells in sorted(self._histograms.items()):
            by_name[name] += _histogram(name, labels, cells)
        for name, value in sorted(self._values.items()):
            by_name[name].append(_line(name, (), value))
        for kind, value in sorted(self._records.items()):
            name = "pool_snapshot_records"
            by_name[name].append(_line(name, (("kind", kind),), value))
        lines = []
        for name, series in by_name.items():
            lines.append(f"# HELP {name} {_HELP.get(name, name)}")
            lines.append(f"# TYPE {name} {_type_of(name)}")
            lines += series
        return ("\n".join(lines) + "\n").encode()


def _type_of(name: str) -> str:
    if name == DURATION:
        return "histogram"
    return "counter" if name.endswith("_total") else "gauge"


def _histogram(name: str, labels: Labels, cells: list[float]) -> list[str]:
    lines = []
    running = 0.0
    for place, bound in enumerate(_BUCKETS):
        running += cells[place]
        lines.append(_line(f"{name}_bucket", (*labels, ("le", str(bound))), running))
    running += cells[len(_BUCKETS)]
    lines.append(_line(f"{name}_bucket", (*labels, ("le", "+Inf")), running))
    lines.append(_line(f"{name}_sum", labels, cells[-1]))
    lines.append(_line(f"{name}_count", labels, running))
    return lines


def _line(name: str, labels: Labels, value: float) -> str:
    shown = ",".join(f'{key}="{text.translate(_ESCAPES)}"' for key, text in labels)
    number = f"{value:.0f}" if value == int(value) else repr(value)
    return f"{name}{{{shown}}} {number}" if shown else f"{name} {number}"


def _read(path: Path) -> _Dump | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Dump)
    except (OSError, msgspec.MsgspecError):
        return None


def _is_alive(path: Path) -> bool:
    match = _FILE.fullmatch(path.name)
    if match is None:
        return False
    try:
        os.kill(int(match[1]), 0)
    except OSError:
        return False
    return True
