"""Probes of a 300-model provider: how long, how soon they stop, how large the pages."""

from __future__ import annotations

import json
import re
import sqlite3
import statistics
import threading
import time
import urllib.request
from contextlib import closing
from typing import Any

from scripts.proofs.figure import Figure, at_least, at_most, equal
from scripts.proofs.setting import Stage, set_stage
from tests.endtoend.browser import Browser

name = "probes"
MODELS = 300
MISSING, BUSY = 25, 25
SLOW = "fault-slow-first-3000"
PASSWORD = "correct horse battery"
PERSON = "olivia@example.com"
_ASSETS = re.compile(r'(?:href|src)="(/static/[^"#]+\.(?:css|js|svg))')


def run(seed: int, *, short: bool = False) -> list[Figure]:
    """Probe 300 models, cancel a slow round, weigh the pages; then kill a worker."""
    with set_stage(seed=seed) as scene:
        healthy = MODELS - MISSING - BUSY
        scene.provider(
            "up",
            models=[
                *(f"model-{number:03}" for number in range(healthy)),
                *(f"fault-404+len-{number + 1}" for number in range(MISSING)),
                *(f"fault-429+len-{number + 1}" for number in range(BUSY)),
            ],
        )
        slow = [f"{SLOW}+len-{number + 1}" for number in range(60)]
        scene.provider("slow", models=slow)
        scene.price("*", input_usd="1", output_usd="2")
        scene.open()
        scene.product.pool(
            "user", "create", PERSON, "--role", "owner", stdin=PASSWORD + "\n"
        )
        browser = Browser(scene.product.root)
        browser.sign_in(PERSON, PASSWORD)
        figures = _all_at_once(scene, healthy)
        figures += _pages(browser)
        figures += _cancelled(scene, browser)
        if not short:
            figures += _killed(scene)
        return figures


def _all_at_once(scene: Stage, healthy: int) -> list[Figure]:
    told = _probe(scene, "up", "--concurrency", "20")
    begun, ended = _moments(scene, told["id"])
    settled = scene.product.wait_settled()
    return [
        equal("300 models: answered", told["ok"], healthy),
        equal("300 models: missing, and switched off", told["missing"], MISSING),
        equal("300 models: unproven (429), and left on", told["unproven"], BUSY),
        equal("300 models: switched off", _count(scene, "enabled = 0"), MISSING),
        equal("300 models: requests in the ledger", len(settled.requests), MODELS),
        at_most("300 models, 20 at a time", round(ended - begun, 2), 30, "s"),
    ]


def _pages(browser: Browser) -> list[Figure]:
    figures = []
    for title, path in (
        ("probe form", "/models/probe/"),
        ("round", "/models/probes/1/"),
    ):
        page = browser.get(path)
        weight = len(page.encode()) + sum(
            _packed(browser.root + asset) for asset in set(_ASSETS.findall(page))
        )
        taken = []
        for _ in range(15):
            begun = time.perf_counter()
            browser.get(path)
            taken.append((time.perf_counter() - begun) * 1000)
        figures += [
            at_most(f"300 models: {title}, cold", round(weight / 1024, 1), 90, "KB"),
            at_most(
                f"300 models: {title}, p50",
                round(statistics.median(taken), 1),
                50,
                "ms",
            ),
        ]
    return figures


def _cancelled(scene: Stage, browser: Browser) -> list[Figure]:
    """Stop a round whose calls take three seconds each, from the page."""
    run_id = _begin(scene, "slow", "--concurrency", "5", "--timeout", "30")
    _wait(lambda: _state(scene, run_id) == "running", within_s=20)
    _wait(lambda: _results(scene, run_id, "ok") >= 5, within_s=30)
    kept = _results(scene, run_id, "ok")
    listener = _Listener(browser, _job(scene, run_id))
    begun = time.perf_counter()
    browser.submit(f"/models/probes/{run_id}/cancel/", page=f"/models/probes/{run_id}/")
    _wait(lambda: _state(scene, run_id) == "cancelled", within_s=20)
    stopped_s = time.perf_counter() - begun
    told = listener.end()
    waiting = _results(scene, run_id, "waiting")
    return [
        at_most("cancel: until the job has stopped", round(stopped_s, 2), 2, "s"),
        at_least("cancel: results kept", _results(scene, run_id, "ok"), kept),
        at_least("cancel: models never asked", waiting, 60 - kept - 10),
        equal("live stream: ended by itself with the job", told[-1], "done"),
    ]


