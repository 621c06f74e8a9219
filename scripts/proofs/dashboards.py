"""Every page of usage and of the request log is quick over a ledger of millions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from scripts.proofs.apart import run_rig
from scripts.proofs.figure import Figure, at_least, at_most, equal
from scripts.seed_usage_store import Seeded, opened
from tests.servers import MissingServerError

name = "dashboards"
HERE: Final = 1_000_000
THERE: Final = 10_000_000
FEW: Final = 20_000
EXPORTED: Final = 100_000
LONGEST_S: Final = 3_600
KB: Final = 1024
NAMES: Final = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
_KINDS: Final = {"dashboards": "dashboards", "log": "request log"}
_SLOWEST: Final = 3


def run(seed: int, *, short: bool = False) -> list[Figure]:
    """Ask every page, group, range and filter of both databases, cold and warm."""
    figures = []
    for vendor, rows in (("sqlite", HERE), ("postgresql", THERE)):
        count = FEW if short else rows
        try:
            with opened(vendor, count, seed) as seeded:
                found = _asked(seeded)
        except MissingServerError as exc:
            figures.append(Figure(NAMES[vendor], str(exc), "told", True))
            continue
        figures += _figures(NAMES[vendor], count, seeded, found)
        least = min(EXPORTED, count)
        rows_written = found["export"]["rows"]
        what = f"{NAMES[vendor]}: rows of a file written by a job"
        figures.append(at_least(what, rows_written, least))
    return figures


def _asked(seeded: Seeded) -> dict[str, Any]:
    environment = {**seeded.environment, "SEEDED_FILES": str(seeded.folder)}
    return run_rig("dashboards_rig", within_s=LONGEST_S, environment=environment)


def _figures(
    where: str, count: int, seeded: Seeded, found: Mapping[str, Any]
) -> list[Figure]:
    seconds = seeded.seconds
    rate = f"{seconds:.0f} s, {count / seconds:,.0f} a second"
    figures = [Figure(f"{where}: writing {count:,} requests", rate, "told", True)]
    for kind, what in _KINDS.items():
        seen = found[kind]
        title = f"{where}, {what}"
        queries, most = seen["queries"]
        figures += [
            at_least(f"{title}: pages and filters asked", seen["pages"], 80),
            at_most(f"{title}: server time, p50", seen["warm"]["p50"], 50, "ms"),
            at_most(f"{title}: server time, p95", seen["warm"]["p95"], 150, "ms"),
            Figure(f"{title}: not in memory before", _told(seen["cold"]), "told", True),
            Figure(f"{title}: own processor time", _told(seen["work"]), "told", True),
            at_most(f"{title}: most queries ({queries})", most, 12),
            at_most(
                f"{title}: largest page, compressed",
                round(seen["bytes"][1] / KB, 1),
                90,
                "KB",
            ),
            equal(f"{title}: plans that read all requests", seen["scans"], []),
            Figure(f"{title}: slowest", _slowest(seen["slowest"]), "told", True),
        ]
    export = found["export"]
    told = f"{export['rows']:,} rows in {export['seconds']:g} s"
    return [*figures, Figure(f"{where}: file of the log", told, "told", True)]


def _told(shares: Mapping[str, float]) -> str:
    return f"p50 {shares['p50']:g} ms, p95 {shares['p95']:g} ms"


def _slowest(pages: list[tuple[str, float]]) -> str:
    return "; ".join(f"{page} {ms:g} ms" for page, ms in pages[:_SLOWEST])
