"""The screens of a provider with many models stay within the page budgets."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Collection
from typing import Any

from scripts.proofs.figure import Figure, at_most, equal

name = "discovery"
MODELS = 300
MANY = 5_000
ACROSS = ("models", "models by capability", "models by price", "model detail")
MOST_QUERIES = 12
MOST_MS = 50
MOST_KB = 90


def run(seed: int, *, short: bool = False) -> list[Figure]:
    """List 300 models at a fake vendor, then 5,000, and look at every screen."""
    figures = _figures(MODELS, seed)
    return figures if short else [*figures, *_figures(MANY, seed, ACROSS)]


def _figures(count: int, seed: int, only: Collection[str] = ()) -> list[Figure]:
    found = _measured(count, seed)
    figures = [
        equal(f"{count} models: listed", found["listed"], count),
        equal(f"{count} models: applied", found["applied"], count),
    ]
    for screen, seen in found["screens"].items():
        if only and screen not in only:
            continue
        cold_kb = round((seen["bytes"] + found["files"]) / 1024, 1)
        title = f"{count} models: {screen}"
        figures += [
            at_most(f"{title}: queries", seen["queries"], MOST_QUERIES),
            at_most(f"{title}: server time p50", seen["p50_ms"], MOST_MS, "ms"),
            at_most(f"{title}: cold first load", cold_kb, MOST_KB, "KB"),
        ]
    return figures


def _measured(count: int, seed: int) -> dict[str, Any]:
    """Measure in a process and a directory of its own."""
    with tempfile.TemporaryDirectory(prefix="pool-proof-") as directory:
        done = subprocess.run(
            [sys.executable, "-m", "scripts.discovery_rig", str(count), str(seed)],
            env={**os.environ, "POOL_DATA_DIR": directory, "DATABASE_URL": ""},
            stdout=subprocess.PIPE,
            check=True,
        )
    found: dict[str, Any] = json.loads(done.stdout)
    return found
