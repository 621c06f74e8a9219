"""A Redis server of a test's own, that can be killed and started again.

with RedisServer(tmp_path) as server:
    ... server.url ... server.kill() ... server.start()
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Self

import pytest
import redis

from tests.rig.ports import free_port

INSTALL = "Redis is missing: apt-get install redis-server"


def need_redis() -> None:
    """Skip the test where Redis is not installed, except under CI=true."""
    if shutil.which("redis-server") is None:
        if os.environ.get("CI") == "true":
            pytest.fail(INSTALL)
        pytest.skip(INSTALL)


class RedisServer:
    """One server on one port in one directory.

    Shapes: is_kept writes what it knows to disk about once a second, so that a server
            that was killed comes back with old data; without it, with none.
    """

    def __init__(self, directory: Path, *, is_kept: bool = False) -> None:
        self.directory = directory
        self.port = free_port()
        self.is_kept = is_kept
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Return the address as REDIS_URL takes it."""
        return f"redis://127.0.0.1:{self.port}/0"

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it for good."""
        self.kill()

    def start(self, *, within_s: float = 10) -> None:
        """Start it and wait until it answers."""
        keep = "yes" if self.is_kept else "no"
        self._process = subprocess.Popen(
            [
                *("redis-server", "--port", str(self.port), "--bind", "127.0.0.1"),
                *("--dir", str(self.directory), "--save", ""),
                *("--appendonly", keep, "--appendfsync", "everysec"),
            ],
            stdout=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            client = redis.Redis(port=self.port, socket_timeout=1)
            with contextlib.suppress(redis.RedisError), contextlib.closing(client):
                if client.ping():
                    return
            time.sleep(0.02)
        raise RuntimeError("redis-server did not start.")

    def kill(self) -> None:
        """End it with SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None

    def pause(self) -> None:
        """Let it stand still: connections stay open and nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)
