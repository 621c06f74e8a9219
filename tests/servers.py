"""Real PostgreSQL and Redis servers on free ports in a temporary directory.

    python -m tests.servers postgres redis -- pytest -q tests/usage

runs a command with DATABASE_URL and REDIS_URL set. The tests that need a server take
the fixtures of ``tests.servers_fixtures``.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

INSTALL = {
    "postgres": "apt-get install -y postgresql",
    "redis": "apt-get install -y redis-server",
}
_PG_HOMES = Path("/usr/lib/postgresql")
_WAIT_S = 20.0


class MissingServerError(Exception):
    """The server is not installed; the message says how to install it."""


def free_port() -> int:
    """Return a port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def postgres(kept: Path | None = None) -> Iterator[str]:
    """Run a PostgreSQL server and yield the URL of an empty database.

    As root its processes run as the user ``postgres``: the server refuses root. With
    ``kept`` what is in the database stays in this directory, for the next run.
    """
    home = _postgres_home()
    directory = Path(tempfile.mkdtemp(prefix="pool-pg-"))
    as_user = _as_postgres(directory)
    port = free_port()
    data = (kept or directory) / "data"
    if kept is not None and as_user:
        shutil.chown(kept, "postgres", "postgres")
    if not data.exists():
        _call([*as_user, str(home / "initdb"), "-D", str(data), "-A", "trust", "-U",
               "pool", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8"])  # fmt: skip
    options = (
        f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={directory}"
        " -c fsync=off -c shared_buffers=64MB -c max_connections=60"
    )
    if kept is not None:
        # Rows of a table made in the same transaction then need no log.
        options += " -c wal_level=minimal -c max_wal_senders=0 -c max_wal_size=4GB"
        options += " -c shared_buffers=128MB"
    control = [*as_user, str(home / "pg_ctl"), "-D", str(data)]
    log = directory / "log"
    _call([*control, "-w", "-l", str(log), "-o", options, "start"])
    try:
        yield f"postgres://pool@127.0.0.1:{port}/postgres"
    finally:
        _call([*control, "-m", "immediate" if kept is None else "fast", "stop"])
        shutil.rmtree(directory, ignore_errors=True)


@contextlib.contextmanager
def redis(*, appendonly: bool = False) -> Iterator[str]:
    """Run a Redis server and yield its URL."""
    binary = shutil.which("redis-server")
    if binary is None:
        raise MissingServerError(f"Redis is missing: {INSTALL['redis']}")
    directory = tempfile.mkdtemp(prefix="pool-redis-")
    port = free_port()
    process = subprocess.Popen(
        [binary, "--port", str(port), "--bind", "127.0.0.1", "--dir", directory,
         "--save", "", "--appendonly", "yes" if appendonly else "no"],
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        _wait(lambda: _answers(port), "Redis")
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait(10)
        shutil.rmtree(directory, ignore_errors=True)


def _postgres_home() -> Path:
    found = sorted(_PG_HOMES.glob("*/bin"), key=lambda path: float(path.parent.name))
    if not found:
        raise MissingServerError(f"PostgreSQL is missing: {INSTALL['postgres']}")
    return found[-1]


def _as_postgres(directory: Path) -> list[str]:
    if os.geteuid() != 0:
        return []
    shutil.chown(directory, "postgres", "postgres")
    return ["runuser", "-u", "postgres", "--"]


def _call(command: list[str]) -> None:
    # A file, not a pipe: the server would keep a pipe open and never let go of it.
    with tempfile.TemporaryFile() as output:
        status = subprocess.run(
            command, stdout=output, stderr=output, cwd="/", check=False
        ).returncode
        if status:
            output.seek(0)
            raise RuntimeError(output.read().decode(errors="replace")[-2000:])


def _answers(port: int) -> bool:
    with (
        contextlib.suppress(OSError),
        socket.create_connection(("127.0.0.1", port), timeout=0.5) as link,
    ):
        link.sendall(b"PING\r\n")
        return link.recv(16).startswith(b"+PONG")
    return False


def _wait(is_up: Callable[[], bool], name: str) -> None:
    end = time.monotonic() + _WAIT_S
    while not is_up():
        if time.monotonic() > end:
            raise RuntimeError(f"{name} did not start within {_WAIT_S:.0f} s.")
        time.sleep(0.02)


Server = Callable[[], contextlib.AbstractContextManager[str]]
SERVERS: dict[str, tuple[Server, str]] = {
    "postgres": (postgres, "DATABASE_URL"),
    "redis": (redis, "REDIS_URL"),
}


def main(arguments: list[str]) -> int:
    """Start the named servers and run the command behind ``--``.

    A missing server means 0 and its install line, except under CI=true.
    """
    cut = arguments.index("--")
    names, command = arguments[:cut], arguments[cut + 1 :]
    environment = dict(os.environ)
    try:
        with contextlib.ExitStack() as stack:
            for name in names:
                start, variable = SERVERS[name]
                environment[variable] = stack.enter_context(start())
            return subprocess.run(command, env=environment, check=False).returncode
    except MissingServerError as error:
        sys.stderr.write(f"skipped: {error}\n")
        return 1 if os.environ.get("CI") == "true" else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
