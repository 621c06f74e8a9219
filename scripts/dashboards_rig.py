"""Ask every page of usage of a big ledger and print what was measured.

    python -m scripts.dashboards_rig COUNT SEED [ROUNDS]

Prints one JSON object. Pages are asked through Django's test client in this process:
what is measured is the server's work, session, template and database included.
"""

from __future__ import annotations

import gzip
import itertools
import json
import os
import statistics
import sys
import time
from collections.abc import Iterator
from typing import Any

import django

ROUNDS = 3
GROUPS = (
    *("provider", "model", "key", "team", "agent", "user", "session", "status"),
    "tag",
)
RANGES = ("24h", "7d", "30d", "90d")
FILTERS = (
    *("provider=provider-03", "model=model-01", "key=seeded-07"),
    *("provider=provider-03&model=model-01", "provider=provider-03&key=seeded-07"),
)
ALONE = ("agent=codex", "team=Team+1", "status=503", "user=user-9", "tag=ci")
OTHERS = (
    *("/", "/?range=1h", "/?range=7d", "/requests/", "/requests/?status=503"),
    *("/requests/?key=seeded-07", "/usage/now/", "/usage/difference/?range=7d"),
    *("/usage/difference/?range=90d", "/usage/views/", "/usage/exports/"),
    *("/usage/sessions/?range=24h", "/usage/sessions/?range=7d"),
    *("/usage/sessions/?range=30d", "/usage/sessions/?range=90d"),
)
SCANNED = ("usage_request", "usage_attempt")


def pages() -> Iterator[str]:
    """Yield the addresses: every group in every range, figures, filters, the others."""
    for by, span in itertools.product(GROUPS, RANGES):
        yield f"/usage/?by={by}&range={span}"
        yield f"/usage/?by={by}&range={span}&compare=1"
    for metric in ("requests", "errors", "tokens_in", "tokens_cache", "latency"):
        yield f"/usage/?metric={metric}&range=30d"
    for some, span in itertools.product(FILTERS, RANGES):
        yield f"/usage/?by=model&range={span}&{some}"
    for some in ALONE:
        yield f"/usage/?by={some.partition('=')[0]}&range=30d&{some}"
    yield from OTHERS
    yield "/usage/session/?id=agent:main:000010"


def main(count: int, seed: int, rounds: int = ROUNDS) -> dict[str, Any]:
    """Fill the ledger where it is empty, then ask every page some times."""
    from django.core.management import call_command

    from scripts import seed_usage
    from usage.models import Request

    call_command("migrate", verbosity=0, interactive=False)
    call_command("collectstatic", verbosity=0, interactive=False)
    seen: dict[str, Any] = {"seed_s": 0.0}
    if not Request.objects.exists():
        seen["seed_s"] = round(seed_usage.fill(count, seed), 1)
        _add_providers()
        _analyze()
    client = _signed_in()
    times: dict[str, list[float]] = {}
    queries: dict[str, int] = {}
    sizes: dict[str, int] = {}
    scans: set[str] = set()
    works: list[float] = []
    for address in pages():
        queries[address], found = _explained(client, address)
        scans |= {f"{address}: {each}" for each in found}
        for _ in range(rounds):
            begun, used = time.perf_counter(), time.process_time()
            answer = client.get(address)
            spent = (time.perf_counter() - begun) * 1_000
            works.append((time.process_time() - used) * 1_000)
            assert answer.status_code == 200, (address, answer.status_code)
            times.setdefault(address, []).append(spent)
        sizes[address] = len(gzip.compress(answer.content, 6))
    works.sort()
    seen["cpu_p50_ms"] = round(statistics.median(works), 1)
    seen["cpu_p95_ms"] = round(works[int(len(works) * 0.95)], 1)
    return seen | _told(times, queries, sizes, scans)


def _told(
    times: dict[str, list[float]],
    queries: dict[str, int],
    sizes: dict[str, int],
    scans: set[str],
) -> dict[str, Any]:
    middles = {address: statistics.median(some) for address, some in times.items()}
    every = sorted(itertools.chain(*times.values()))
    slowest = sorted(middles, key=lambda address: -middles[address])
    return {
        "pages": len(times),
        "p50_ms": round(statistics.median(every), 1),
        "p95_ms": round(every[int(len(every) * 0.95)], 1),
        "slowest": [(each, round(middles[each], 1)) for each in slowest[:12]],
        "queries": max(queries.values()),
        "most_queries": max(queries, key=lambda each: queries[each]),
        "bytes": max(sizes.values()),
        "largest": max(sizes, key=lambda each: sizes[each]),
        "scans": sorted(scans),
    }


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
    from providers.services import providers
    from scripts.seed_usage import PROVIDERS

    for number in range(PROVIDERS):
        slug = f"provider-{number:02}"
        providers.create_provider(
            CLI, slug=slug, base_url=f"https://{slug}.example.com/v1"
        )


def _explained(client: Any, address: str) -> tuple[int, set[str]]:
    """Count a page's queries; return the steps of their plans that read all rows."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as caught:
        client.get(address)
    found = set()
    for query in caught.captured_queries:
        sql = query["sql"]
        if sql.startswith(("SELECT", "(SELECT")) and any(n in sql for n in SCANNED):
            found |= {step for step in _plan(sql) if _is_scan(step)}
    return len(caught.captured_queries), found


def _plan(sql: str) -> list[str]:
    from django.db import connection

    is_sqlite = connection.vendor == "sqlite"
    with connection.cursor() as cursor:
        # The text comes from the page's own queries, values in place.
        cursor.execute(f"EXPLAIN {'QUERY PLAN ' if is_sqlite else ''}{sql}")
        return [str(row[-1]) for row in cursor.fetchall()]


def _is_scan(step: str) -> bool:
    """Tell a step that reads a whole table, not an index from its end."""
    text = step.strip()
    if "Seq Scan on" in text:
        return any(name in text for name in SCANNED)
    is_whole = text.startswith("SCAN ") and " USING " not in text
    return is_whole and any(name in text for name in SCANNED)


def _analyze() -> None:
    """Let the database know its tables, as its own upkeep does in time."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "poolsite.settings")
    django.setup()
    print(json.dumps(main(*(int(each) for each in sys.argv[1:]))))
