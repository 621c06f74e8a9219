"""The catalogue survives whatever its sources answer, and no start waits for them."""

from __future__ import annotations

import gzip
import json
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from scripts.proofs.figure import Figure, at_most, equal
from tests.rig.product import Product, ProductError
from tests.vendors import feeds
from tests.vendors.server import Reply, Vendor

name = "catalogue"
NAME = "models_dev"
PATH = "/api.json"
MODELS = 1_200
ROUNDS, SHORT_ROUNDS = 5, 3
NOISE_S = 0.5
ASKED_WITHIN_S = 90
_ENV = {"POOL_ALLOW_PRIVATE": "127.0.0.0/8", "POOL_CATALOGUE_REFRESH": "on"}
_PATHS = {"models_dev": PATH, "litellm": "/litellm.json", "openrouter": "/openrouter"}
_EVIL = (
    "<script>alert(1)</script>",
    "gpt\u202eeerf",
    "m\x1b[31m",
    "a\nb",
    "m" * 4_000_000,
)


def run(seed: int, *, short: bool = False) -> list[Figure]:
    """Answer with every fault once, then start with and without a network."""
    return [*_faults(), *_starts(SHORT_ROUNDS if short else ROUNDS)]


# Faults


def _faults() -> list[Figure]:
    figures = []
    with _product() as product, Vendor() as vendor:
        vendor.on("GET", PATH, feeds.Conditional(feeds.models_dev(MODELS)))
        _point(product, NAME, vendor.root + PATH)
        _refresh(product)
        before = _serving(product)
        figures.append(equal("models read from a good answer", before[1], MODELS))
        for what, body in _bodies().items():
            vendor.on("GET", PATH, body)
            figures.append(_kept(product, what, before))
        for what, server in _servers().items():
            with server as running:
                _point(product, NAME, running.root + PATH)
                figures.append(_kept(product, what, before))
        _point(product, NAME, "http://nobody.invalid/api.json")
        figures.append(_kept(product, "unknown host", before))
        _point(product, NAME, vendor.root + PATH)
        figures.append(_hostile(product, vendor))
    return figures


