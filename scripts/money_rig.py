"""Ship late, doubled and interrupted records in a database of its own.

    python -m scripts.money_rig COUNT SEED

Prints one JSON object: the figures of both trials.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import django

KILLS = 200


def main(count: int, seed: int) -> dict[str, Any]:
    """Run both trials, one after the other, each on an empty ledger."""
    from django.core.management import call_command

    from tests.usage.money import late_rows

    call_command("migrate", verbosity=0, interactive=False)
    with tempfile.TemporaryDirectory(prefix="pool-journal-") as name:
        late = late_rows.late_and_twice(Path(name) / "late", count=count, seed=seed)
        call_command("flush", verbosity=0, interactive=False)
        kills = min(KILLS, count // 10)
        killed = late_rows.shipper_killed(
            Path(name) / "killed", count=count, kills=kills, seed=seed
        )
    return {"late": asdict(late), "killed": asdict(killed)}


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "poolsite.settings")
    django.setup()
    sys.stdout.write(json.dumps(main(int(sys.argv[1]), int(sys.argv[2]))) + "\n")
