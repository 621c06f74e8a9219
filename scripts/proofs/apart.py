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
        own = {"POOL_DATA_DIR": folder, **(environment or {})}
        return run_rig(rig, str(count), str(seed), within_s=within_s, environment=own)


def run_rig(
    rig: str, *arguments: str, within_s: float, environment: Mapping[str, str]
) -> dict[str, Any]:
    """Run a module where its environment says, as ``measured``.

    Errors:  as ``measured``.
    """
    done = subprocess.run(
        [sys.executable, "-m", f"scripts.{rig}", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=within_s,
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-2_000:])
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
