"""Keep seeded databases between runs, so that ten million rows are written once.

    with opened("postgresql", 10_000_000, seed) as seeded:
        ... seeded.environment, seeded.seconds

The directory is named by SEEDED_DIR; without it a database is made for the run and
removed. Migrations that came since are run; where one that was run is another today, the
tables are made anew: those of the ledger with every row, others by themselves.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.rig.processes import ROOT
from tests.servers import postgres

VARIABLE: Final = "SEEDED_DIR"
FORMAT: Final = 2
"""Raise it when the seeded rows themselves change."""

_OWN: Final = ("poolsite", "pricing", "usage")
_ABOVE: Final = ("oauth", "providers")
_LONGEST_S: Final = 7_200


@dataclass(frozen=True)
class Seeded:
    """A database that holds the rows, until the context ends.

    Shapes:  ``seconds`` is what writing them took, whenever that was; ``folder`` holds
             every file of the database.
    """

    environment: Mapping[str, str]
    seconds: float
    folder: Path


@contextmanager
def opened(vendor: str, count: int, seed: int) -> Iterator[Seeded]:
    """Open a kept database of so many requests, writing it where there is none.

    Errors:  MissingServerError without PostgreSQL; RuntimeError when seeding failed.
    """
    with ExitStack() as stack:
        root = os.environ.get(VARIABLE) or stack.enter_context(
            tempfile.TemporaryDirectory(prefix="pool-seeded-")
        )
        folder = Path(root) / f"{vendor}-{count}-{seed}-{FORMAT}"
        note = folder / "written.json"
        known = json.loads(note.read_text()) if note.exists() else {}
        if not _holds(known, _OWN):
            known = {}
            shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        # The server's user looks for its files below.
        Path(root).chmod(0o755)
        environment = {"POOL_DATA_DIR": str(folder / "pool")}
        if vendor == "postgresql":
            kept = folder / "server"
            kept.mkdir(exist_ok=True)
            environment["DATABASE_URL"] = stack.enter_context(postgres(kept))
        if not known:
            known = {"seconds": _seed(environment, count, seed)}
        elif not _holds(known, _ABOVE):
            _run(environment, "-m", "scripts.seed_usage_store", *_ABOVE)
        _run(environment, "manage.py", "migrate", "-v0", "--no-input")
        note.write_text(json.dumps(known | {"migrations": _migrations(_OWN + _ABOVE)}))
        yield Seeded(environment, known["seconds"], folder)


def _seed(environment: Mapping[str, str], count: int, seed: int) -> float:
    _run(environment, "manage.py", "migrate", "-v0", "--no-input")
    begun = time.perf_counter()
    _run(environment, "-m", "scripts.seed_usage", str(count), str(seed))
    return round(time.perf_counter() - begun, 1)


def _run(environment: Mapping[str, str], *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=_LONGEST_S,
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-2_000:])


def _holds(known: Mapping[str, Any], apps: tuple[str, ...]) -> bool:
    """Tell whether the migrations that were run are those of today, or their first."""
    was = known.get("migrations", {})
    own = {name: text for name, text in was.items() if name.startswith(apps)}
    return bool(own) and own.items() <= _migrations(apps).items()


def _migrations(apps: tuple[str, ...]) -> dict[str, str]:
    """Return what tells one migration from another, by app and name."""
    paths = [path for app in apps for path in (ROOT / app / "migrations").glob("0*.py")]
    return {
        f"{path.parent.parent.name}/{path.name}": hashlib.sha256(
            path.read_bytes()
        ).hexdigest()[:16]
        for path in paths
    }


def drop_tables(apps: list[str]) -> None:
    """Drop the tables of some apps and forget their migrations, to make them anew."""
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "poolsite.settings")
    django.setup()
    from django.db import connection, transaction

    is_there = connection.vendor == "postgresql"
    with transaction.atomic(), connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            if table.startswith(tuple(f"{app}_" for app in apps)):
                name = connection.ops.quote_name(table)
                cursor.execute(f"DROP TABLE {name}{' CASCADE' if is_there else ''}")
        for app in apps:
            cursor.execute("DELETE FROM django_migrations WHERE app = %s", [app])


if __name__ == "__main__":
    drop_tables(sys.argv[1:])
