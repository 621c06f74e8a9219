"""Whoever of several workers is asked, the figures are everybody's."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
from django.conf import settings
from prometheus_client.parser import text_string_to_metric_families

from poolsite.clock import ManualClock, SystemClock
from providers.proxy.exchange import Outcome
from providers.proxy.metrics import DataMetrics, Gauges

WORKER: Final = """
import sys
from pathlib import Path
from poolsite.clock import SystemClock
from providers.proxy.exchange import Outcome
from providers.proxy.metrics import DataMetrics, Gauges

number = int(sys.argv[2])
metrics = DataMetrics(Path(sys.argv[1]), SystemClock())
metrics.watch(lambda: Gauges({"pool_in_flight": 1.0}, {"pool_ready": 1.0}))
for each in range(10 * number):
    metrics.request_finished(
        Outcome(200, "ok"), dialect="openai", is_stream=False, seconds=0.05 * number
    )
    metrics.attempt_finished(f"p{number}", "ok", seconds=0.1)
metrics.flush()
print("counted", flush=True)
sys.stdin.read()
"""


@contextmanager
def workers(directory: Path, count: int) -> Iterator[list[subprocess.Popen[str]]]:
    """Run processes that count 10, 20, 30 requests and stay alive."""
    running: list[subprocess.Popen[str]] = []
    try:
        for number in range(1, count + 1):
            one = subprocess.Popen(
                [sys.executable, "-c", WORKER, str(directory), str(number)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                cwd=settings.BASE_DIR,
            )
            running.append(one)
            assert one.stdout is not None
            assert one.stdout.readline() == "counted\n"
        yield running
    finally:
        for each in running:
            each.communicate()


def read(text: str) -> dict[str, float]:
    """Read the text as a scraper does: a line's value by name and labels."""
    return {
        f"{sample.name}{sorted(sample.labels.items())}": sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def of(found: dict[str, float], name: str) -> list[float]:
    return [value for key, value in found.items() if key.startswith(f"{name}[")]


def test_any_worker_tells_the_sums_of_all(tmp_path: Path) -> None:
    asked = DataMetrics(tmp_path, SystemClock())
    with workers(tmp_path, 3) as running:
        found = read(asked.render().decode())
        assert of(found, "pool_requests_total") == [60]
        assert sorted(of(found, "pool_attempts_total")) == [10, 20, 30]
        assert of(found, "pool_request_seconds_count") == [60]
        assert of(found, "pool_request_seconds_sum") == [
            pytest.approx(10 * 0.05 + 20 * 0.1 + 30 * 0.15)
        ]
        buckets = of(found, "pool_request_seconds_bucket")
        assert buckets == sorted(buckets)
        assert buckets[-1] == 60
        assert of(found, "pool_in_flight") == [3]
        assert of(found, "pool_workers") == [4]
        running[0].communicate()
        found = read(asked.render().decode())
        # What it counted happened; what it was doing is over.
        assert of(found, "pool_requests_total") == [60]
        assert of(found, "pool_in_flight") == [2]
        assert of(found, "pool_workers") == [3]


def test_number_of_a_dead_worker_may_belong_to_somebody_else(tmp_path: Path) -> None:
    clock = ManualClock()
    dead = DataMetrics(tmp_path, clock)
    dead.watch(lambda: Gauges({"pool_in_flight": 5.0}))
    dead.attempt_finished("p", "ok", seconds=0.1)
    dead.flush()
    [path] = tmp_path.glob("data-*.json")
    # This process lives under the number, and is not the worker that wrote.
    path.rename(tmp_path / f"data-{os.getpid()}-1.json")
    clock.advance(60)
    found = read(DataMetrics(tmp_path, clock).render().decode())
    assert of(found, "pool_in_flight") == []
    assert of(found, "pool_workers") == [1]
    assert of(found, "pool_attempts_total") == [1]


def test_hostile_names_make_no_labels_of_their_own(tmp_path: Path) -> None:
    metrics = DataMetrics(tmp_path, SystemClock())
    for name in ('a"} 1\npool_requests_total 9', "b\\", "‮c", "<d>"):
        metrics.request_unpriced("p", name)
        metrics.usage_flagged(name, ["negative"])
    metrics.request_finished(
        Outcome(200, "ok"), dialect="openai", is_stream=True, seconds=0.1
    )
    found = read(metrics.render().decode())
    assert of(found, "pool_requests_total") == [1]
    assert len(of(found, "pool_unpriced_requests_total")) == 4
