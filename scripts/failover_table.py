"""Make every call of the fault table and print what came of it as docs/failover.md.

    python -m scripts.failover_table

Writes nothing while a call comes to something else than the design asks for.
"""

from __future__ import annotations

import sys

from tests.providers.failover.expected import CELLS, expected
from tests.providers.failover.jumping import run_jumping
from tests.providers.failover.page import render
from tests.providers.failover.table import Cell, Outcome
from tests.providers.failover.trial import try_all
from tests.rig.processes import ROOT


def main() -> int:
    """Run the table, name what differs, write the page."""
    observed = run_jumping(try_all(CELLS))

    def came(cell: Cell) -> Outcome:
        return observed[cell.id].outcome

    differing = [cell for cell in CELLS if came(cell) != expected(cell)]
    for cell in differing:
        print(f"{cell.id}\n  expected {expected(cell)}\n  observed {came(cell)}")
    if differing:
        print(f"{len(differing)} of {len(CELLS)} calls differ", file=sys.stderr)
        return 1
    (ROOT / "docs" / "failover.md").write_text(render(came))
    print(f"{len(CELLS)} calls came out as expected")
    return 0


if __name__ == "__main__":
    sys.exit(main())
