"""A PostgreSQL server of a test's own, that can be killed and started again."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
import time
from pathlib import Path
from typing import Self

import psutil

from tests import servers
from tests.rig.ports import free_port


class PostgresServer:
    """One server on one port; its processes run as ``postgres`` where we are root.

    Errors: servers.MissingServerError where it is not installed.
    """

    def __init__(self) -> None:
        self.port = free_port()
        self._home = servers._postgres_home()
        self._directory = Path(tempfile.mkdtemp(prefix="pool-pg-"))
        self._as_user = servers._as_postgres(self._directory)
        self._data = self._directory / "data"

    @property
    def url(self) -> str:
        """Return the address as DATABASE_URL takes it."""
        return f"postgres://pool@127.0.0.1:{self.port}/postgres"

    def __enter__(self) -> Self:
        """Make an empty database and start."""
        servers._call(
            [
                *(*self._as_user, str(self._home / "initdb"), "-D", str(self._data)),
                *("-A", "trust", "-U", "pool", "--no-sync", "-E", "UTF8"),
                "--locale=C.UTF-8",
            ]
        )
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it and remove everything."""
        self.kill()
        shutil.rmtree(self._directory, ignore_errors=True)

    def start(self) -> None:
        """Start it and wait until it takes connections."""
        options = (
            f"-p {self.port} -c listen_addresses=127.0.0.1 -c fsync=off"
            f" -c unix_socket_directories={self._directory} -c max_connections=60"
        )
        control = [*self._as_user, str(self._home / "pg_ctl"), "-D", str(self._data)]
        log = str(self._directory / "log")
        servers._call([*control, "-w", "-l", log, "-o", options, "start"])

    def kill(self) -> None:
        """End every process of it with SIGKILL, as the kernel short of memory does."""
        file = self._data / "postmaster.pid"
        with contextlib.suppress(OSError, psutil.Error, ValueError, IndexError):
            parent = psutil.Process(int(file.read_text().splitlines()[0]))
            family = [parent, *parent.children(recursive=True)]
            for process in family:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL)
            psutil.wait_procs(family, timeout=5)
        file.unlink(missing_ok=True)
        # The kernel takes a moment to let go of the shared memory.
        time.sleep(0.2)
