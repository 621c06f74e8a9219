"""Measure in a process of its own, with a data directory of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from typing import Any

from tests.rig.processes import ROOT


def measured(
    rig: str,
    count: int,
    seed: int,
    *,
    within_s: float,
    environment: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Run a module of ``scripts`` and return the JSON of its last line.

    Errors:  RuntimeError with the end of what it complained of.
    """
    with tempfile.TemporaryDirectory(prefix="pool-proof-") as folder:
        done = subprocess.run(
            [sys.executable, "-m", f"scripts.{rig}", str(count), str(seed)],
            cwd=ROOT,
            env={**os.environ, "POOL_DATA_DIR": folder, **(environment or {})},
            capture_output=True,
            text=True,
            check=False,
            timeout=within_s,
        )
    if done.returncode:
        raise RuntimeError(done.stderr[-2_000:])
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
