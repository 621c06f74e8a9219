"""Every page of usage answers quickly over a million requests, from rollups alone."""

from __future__ import annotations

from scripts.proofs.apart import measured
from scripts.proofs.figure import Figure, at_least, at_most, equal

name = "dashboards"
REQUESTS = 1_000_000
FEW = 20_000
LONGEST_S = 3_600
KB = 1024


def run(seed: int, *, short: bool = False) -> list[Figure]:
    """Fill a ledger of its own and ask every page, group, range and filter."""
    count = FEW if short else REQUESTS
    seen = measured("dashboards_rig", count, seed, within_s=LONGEST_S)
    slowest = "; ".join(f"{page} {ms:g} ms" for page, ms in seen["slowest"][:3])
    return [
        at_least("pages and filters asked", seen["pages"], 100),
        at_most(f"writing {count:,} requests", seen["seed_s"], 900, "s"),
        at_most("server time, p50", seen["p50_ms"], 50, "ms"),
        at_most("server time, p95", seen["p95_ms"], 150, "ms"),
        at_most("queries of a page", seen["queries"], 12),
        at_most("compressed page", round(seen["bytes"] / KB, 1), 90, "KB"),
        equal("plans that read all requests or attempts", seen["scans"], []),
        Figure("slowest pages, median", slowest, "told", True),
        Figure(
            "processor time of a page",
            f"p50 {seen['cpu_p50_ms']:g} ms, p95 {seen['cpu_p95_ms']:g} ms",
            "told",
            True,
        ),
    ]