def _bodies() -> dict[str, Any]:
    good = feeds.as_json(feeds.models_dev(MODELS))
    moved = {"location": "https://elsewhere.example.com/"}
    zipped = gzip.compress(b" " * 300_000_000, 1)
    return {
        "304": feeds.Conditional(feeds.models_dev(MODELS)),
        "a sign-in page": b"<!doctype html><h1>Sign in</h1>",
        "binary": bytes(range(256)) * 4_096,
        "JSON of another shape": feeds.as_json(feeds.openrouter(MODELS)),
        "nested 200,000 deep": b"[" * 200_000,
        "truncated": good[: len(good) // 2],
        "100 times larger": lambda asked: Reply(good * 100),
        "a gzip bomb of 300 MB": Reply(zipped, headers={"content-encoding": "gzip"}),
        "less than half of the models": feeds.models_dev(MODELS // 2 - 1),
        "every price 1,000 times higher": _dearer(),
        "500": Reply(b"", status=500),
        "a redirect": Reply(b"", status=302, headers=moved),
    }


def _servers() -> dict[str, feeds.RawServer]:
    good = feeds.as_json(feeds.models_dev(MODELS))
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 99999\r\n"
    return {
        "cut connection": feeds.RawServer(
            feeds.raw_answer(good[: len(good) // 2], length=len(good))
        ),
        "wrong length": feeds.RawServer(feeds.raw_answer(good, length=len(good) // 2)),
        "silent server": feeds.RawServer(b"", hang=True),
        "dripping headers": feeds.RawServer(head, drip=b"x: 1\r\n"),
    }


def _dearer() -> dict[str, Any]:
    document = feeds.models_dev(MODELS)
    for model in document["acme"]["models"].values():
        model["cost"] = {"input": 1_000, "output": 2_000}
    return document


def _kept(product: Product, what: str, before: tuple[str, int]) -> Figure:
    begun = time.monotonic()
    said = _refresh(product)
    took = time.monotonic() - begun
    is_same = _serving(product) == before
    shown = f"{'previous serves' if is_same else 'CHANGED'} after {took:.1f} s: {said}"
    return Figure(what, shown, "the previous catalogue keeps serving", is_same)


def _hostile(product: Product, vendor: Vendor) -> Figure:
    document = feeds.models_dev(MODELS)
    models = document["acme"]["models"]
    for text in _EVIL:
        models[text] = {**models["m-1"], "id": text, "name": text}
    vendor.on("GET", PATH, Reply(document))
    said = _refresh(product)
    _digest, count = _serving(product)
    # HTML is text: it is kept and escaped where it is shown. The others are no names.
    return Figure(
        "hostile names", f"{count:,} models: {said}", f"{MODELS + 1:,} models",
        count == MODELS + 1,
    )  # fmt: skip


def _refresh(product: Product) -> str:
    """Ask now; a refusal is an answer too."""
    try:
        return product.pool("catalogue", "refresh", NAME).strip()
    except ProductError:
        rows = json.loads(product.pool("catalogue", "status", "--json"))["feeds"]
        return str(next(row["last_error"] for row in rows if row["name"] == NAME))


def _serving(product: Product) -> tuple[str, int]:
    """Return the digest of what serves, and how many models it has."""
    query = "SELECT digest, models_listed FROM pricing_feed WHERE name = ?"
    with closing(sqlite3.connect(product.database)) as database:
        found: tuple[str, int] = database.execute(query, (NAME,)).fetchone()
    return found


# Starts


def _starts(rounds: int) -> list[Figure]:
    """Start a product whose sources answer, and one whose sources are dead, in turns."""
    online: list[float] = []
    offline: list[float] = []
    with ExitStack() as stack:
        vendor = stack.enter_context(Vendor())
        for feed, document in _documents().items():
            vendor.on("GET", _PATHS[feed], document)
        live = stack.enter_context(_product())
        dead = stack.enter_context(_product())
        silent = stack.enter_context(feeds.RawServer(b"", hang=True))
        for feed, path in _PATHS.items():
            _point(live, feed, vendor.root + path)
        _point(dead, "models_dev", silent.root + PATH)
        _point(dead, "litellm", "http://nobody.invalid/x.json")
        _point(dead, "openrouter", "http://127.0.0.1:9/x")
        for number in range(rounds):
            # In turns, so that what else the machine does meets both alike.
            pairs = [(live, online), (dead, offline)]
            for product, seconds in pairs if number % 2 else reversed(pairs):
                seconds.append(_start(product))
        live.start()
        dead.start()
        read = _wait(lambda: _count(live, "fetched_at IS NOT NULL") == len(_PATHS))
        failed = _wait(lambda: _count(dead, "last_error <> ''") == len(_PATHS))
        ready = dead.status_of("/readyz")
    with_network, without = statistics.median(online), statistics.median(offline)
    return [
        Figure("start with every source answering", f"{with_network:.2f} s", "-", True),
        Figure("start with every source dead", f"{without:.2f} s", "-", True),
        at_most(
            "offline start beyond the online one", round(without - with_network, 2),
            NOISE_S, "s",
        ),
        Figure("sources read after the online start", f"{read}", "True", read),
        Figure("sources failed after the offline start", f"{failed}", "True", failed),
        equal("the offline product's /readyz meanwhile", ready, 200),
    ]  # fmt: skip


def _documents() -> dict[str, Any]:
    return {
        "models_dev": feeds.models_dev(MODELS),
        "litellm": feeds.litellm(MODELS),
        "openrouter": feeds.openrouter(MODELS),
    }


def _start(product: Product) -> float:
    """Start with every source due, as the first time; return the seconds."""
    with closing(sqlite3.connect(product.database)) as database, database:
        database.execute(
            "DELETE FROM poolsite_duetask WHERE task = 'pricing.refresh_feeds'"
        )
    took = product.start()
    product.stop()
    return took


def _count(product: Product, where: str) -> int:
    with closing(sqlite3.connect(product.database)) as database:
        query = f"SELECT count(*) FROM pricing_feed WHERE {where}"
        found: int = database.execute(query).fetchone()[0]
    return found


def _wait(is_so: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + ASKED_WITHIN_S
    while time.monotonic() < deadline:
        if is_so():
            return True
        time.sleep(0.5)
    return False


# Both


@contextmanager
def _product() -> Iterator[Product]:
    with (
        tempfile.TemporaryDirectory(prefix="pool-proof-") as directory,
        Product(Path(directory), env=_ENV) as product,
    ):
        yield product


def _point(product: Product, feed: str, url: str) -> None:
    product.pool("catalogue", "set", feed, "--url", url)
