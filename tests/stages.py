"""Run every suite in its short form: ``make test``.

    python -m tests.stages

First the embedded default, then everything that touches a database on PostgreSQL and
Redis. What is pure arithmetic on bytes runs beside the first stage at the lowest
priority: it takes what the others leave, and their timings stay their own.
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
_PYTEST = [sys.executable, "-m", "pytest", "-q"]
_LOWEST = 19
_INTERRUPTED = 2


def main() -> int:
    """Run the stages; return the first status that is not 0."""
    begun = time.monotonic()
    with tempfile.TemporaryFile("w+") as output:
        beside = _beside(output)
        try:
            status = _run(
                "embedded",
                [*_PYTEST, "-m", "not long", f"--ignore={PURE}", "tests"],
            )
            status = status or _run("bounds", [*_PYTEST, "-m", "not long", *TIMED])
            pure = beside.wait()
        finally:
            beside.kill()
            beside.wait()
        output.seek(0)
        print(f"== wire formats\n{output.read()}", flush=True)
    status = status or pure or _on_servers()
    print(f"all stages: {time.monotonic() - begun:.0f} s", flush=True)
    return status


def _beside(output: IO[str]) -> subprocess.Popen[str]:
    """Start the pure suites in the background."""
    ignored = [f"--ignore={path}" for path in TIMED]
    return subprocess.Popen(
        [*_PYTEST, "-m", "not long", PURE, *ignored],
        stdout=output,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=_lowest,
    )


def _lowest() -> None:
    os.nice(_LOWEST)


def _on_servers() -> int:
    ignored = [f"--ignore={path}" for path in NO_DATABASE]
    tests = [*_PYTEST, "-m", "not long and not process and not browser"]
    servers = [sys.executable, "-m", "tests.servers", "postgres", "redis", "--"]
    # What touches neither has nothing new to say here: see tests/conftest.py.
    os.environ["POOL_TEST_STAGE"] = "servers"
    return _run("PostgreSQL and Redis", [*servers, *tests, *ignored, *ON_SERVERS])


def _run(name: str, command: list[str]) -> int:
    begun = time.monotonic()
    print(f"== {name}", flush=True)
    status = subprocess.run(command, check=False).returncode
    print(f"{name}: {time.monotonic() - begun:.0f} s", flush=True)
    return status


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
