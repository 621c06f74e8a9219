"""Ask every page of usage and of the request log of a big ledger; print the figures.

    python -m scripts.dashboards_rig ROUNDS

Reads the configured database, which holds seeded rows (scripts/seed_usage_store.py),
and fills up what came since. Prints one JSON object. Pages are asked through Django's
test client in this process: what is measured is the server's work, session, template
and database included. Cold: the files below SEEDED_FILES are put out of the machine's
memory before each page, and the connection is a new one.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import statistics
import sys
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import django

ROUNDS: Final = 3
FILES: Final = "SEEDED_FILES"
EXPORTED: Final = 120_000
SCANNED: Final = ("usage_request", "usage_attempt")
_SCAN: Final = re.compile(r"(Seq Scan on|SCAN) usage_(request|attempt)(_\d{8})?\b")
"""Of the ledger's tables and partitions; the alarm partition is empty."""

_CONTROL: Final = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE")
_TOLD: Final = 8


@dataclass
class Seen:
    """What was measured of one kind of pages, by address.

    Units:  milliseconds of the wall and of this process's own work.
    """

    cold: dict[str, float] = field(default_factory=dict)
    warm: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    work: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    queries: dict[str, int] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    scans: set[str] = field(default_factory=set)

    def told(self) -> dict[str, Any]:
        """Return the figures, with the addresses behind the largest."""
        warm = sorted(ms for some in self.warm.values() for ms in some)
        work = sorted(ms for some in self.work.values() for ms in some)
        cold = sorted(self.cold.values())
        middles = {page: statistics.median(some) for page, some in self.warm.items()}
        return {
            "pages": len(self.warm),
            "warm": _shares(warm),
            "work": _shares(work),
            "cold": _shares(cold),
            "slowest": _largest(middles),
            "slowest_cold": _largest(self.cold),
            "queries": _largest(self.queries)[0],
            "bytes": _largest(self.sizes)[0],
            "scans": sorted(self.scans),
        }


def main(rounds: int = ROUNDS) -> dict[str, Any]:
    """Ask every page cold once and then some times; write a file; return the figures."""
    from django.core.management import call_command
    from django.utils import timezone

    from scripts import dashboards_pages, seed_usage

    call_command("collectstatic", verbosity=0, interactive=False)
    added = seed_usage.fill_up()
    _add_providers()
    client = _signed_in()
    os.sync()
    kinds = {
        "dashboards": list(dashboards_pages.dashboards()),
        "log": list(dashboards_pages.log(timezone.now())),
    }
    found: dict[str, Any] = {"filled_up": added}
    for kind, pages in kinds.items():
        seen = Seen()
        client.get("/usage/views/")
        for page in pages:
            _ask(client, page, seen, rounds)
        found[kind] = seen.told()
    found["export"] = _exported()
    return found


def _ask(client: Any, page: str, seen: Seen, rounds: int) -> None:
    _forget()
    seen.cold[page] = _timed(client, page)[0]
    seen.queries[page], scans = _explained(client, page)
    seen.scans |= {f"{page}: {each}" for each in scans}
    for _ in range(rounds):
        wall, work, size = _timed(client, page)
        seen.warm[page].append(wall)
        seen.work[page].append(work)
    seen.sizes[page] = size


def _timed(client: Any, page: str) -> tuple[float, float, int]:
    begun, used = time.perf_counter(), time.process_time()
    answer = client.get(page)
    work = (time.process_time() - used) * 1_000
    wall = (time.perf_counter() - begun) * 1_000
    assert answer.status_code == 200, (page, answer.status_code)
    return wall, work, len(gzip.compress(answer.content, 6))


