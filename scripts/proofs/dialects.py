"""Every client dialect keeps its words and its bill on every upstream dialect."""

from __future__ import annotations

import re
import subprocess
import sys

from scripts.proofs.figure import Figure
from tests.rig.processes import ROOT

name = "dialects"
SUITES = {
    "official SDKs x upstream dialects x features": ["tests/clients/matrix"],
    "official SDKs, named calls": ["tests/clients/sdks"],
    "one law for all dialects: cuts, pairs, bills, round trips": [
        "tests/providers/formats/conformance"
    ],
    "every numbered case has a test or a reason": [
        "tests/providers/formats/test_wire_cases.py"
    ],
}


def run(seed: int, *, short: bool = False) -> list[Figure]:
    """Run each suite; the long forms run among the tests marked long."""
    figures = []
    for told, paths in SUITES.items():
        command = [sys.executable, "-m", "pytest", "-q", "-m", "not long", *paths]
        done = subprocess.run(
            command,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        last = (done.stdout.strip().splitlines() or ["no output"])[-1]
        passed = re.search(r"(\d+) passed", last)
        ok = done.returncode == 0 and passed is not None
        figures.append(Figure(told, last, "no failure", ok))
    return figures
