"""A million attempts are priced again, stopped, gone on with and taken back, exactly."""

from __future__ import annotations

from scripts.proofs.apart import measured
from scripts.proofs.figure import Figure, at_least, at_most, equal

name = "recalculation"
ATTEMPTS = 1_000_000
FEW = 20_000
LONGEST_S = 3_600


def run(seed: int, *, short: bool = False) -> list[Figure]:
    """Fill a ledger of its own and measure each step in one process."""
    count = FEW if short else ATTEMPTS
    seen = measured("recalculation_rig", count, seed, within_s=LONGEST_S)
    step = f"{count:,} attempts"
    return [
        at_least("attempts in the ledger", seen["attempts"], count),
        at_most(f"count: {step}", round(seen["count_s"], 1), 60, "s"),
        at_most(f"apply: {step}", round(seen["apply_s"], 1), 60, "s"),
        _told(
            "processor: count, apply, undo",
            f"{seen['count_cpu_s']:.1f} s, {seen['apply_cpu_s']:.1f} s, "
            f"{seen['undo_cpu_s']:.1f} s; undo {seen['undo_s']:.1f} s by the clock",
        ),
        equal("attempts that differ from fractions", seen["wrong_attempts"], 0),
        equal("total minus its sum by fractions, nano", seen["total_off_nano"], 0),
        equal("count minus what was applied, nano", seen["count_off_nano"], 0),
        equal("rollups minus attempts, nano", seen["rollups_off_nano"], 0),
        at_most("stopped after being asked", round(seen["cancel_s"], 2), 2, "s"),
        equal("state of the stopped run", seen["cancelled_state"], "stopped"),
        equal("total after going on, off by nano", seen["resumed_off_nano"], 0),
        equal("rollups after it, off by nano", seen["resumed_rollups_off_nano"], 0),
        equal("attempts that undo left changed", seen["undo_off_attempts"], 0),
        equal("rollups as before after undo", seen["undo_rollups_equal"], True),
        at_most("rows in one transaction", seen["most_rows"], 499),
        # Of the processor: by the clock, neighbours on a busy machine count too.
        at_most(
            "99 % of transactions, processor",
            round(seen["p99_write_cpu_ms"], 1),
            50,
            "ms",
        ),
        _told(
            "transactions by the clock",
            f"half within {seen['p50_write_wall_ms']:.1f} ms, "
            f"99 % within {seen['p99_write_wall_ms']:.0f} ms, "
            f"longest {seen['longest_write_wall_ms']:.0f} ms",
        ),
    ]


def _told(what: str, text: str) -> Figure:
    return Figure(what, text, "told", True)
