"""Two hundred requests a second on SQLite while people use the console: no lock error."""

from __future__ import annotations

import asyncio
import random
import re
import sqlite3
import statistics
import threading
import time
import urllib.error
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field

from scripts.proofs.figure import Figure, at_least, at_most, equal
from scripts.proofs.setting import Stage, set_stage
from tests.endtoend.browser import Browser
from tests.rig.driver import Load, Outcome, Shape, run_open
from tests.rig.ledger_check import Report
from tests.rig.product import Product

name = "steady"
RATE = 200
SECONDS, SHORT_SECONDS = 600, 20
QUICK = "gpt-test"
STREAM = "fault-len-100-200"
PASSWORD = "a-long-steady-passphrase-7"
LOCKED = "database is locked"
BUDGET_USD = "100000"
PAGES = (
    *("/", "/usage/?by=model", "/usage/?by=key&range=24h", "/usage/?by=session"),
    *("/requests/", "/requests/?status=5xx", "/requests/?latency=%3E1s", "/keys/"),
    *("/usage/sessions/", "/usage/now/", "/providers/", "/keys/budgets/", "/audit/"),
)
_LONGEST = 200
_BUDGET = re.compile(r'"/keys/budgets/(\d+)/"')
_EXPORT = re.compile(r'action="(/usage/exports/\d+/delete/)"')


@dataclass
class Person:
    """What somebody at the console did and saw.

    Units:  seconds of each page that was read.
    """

    browser: Browser
    rng: random.Random
    reads: list[float] = field(default_factory=list)
    writes: int = 0
    errors: list[str] = field(default_factory=list)

    def read(self) -> None:
        """Open one of the pages."""
        begun = time.perf_counter()
        self.browser.get(self.rng.choice(PAGES))
        self.reads.append(time.perf_counter() - begun)

    def write(self) -> None:
        """Change something: a new key, a budget, or a file to be written."""
        act = self.rng.choice((self._key, self._budget, self._export, self._profile))
        act()
        self.writes += 1

    def _key(self) -> None:
        name = f"steady-{self.rng.getrandbits(40):010x}"
        plain = {"model_access": "all", "expiry": "never", "window": "month"}
        terms = {"time_zone": "UTC", "hard": "1"}
        self.browser.submit("/keys/add/", name=name, **plain, **terms)

    def _budget(self) -> None:
        found = _BUDGET.findall(self.browser.get("/keys/budgets/"))
        path = f"/keys/budgets/{found[0]}/" if found else "/keys/budgets/add/"
        amount = str(int(BUDGET_USD) + self.rng.randrange(1_000))
        terms = {"budget_usd": amount, "window": "month", "time_zone": "UTC"}
        whose = {} if found else {"whose": "pool"}
        self.browser.submit(path, hard="1", **terms, **whose)

    def _export(self) -> None:
        for path in _EXPORT.findall(self.browser.get("/usage/exports/"))[4:]:
            self.browser.submit(path, page="/usage/exports/")
        self.browser.submit(
            "/usage/exports/start/",
            page="/requests/",
            kind="requests",
            query="since=1m",
        )

    def _profile(self) -> None:
        theme = self.rng.choice(("light", "dark"))
        likes = {"time_zone": "Asia/Kathmandu", "density": "compact"}
        self.browser.submit("/settings/profile/", theme=theme, **likes)


def run(seed: int, *, short: bool = False) -> list[Figure]:
    """Load the running product at a steady rate beside a reader and a writer."""
    seconds = SHORT_SECONDS if short else SECONDS
    with set_stage(seed=seed) as scene:
        scene.provider("up", models=[QUICK, STREAM])
        scene.price("*", input_usd="3", output_usd="15")
        scene.key("load", concurrency=5_000, budget_nano=10**15)
        scene.open(within_s=60)
        people = [
            _signed_in(scene.product, each, seed) for each in ("reader", "writer")
        ]
        outcomes, took = _loaded(scene, people, seed, seconds)
        report = scene.check(outcomes, within_s=60)
        ledger = scene.product.ledger()
        log = _everything_logged(scene.product)
        failed = _failed_jobs(scene.product)
    return [
        *_figures(outcomes, took, people, log),
        *_ledger(report),
        equal("requests in the ledger", len(ledger.requests), len(outcomes)),
        equal("jobs that failed", failed, 0),
    ]


