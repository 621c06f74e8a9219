"""Compare gateways on this machine and print one table.

    python -m bench [--quick] [--write] [--only-floor]

--write puts the page into docs/benchmarks.md; --only-floor leaves the product out.
Exit 1 when a budget was missed.
"""

from __future__ import annotations

import argparse
import datetime
import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from bench import gateways, peers, plan_cost, profiles, report
from bench.tools import LOAD_CORE, BenchError, require
from tests.rig.processes import ROOT


def main() -> int:
    """Run the whole comparison."""
    parser = argparse.ArgumentParser(prog="python -m bench")
    parser.add_argument("--quick", action="store_true", help="2 s a run, not 8")
    parser.add_argument("--write", action="store_true", help="docs/benchmarks.md")
    parser.add_argument("--only-floor", action="store_true")
    arguments = parser.parse_args()
    try:
        page = _compare(arguments)
    except (BenchError, TimeoutError) as exc:
        print(f"bench: {exc}", file=sys.stderr)
        return 2
    print(page)
    if arguments.write:
        (ROOT / "docs").mkdir(exist_ok=True)
        (ROOT / "docs" / "benchmarks.md").write_text(page)
    return 1 if "MISSED" in page else 0


def _compare(arguments: argparse.Namespace) -> str:
    require("wrk", "wrk")
    require("nginx", "nginx-light")
    require("taskset", "util-linux")
    if (os.cpu_count() or 1) < 2:
        raise BenchError("two cores are needed, one for the proxy, one for the load")
    # The console user is a thread of this process; it belongs to the measuring side.
    os.sched_setaffinity(0, {LOAD_CORE})
    seconds = 2 if arguments.quick else 8
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        target = stack.enter_context(gateways.mock(directory))
        starters: list[peers.Starter] = [
            gateways.direct,
            gateways.nginx,
            gateways.relay,
        ]
        if not arguments.only_floor:
            starters += [gateways.provider_pool, *peers.installed()]
        running = []
        for starter in starters:
            own = directory / starter.__name__
            own.mkdir()
            running.append(stack.enter_context(starter(own, target)))
        return _measure(running, seconds, only_floor=arguments.only_floor)


def _measure(running: list[gateways.Running], seconds: int, *, only_floor: bool) -> str:
    found = profiles.measure_peaks(running, seconds=seconds)
    notes: list[str] = []
    pool = next((g for g in running if g.product is not None), None)
    subject = found[pool.name if pool else running[-1].name]
    rate = round(subject.json_median / 2)
    profiles.measure_latency(running, found, rate=rate, seconds=seconds)
    if pool is not None and not only_floor:
        profiles.measure_translated(pool, subject, seconds=seconds)
        pages = profiles.measure_latency_with_console(
            pool, subject, rate=rate, seconds=seconds
        )
        notes.append(f"The console user loaded the overview {pages} times.")
        profiles.measure_memory(pool, subject)
        subject.plan = plan_cost.measure()
    date = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    return report.render(found, date=date, rate=rate, notes=notes)


if __name__ == "__main__":
    raise SystemExit(main())
