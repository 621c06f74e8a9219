"""A month of a million calls: three errors planted in its invoice are named, alone."""

from __future__ import annotations

from typing import Any

from scripts.proofs.apart import measured
from scripts.proofs.figure import Figure, at_most, equal

name = "reconciliation"
ATTEMPTS = 1_000_000
FEW = 50_000
LONGEST_S = 1_800


def run(seed: int, *, short: bool = False) -> list[Figure]:
    """Fill a ledger of its own and hold two statements against it."""
    count = FEW if short else ATTEMPTS
    seen = measured("reconciliation_rig", count, seed, within_s=LONGEST_S)
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
