"""Run the load generators, pinned, and read what they print."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import psutil

from tests.rig.processes import ROOT

PROXY_CORE, LOAD_CORE = 0, 1
_MESSAGES = [{"role": "user", "content": "Tell me about the harbour in winter."}]
JSON_BODY = json.dumps({"model": "bench", "messages": _MESSAGES})
STREAM_BODY = json.dumps({"model": "bench", "stream": True, "messages": _MESSAGES})
HOLD_BODY = json.dumps(
    {"model": "bench", "stream": True, "user": "hold", "messages": _MESSAGES}
)
_PATH = "/v1/chat/completions"


class BenchError(RuntimeError):
    """A tool is missing or a run had errors, so its figure would mean nothing."""


def require(tool: str, package: str) -> None:
    """Refuse to start without a tool. Errors: BenchError with the install line."""
    if shutil.which(tool, path=os.environ["PATH"] + ":/usr/sbin") is None:
        raise BenchError(f"{tool} is missing: apt-get install {package}")


def peak(
    root: str,
    key: str,
    body: str,
    *,
    seconds: int,
    clients: int = 64,
    path: str = _PATH,
) -> float:
    """Return requests a second of a closed loop. Errors: BenchError on any failure."""
    command = ["taskset", "-c", str(LOAD_CORE), "wrk", "-t1", f"-c{clients}"]
    command += [f"-d{seconds}s", "--timeout", "10s", "-s", "bench/post.lua"]
    done = _run([*command, root + path], key, body)
    found = re.search(r"RESULT (.*)", done)
    if found is None:
        raise BenchError(f"wrk printed no result:\n{done}")
    result = {k: int(v) for k, v in re.findall(r"(\w+)=(\d+)", found[1])}
    failures = [k for k in ("connect", "read", "write", "status") if result[k]]
    if failures or not result["requests"]:
        raise BenchError(f"errors under load on {root}: {found[1]}")
    return result["requests"] / (result["duration_us"] / 1e6)


def latency(root: str, key: str, *, rate: float, seconds: int) -> dict[str, float]:
    """Return the percentiles of an open loop. Errors: BenchError on any failure."""
    command = ["taskset", "-c", str(LOAD_CORE), sys.executable, "-m", "bench.openloop"]
    command += ["--url", root + _PATH, "--rate", str(rate), "--seconds", str(seconds)]
    report: dict[str, float] = json.loads(_run(command, key, JSON_BODY))
    if report["errors"]:
        raise BenchError(f"errors in the open loop on {root}: {report}")
    return report


def first_in_line() -> None:
    """Let the measuring side run before whatever shares its core.

    Keeper and console live there too: without this their turns on the core would be
    measured as latency of the product. Without the right to, nothing changes.
    """
    with suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))


def pin(processes: Iterable[psutil.Process], core: int) -> None:
    """Pin every thread of these processes to one core."""
    for process in processes:
        with suppress(psutil.Error, OSError):
            for thread in process.threads():
                with suppress(OSError):
                    os.sched_setaffinity(thread.id, {core})


def cpu_seconds(processes: Iterable[psutil.Process]) -> float:
    """Return the processor time these processes have used."""
    total = 0.0
    for process in processes:
        with suppress(psutil.Error):
            times = process.cpu_times()
            total += times.user + times.system
    return total


def rss_bytes(processes: Iterable[psutil.Process]) -> int:
    """Return the resident memory of these processes together."""
    total = 0
    for process in processes:
        with suppress(psutil.Error):
            total += process.memory_info().rss
    return total


def machine() -> str:
    """Describe the machine in one line."""
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    memory = psutil.virtual_memory().total / 2**30
    return (
        f"{os.cpu_count()} cores {model}, {memory:.0f} GB,"
        f" Linux {platform.release()}, Python {platform.python_version()}"
    )


def commit() -> str:
    """Return the short commit of the tree, with + when it has changes."""
    git = ["git", "-C", str(ROOT)]
    head = subprocess.run(
        [*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True
    ).stdout.strip()
    dirty = subprocess.run([*git, "diff", "--quiet", "HEAD"], check=False).returncode
    return head + ("+" if dirty else "")


def _run(command: list[str], key: str, body: str) -> str:
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "BENCH_KEY": key, "BENCH_BODY": body},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if done.returncode:
        raise BenchError(f"{command[3]} failed: {done.stderr or done.stdout}")
    return done.stdout
