"""The embedded catalogue: whole, settled, quick to load and small to hold."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from scripts.proofs.figure import Figure, at_least, at_most, equal

name = "embedded"

ROOT: Final = Path(__file__).resolve().parents[2]
_STARTS: Final = 5
_LOAD: Final = """
import json, time, tracemalloc
from pricing.book import listing_file
from pricing.book.loader import embedded_listing
start = time.process_time()
listing = embedded_listing()
took = time.process_time() - start
embedded_listing.cache_clear()
tracemalloc.start()
listing = embedded_listing()
held, peak = tracemalloc.get_traced_memory()
priced = sum(m.price is not None for p in listing.providers.values()
             for m in p.models.values())
print(json.dumps({"ms": took * 1e3, "held": held / 1e6, "peak": peak / 1e6,
                  "models": listing.models_count, "priced": priced}))
"""


def run(seed: int, *, short: bool = False) -> list[Figure]:
    """Load the listing in processes of its own and count what there is."""
    del seed
    loads = [_loaded() for _ in range(1 if short else _STARTS)]
    providers = json.loads(
        (ROOT / "providers/catalogue/data/providers.json").read_bytes()
    )["providers"]
    report = json.loads((ROOT / "scripts/catalogue/disagreements.json").read_bytes())
    best = min(loads, key=_milliseconds)
    return [
        at_least("providers in the catalogue", len(providers), 100),
        at_least("models listed", best["models"], 4000),
        at_least("models with a price", best["priced"], 4000),
        at_least("disagreements over 1 % found and listed", report["found"], 1),
        equal("disagreements still open", report["open"], 0),
        at_most(
            "loading all of it, processor time, best of five",
            round(best["ms"], 1),
            80,
            "ms",
        ),
        at_most("memory it holds", round(best["held"], 2), 12, "MB"),
        at_most("memory while loading", round(best["peak"], 2), 12, "MB"),
    ]


def _loaded() -> dict[str, Any]:
    ran = subprocess.run(
        [sys.executable, "-c", _LOAD],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    )
    loaded: dict[str, Any] = json.loads(ran.stdout)
    return loaded


def _milliseconds(load: dict[str, Any]) -> float:
    return float(load["ms"])
