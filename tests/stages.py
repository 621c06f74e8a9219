"""Run every suite in its short form: ``make test``.

    python -m tests.stages

First the embedded default, then everything that touches a database on PostgreSQL and
Redis. Two cores are enough for two things at once: what is pure arithmetic on bytes
runs beside the first stage, and the servers' stage follows it there, both behind the
first, which holds the tests that look at a clock. Bounds on time and memory come last,
when nothing else wants the processor.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from typing import IO

PURE = "tests/providers/formats"
# Bounds on time and memory are measured where nothing else wants the processor.
TIMED = [
    f"{PURE}/fit/test_bounds.py",
    f"{PURE}/neutral/test_repair_bounds.py",
    f"{PURE}/openai_chat/test_calls_bounds.py",
    f"{PURE}/openai_responses/test_encoder_bounds.py",
    f"{PURE}/test_openai_request.py",
]
ON_SERVERS = ["tests/poolsite", "tests/pricing", "tests/providers", "tests/usage"]
NO_DATABASE = [PURE, "tests/providers/proxy", "tests/providers/routing"]
BESIDE = "beside"
_PYTEST = [sys.executable, "-m", "pytest", "-q"]
_SHORT = [*_PYTEST, "-m", "not long"]
_LOWEST, _LOW = 19, 5
_INTERRUPTED = 2


def main() -> int:
    """Run the stages; return the first status that is not 0."""
    begun = time.monotonic()
    with tempfile.TemporaryFile("w+") as output:
        other = _start_beside(output)
        try:
            status = _run("embedded", [*_SHORT, f"--ignore={PURE}", "tests"])
        finally:
            # It hears Ctrl-C by itself and takes its servers down.
            status_beside = other.wait()
        output.seek(0)
        print(output.read(), flush=True)
    status = status or status_beside or _run("bounds", [*_SHORT, *TIMED])
    print(f"all stages: {time.monotonic() - begun:.0f} s", flush=True)
    return status


def beside() -> int:
    """Run what shares the machine with the first stage, one after the other."""
    ignored = [f"--ignore={path}" for path in TIMED]
    pure = [*_SHORT, PURE, *ignored]
    return _run("wire formats", pure, niceness=_LOWEST) or _on_servers()


def _start_beside(output: IO[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.stages", BESIDE],
        stdout=output,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _on_servers() -> int:
    ignored = [f"--ignore={path}" for path in NO_DATABASE]
    tests = [*_PYTEST, "-m", "not long and not process and not browser"]
    servers = [sys.executable, "-m", "tests.servers", "postgres", "redis", "--"]
    # What touches neither has nothing new to say here: see tests/conftest.py.
    os.environ["POOL_TEST_STAGE"] = "servers"
    command = [*servers, *tests, *ignored, *ON_SERVERS]
    return _run("PostgreSQL and Redis", command, niceness=_LOW)


def _run(name: str, command: list[str], *, niceness: int = 0) -> int:
    begun = time.monotonic()
    print(f"== {name}", flush=True)
    status = subprocess.run(
        ["nice", "-n", str(niceness), *command], check=False
    ).returncode
    print(f"{name}: {time.monotonic() - begun:.0f} s", flush=True)
    return status


if __name__ == "__main__":
    try:
        sys.exit(beside() if sys.argv[1:] == [BESIDE] else main())
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
