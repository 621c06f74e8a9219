"""A month of a million calls: three errors planted in its invoice are named, alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from typing import Any

from scripts.proofs.figure import Figure, at_most, equal
from tests.rig.processes import ROOT

name = "reconciliation"
ATTEMPTS = 1_000_000
FEW = 50_000
LONGEST_S = 1_800


def run(seed: int, *, short: bool = False) -> list[Figure]:
    """Fill a ledger of its own and hold two statements against it."""
    count = FEW if short else ATTEMPTS
    seen = _measured(count, seed)
    return [
        equal("attempts in the month", seen["attempts"], count),
        equal("days and models", seen["lines"], 600),
        equal("named in a statement without errors", seen["clean_named"], 0),
        equal("planted errors named with their cause", seen["found"], seen["planted"]),
        equal("named besides", seen["others"], 0),
        equal("ledger's sum minus its rows, nano", seen["off_nano"], 0),
        equal("attempts added or gone", seen["changed_attempts"], 0),
        at_most("taking the statement in", round(seen["take_in_s"], 2), 5, "s"),
        at_most("comparing it", round(seen["compare_s"], 1), 60, "s"),
        at_most("longest statement that writes", _ms(seen), 50, "ms"),
    ]


def _ms(seen: dict[str, Any]) -> float:
    return float(round(seen["longest_write_ms"], 1))


def _measured(count: int, seed: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="pool-proof-") as folder:
        done = subprocess.run(
            [sys.executable, "-m", "scripts.reconciliation_rig", str(count), str(seed)],
            cwd=ROOT,
            env={**os.environ, "POOL_DATA_DIR": folder},
            capture_output=True,
            text=True,
            check=False,
            timeout=LONGEST_S,
        )
    if done.returncode:
        raise RuntimeError(done.stderr[-2_000:])
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return measured
