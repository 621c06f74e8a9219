"""A month that grew too old leaves: by partitions on PostgreSQL, by parts on SQLite."""

from __future__ import annotations

from scripts.proofs.apart import measured
from scripts.proofs.figure import Figure, at_most, equal
from tests.servers import MissingServerError, postgres

name = "retention"
HERE = 300_000
THERE = 3_400_000
"""A month of ten million requests in ninety days."""
FEW = 20_000
LONGEST_S = 1_800


def run(seed: int, *, short: bool = False) -> list[Figure]:
    """Fill a month in both databases and remove it."""
    here = measured("retention_rig", FEW if short else HERE, seed, within_s=LONGEST_S)
    figures = [
        equal("SQLite: rows of the month left", here["left"], 0),
        at_most("SQLite: 99 % of transactions", round(here["p99_ms"], 1), 50, "ms"),
        at_most("SQLite: with nothing to remove", round(here["empty_sweep_ms"]), 500),
        Figure(
            "SQLite: whole sweep",
            f"{here['sweep_s']:.0f} s for {sum(here['removed'].values()):,} rows in "
            f"{here['transactions']:,} transactions, longest {here['longest_ms']:.0f} ms",
            "told",
            True,
        ),
    ]
    try:
        with postgres() as url:
            there = measured(
                "retention_rig",
                FEW if short else THERE,
                seed,
                within_s=LONGEST_S,
                environment={"DATABASE_URL": url},
            )
    except MissingServerError as exc:
        return [*figures, Figure("PostgreSQL", str(exc), "told", True)]
    rows = there["requests"] - there["kept"]
    return [
        *figures,
        equal("PostgreSQL: rows of the month left", there["left"], 0),
        at_most(
            f"PostgreSQL: dropping a month of {rows:,} requests",
            round(there["drop_s"], 2),
            1,
            "s",
        ),
    ]