def _signed_in(product: Product, who: str, seed: int) -> Person:
    address = f"{who}@example.com"
    product.pool("user", "create", address, "--role", "owner", stdin=PASSWORD + "\n")
    person = Person(Browser(product.root), random.Random(f"{seed}:{who}"))
    person.browser.sign_in(address, PASSWORD)
    return person


def _loaded(
    scene: Stage, people: list[Person], seed: int, seconds: float
) -> tuple[list[Outcome], float]:
    """Send the requests while both people work; return what came and how long it took."""
    reader, writer = people
    end = threading.Event()
    threads = [
        threading.Thread(target=_until, args=(end, pause_s, person, act))
        for pause_s, person, act in (
            (0.5, reader, reader.read),
            (1.0, writer, writer.write),
        )
    ]
    mix = [Shape(QUICK, weight=3), Shape(STREAM, stream=True, weight=1)]
    load = Load(scene.product.url, scene.keys["load"], mix, seed=seed, timeout_s=60)
    begun = time.monotonic()
    for thread in threads:
        thread.start()
    try:
        outcomes = asyncio.run(run_open(load, rate=RATE, count=10**9, seconds=seconds))
    finally:
        took = time.monotonic() - begun
        end.set()
        for thread in threads:
            thread.join(60)
    return outcomes, took


def _until(
    end: threading.Event, pause_s: float, person: Person, act: Callable[[], None]
) -> None:
    while not end.wait(pause_s):
        try:
            act()
        except urllib.error.HTTPError as exc:
            body = exc.read().decode(errors="replace")
            person.errors.append(f"{exc.code} {exc.url}: {_reason(body)}")
        except Exception as exc:  # noqa: BLE001 - whatever it was, the proof must tell
            person.errors.append(repr(exc))


def _reason(body: str) -> str:
    text = " ".join(re.sub(r"<[^>]+>", " ", body).split())
    return LOCKED if LOCKED in body else text[:_LONGEST]


def _everything_logged(product: Product) -> str:
    files = [product.log, *sorted(product.data_dir.rglob("*.log"))]
    return "\n".join(path.read_text(errors="replace") for path in files)


def _failed_jobs(product: Product) -> int:
    address = f"file:{product.database}?mode=ro"
    with closing(sqlite3.connect(address, uri=True, timeout=10)) as connection:
        sql = "SELECT count(*) FROM poolsite_job WHERE state = 'failed'"
        count: int = connection.execute(sql).fetchone()[0]
    return count


def _figures(
    outcomes: list[Outcome],
    took: float,
    people: list[Person],
    log: str,
) -> list[Figure]:
    reader, writer = people
    missed = [outcome for outcome in outcomes if outcome.kind != "answered"]
    locked = log.count(LOCKED) + sum(
        LOCKED in text
        for text in (
            *(error for person in people for error in person.errors),
            *(f"{outcome.error} {outcome.message}" for outcome in outcomes),
        )
    )
    reads = sorted(seconds * 1_000 for seconds in reader.reads)
    errors = reader.errors + writer.errors
    return [
        equal(f'"{LOCKED}" in logs and answers', locked, 0),
        at_least("requests a second", round(len(outcomes) / took, 1), RATE * 0.98),
        Figure(
            "requests not answered",
            f"{len(missed):,}: {_why(missed)}" if missed else "0",
            "exactly 0",
            not missed,
        ),
        at_least("pages read meanwhile", len(reads), 1),
        at_least("changes made meanwhile", writer.writes, 1),
        Figure(
            "what the console refused or failed",
            "; ".join(errors[:3]) or "nothing",
            "nothing",
            not errors,
        ),
        Figure(
            "pages meanwhile, as seen",
            f"p50 {statistics.median(reads):.0f} ms,"
            f" p95 {reads[int(len(reads) * 0.95)]:.0f} ms",
            "told",
            True,
        ),
        at_most("run, minutes", round(took / 60, 1), 11),
    ]


def _why(missed: list[Outcome]) -> str:
    reasons = Counter(f"{each.status} {each.error}".strip() for each in missed)
    return ", ".join(f"{reason} x {count}" for reason, count in reasons.most_common(3))


def _ledger(report: Report) -> list[Figure]:
    return [
        equal("lost", len(report.lost), 0),
        equal("double", len(report.double), 0),
        equal("cost difference, nano-USD", report.cost_diff_nano_usd, 0),
        Figure(
            "other findings",
            "; ".join(report.wrong[:3]) or "none",
            "none",
            not report.wrong,
        ),
    ]