def _forget() -> None:
    """Put the database's files out of memory, as after a night without anybody."""
    from django.db import connection

    connection.close()
    folder = os.environ.get(FILES)
    for path in Path(folder).rglob("*") if folder else ():
        if path.is_file():
            opened = os.open(path, os.O_RDONLY)
            os.posix_fadvise(opened, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(opened)


def _shares(values: list[float]) -> dict[str, float]:
    return {
        "p50": round(statistics.median(values), 1),
        "p95": round(values[int(len(values) * 0.95)], 1),
        "most": round(values[-1], 1),
    }


def _largest(values: dict[str, Any]) -> list[tuple[str, float]]:
    pages = sorted(values, key=lambda page: -values[page])
    return [(page, round(values[page], 1)) for page in pages[:_TOLD]]


def _signed_in() -> Any:
    from django.conf import settings
    from django.test import Client

    from poolsite.accounts import OWNER, set_role
    from poolsite.models import User

    settings.ALLOWED_HOSTS = ["*"]
    user = User.objects.filter(email="rig@example.com").first()
    if user is None:
        user = User.objects.create_user("rig@example.com", time_zone="Asia/Kathmandu")
        set_role(user, OWNER)
    client = Client()
    client.force_login(user)
    return client


def _add_providers() -> None:
    """Make the providers the ledger names, as somebody's pool would hold them."""
    from poolsite.actor import CLI
    from providers.models import Provider
    from providers.services import providers
    from scripts.seed_usage import PROVIDERS

    known = set(Provider.objects.values_list("slug", flat=True))
    for number in range(PROVIDERS):
        slug = f"provider-{number:02}"
        if slug not in known:
            providers.create_provider(
                CLI, slug=slug, base_url=f"https://{slug}.example.com/v1"
            )


# Plans


def _explained(client: Any, page: str) -> tuple[int, set[str]]:
    """Count a page's queries; return the steps of their plans that read all rows."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as caught:
        client.get(page)
    found, setting, count = set(), "", 0
    for sql in (query["sql"] for query in caught.captured_queries):
        if sql.startswith(_CONTROL):
            setting = ""
            continue
        if sql.startswith("SET LOCAL"):
            setting = sql
            continue
        count += 1
        if sql.startswith(("SELECT", "(SELECT")) and any(n in sql for n in SCANNED):
            found |= {step for step in _plan(sql, setting) if _is_scan(step)}
    return count, found


def _plan(sql: str, setting: str) -> list[str]:
    """Return the steps of a query's plan, under the setting it ran with."""
    from django.db import connection, transaction

    is_sqlite = connection.vendor == "sqlite"
    with transaction.atomic(), connection.cursor() as cursor:
        if setting:
            cursor.execute(setting)
        # The text comes from the page's own queries, values in place.
        cursor.execute(f"EXPLAIN {'QUERY PLAN ' if is_sqlite else ''}{sql}")
        return [str(row[-1]) for row in cursor.fetchall()]


def _is_scan(step: str) -> bool:
    """Tell a step that reads a whole table, not an index from its end."""
    return bool(_SCAN.search(step)) and " USING " not in step


# A file


def _exported() -> dict[str, Any]:
    """Have the log written as a file by its job; return how many rows, how fast."""
    from poolsite import jobs
    from poolsite.actor import person
    from poolsite.models import User
    from scripts.dashboards_pages import query_of
    from usage import saved_services
    from usage.models import Export, Request

    user = User.objects.get(email="rig@example.com")
    for row in Export.objects.filter(user=user):
        saved_services.delete_export(person(user), row)
    times = Request.objects.order_by("-at", "-id").values_list("at", flat=True)
    first = next(iter(times[EXPORTED - 1 : EXPORTED]), times[0])
    query = query_of(f"since:{first.isoformat()}")
    row = saved_services.start_export(person(user), "requests", query)
    assert row.job is not None
    begun = time.perf_counter()
    jobs.run(row.job.pk, saved_services.write_export)
    seconds = time.perf_counter() - begun
    row.refresh_from_db()
    return {"rows": row.rows, "seconds": round(seconds, 1), "bytes": row.size_bytes}


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "poolsite.settings")
    django.setup()
    print(json.dumps(main(*(int(each) for each in sys.argv[1:]))))
