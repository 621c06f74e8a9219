"""Measure the screens of a provider with many models, in a database of its own.

    python -m scripts.discovery_rig COUNT SEED

Prints one JSON object: for each screen its queries, its time and its size. A fake
vendor lists the models; their names, limits and prices are drawn by the seed.
"""

from __future__ import annotations

import gzip
import json
import os
import random
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import django

ROUNDS = 21
WORDS = ("sonnet", "large", "mini", "pro", "coder", "vision", "instruct", "turbo")


def main(count: int, seed: int) -> dict[str, Any]:
    """List, compare, apply, and measure every screen on the way."""
    from django.core.management import call_command

    call_command("migrate", verbosity=0, interactive=False)
    call_command("collectstatic", verbosity=0, interactive=False)
    from tests.vendors.server import Vendor

    with Vendor() as vendor:
        vendor.on("GET", "/api/v1/models", {"data": _models(count, seed)})
        return _measure(vendor.root)


def _models(count: int, seed: int) -> list[dict[str, Any]]:
    rng = random.Random(seed)
    made = []
    for number in range(count):
        words = "-".join(rng.sample(WORDS, 2))
        made.append(
            {
                "id": f"vendor-{rng.randrange(40)}/{words}-{number}",
                "name": f"Vendor: {words.title()} {number}",
                "context_length": rng.choice((8_192, 131_072, 1_000_000)),
                "top_provider": {"max_completion_tokens": rng.choice((4_096, 64_000))},
                "architecture": {"input_modalities": ["text", "image"]},
                "pricing": {
                    "prompt": f"0.{rng.randrange(1, 10**6):09}",
                    "completion": f"0.{rng.randrange(1, 10**6):09}",
                },
                "supported_parameters": ["tools", "response_format", "reasoning"],
            }
        )
    return made


def _measure(root: str) -> dict[str, Any]:
    from django.test import Client

    from poolsite.accounts import OPERATOR
    from poolsite.prepare import ensure_groups
    from providers.services import discovery
    from tests.factories import make_provider, make_user

    ensure_groups()
    client = Client(SERVER_NAME="127.0.0.1")
    client.force_login(make_user("proof@example.com", OPERATOR))
    make_user("owner@example.com", "owner")
    provider = make_provider("many", base_url=f"{root}/api/v1", allow_private=True)
    began = time.perf_counter()
    kept = discovery.refresh(provider)
    fetched_ms = (time.perf_counter() - began) * 1_000
    changes = f"/providers/{provider.slug}/models/changes/"
    found = {"listed": len(kept.entries), "fetched_ms": fetched_ms, "error": kept.error}
    screens = {"discovery diff": _look(client, changes)}
    client.post(changes, {"all": "every"})
    found["applied"] = provider.models.count()
    name = provider.models.order_by("model_id").first()
    if name is not None:
        for title, path in (
            ("models", "/models/"),
            ("models by capability", "/models/?capability=tools"),
            ("models by price", "/models/?price=0.5"),
            ("model detail", f"/models/detail/?id={name.model_id}"),
            ("provider", f"/providers/{provider.slug}/"),
            ("allowlist", f"/providers/{provider.slug}/models/access/"),
        ):
            screens[title] = _look(client, path)
    return {**found, "screens": screens, "files": _files_bytes()}


def _look(client: Any, path: str) -> dict[str, float]:
    """Ask for a page many times; the first time is thrown away."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    answer = client.get(path)
    if answer.status_code != 200:
        raise SystemExit(f"{path} answered {answer.status_code}")
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        client.get(path)
        times.append((time.perf_counter() - began) * 1_000)
    with CaptureQueriesContext(connection) as queries:
        client.get(path)
    return {
        "queries": len(queries),
        "p50_ms": round(statistics.median(times), 1),
        "bytes": len(gzip.compress(answer.content, 6)),
    }


def _files_bytes() -> int:
    """Return what a first visit loads beside the page, compressed as it is served."""
    static = Path(__file__).parents[1] / "static"
    names = ("css/app.css", "js/htmx.js", "js/console.js", "icons.svg", "favicon.svg")
    return sum(len(gzip.compress((static / name).read_bytes(), 6)) for name in names)


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "poolsite.settings")
    django.setup()
    print(json.dumps(main(int(sys.argv[1]), int(sys.argv[2]))))