def _killed(scene: Stage) -> list[Figure]:
    """Kill the worker within a round: another takes up what still waits."""
    run_id = _begin(scene, "slow", "--concurrency", "20", "--timeout", "30")
    _wait(lambda: _results(scene, run_id, "ok") >= 20, within_s=40)
    scene.product.kill("worker", with_parent=True)
    before = _answered_at(scene, run_id)
    _wait(lambda: _state(scene, run_id) == "done", within_s=260)
    after = _answered_at(scene, run_id)
    kept = sum(after[key] == moment for key, moment in before.items())
    return [
        equal("worker killed: results kept as they were", kept, len(before)),
        equal("worker killed: answered in the end", len(after), 60),
    ]


class _Listener:
    """Listen to a job's live stream beside the proof."""

    def __init__(self, browser: Browser, job_id: int) -> None:
        self._browser = browser
        self._path = f"/jobs/{job_id}/events/"
        self._events: list[str] = []
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def end(self) -> list[str]:
        """Return the names of the events once the stream is over."""
        self._thread.join(15)
        return self._events or ["nothing"]

    def _listen(self) -> None:
        for line in self._browser.get(self._path).splitlines():
            if line.startswith("event: "):
                self._events.append(line.removeprefix("event: "))


def _probe(scene: Stage, provider: str, *options: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(
        scene.product.pool("model", "probe", provider, "--json", *options)
    )
    return told


def _begin(scene: Stage, provider: str, *options: str) -> int:
    arguments = ("model", "probe", provider, "--json", "--no-wait", *options)
    return int(json.loads(scene.product.pool(*arguments))["id"])


def _packed(url: str) -> int:
    request = urllib.request.Request(url, headers={"accept-encoding": "gzip"})
    with urllib.request.urlopen(request, timeout=10) as reply:
        return len(reply.read())


def _rows(scene: Stage, sql: str, *values: object) -> list[Any]:
    address = f"file:{scene.product.database}?mode=ro"
    with closing(sqlite3.connect(address, uri=True, timeout=5)) as database:
        return database.execute(sql, values).fetchall()


def _count(scene: Stage, where: str) -> int:
    return int(
        _rows(scene, f"SELECT count(*) FROM providers_providermodel WHERE {where}")[0][
            0
        ]
    )


def _state(scene: Stage, run_id: int) -> str:
    sql = "SELECT j.state FROM poolsite_job j JOIN providers_proberun r ON r.job_id = j.id WHERE r.id = ?"
    return str(_rows(scene, sql, run_id)[0][0])


def _job(scene: Stage, run_id: int) -> int:
    sql = "SELECT job_id FROM providers_proberun WHERE id = ?"
    return int(_rows(scene, sql, run_id)[0][0])


def _results(scene: Stage, run_id: int, state: str) -> int:
    sql = "SELECT count(*) FROM providers_proberesult WHERE run_id = ? AND state = ?"
    return int(_rows(scene, sql, run_id, state)[0][0])


def _answered_at(scene: Stage, run_id: int) -> dict[int, str]:
    sql = "SELECT id, at FROM providers_proberesult WHERE run_id = ? AND state = 'ok'"
    return dict(_rows(scene, sql, run_id))


def _moments(scene: Stage, run_id: int) -> tuple[float, float]:
    sql = (
        "SELECT julianday(j.started_at) * 86400, julianday(j.finished_at) * 86400 "
        "FROM poolsite_job j JOIN providers_proberun r ON r.job_id = j.id WHERE r.id = ?"
    )
    begun, ended = _rows(scene, sql, run_id)[0]
    return float(begun), float(ended)


def _wait(holds: Any, *, within_s: float) -> None:
    end = time.monotonic() + within_s
    while not holds() and time.monotonic() < end:
        time.sleep(0.05)
