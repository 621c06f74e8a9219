"""Run the real product: set it up by its command line, start it, kill it, read it.

    with Product(tmp_path) as product:
        product.add_provider("up", base_url=upstream.base_url, models=["gpt-test"])
        product.set_price("gpt-test", input_usd="1", output_usd="2")
        key = product.create_key("client")
        product.start()
        ... product.url, product.kill("data"), product.restart(), product.ledger()

Everything lives in one directory and one process group; leaving the block ends both.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Self

import psutil

from tests.rig.ledger import Ledger, count_requests, read_ledger
from tests.rig.ports import free_port
from tests.rig.processes import ROOT, Child

KINDS = {
    "data": "providers.proxy.serve --role data",
    "console": "poolsite.cli console",
    "keeper": "poolsite.cli keeper",
    "worker": "poolsite.cli worker",
}
DEFAULT_API_KEY = "sk-upstream-good"


class ProductError(RuntimeError):
    """A command of the product failed, or it did not come up; carries its output."""


class Product:
    """One installation in a directory of its own.

    Shapes: arguments go to `pool serve`; env wins over the inherited environment.
    """

    def __init__(
        self,
        directory: Path,
        *,
        arguments: list[str] | None = None,
        env: dict[str, str] | None = None,
    ) -> None:
        self.directory = directory
        self.data_dir = directory / "var"
        self.log = directory / "product.log"
        self.port = free_port()
        self.arguments = arguments or []
        self.env = {
            "POOL_DATA_DIR": str(self.data_dir),
            "POOL_HOST": "127.0.0.1",
            "POOL_PORT": str(self.port),
            "PYTHONUNBUFFERED": "1",
            "POOL_CATALOGUE_REFRESH": "off",
            **(env or {}),
        }
        self._child: Child | None = None

    def __enter__(self) -> Self:
        """Prepare the database, so that the commands below can run at once."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self.pool("migrate", "--verbosity", "0", "--skip-checks")
        return self

    def __exit__(self, *_: object) -> None:
        """Stop whatever still runs."""
        self.stop()

    @property
    def url(self) -> str:
        """Return the endpoint in the OpenAI spelling, with /v1."""
        return f"{self.root}/v1"

    @property
    def root(self) -> str:
        """Return the address of the one port."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def database(self) -> Path:
        """Return the SQLite file."""
        return self.data_dir / "pool.sqlite3"

    # Commands

    def pool(self, *arguments: str, stdin: str = "") -> str:
        """Run `pool ...` and return its output. Errors: ProductError."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env={**os.environ, **self.env},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if done.returncode:
            raise ProductError(
                f"pool {' '.join(arguments)}: exit {done.returncode}: {done.stderr}"
            )
        return done.stdout

    def add_provider(
        self,
        slug: str,
        *,
        base_url: str,
        models: list[str],
        api_keys: list[str] | None = None,
        priority: int | None = None,
        api_format: str = "openai",
    ) -> None:
        """Add a provider on loopback with its keys and models."""
        keys = api_keys or [DEFAULT_API_KEY]
        arguments = ["provider", "add", slug, "--base-url", base_url]
        arguments += ["--format", api_format, "--allow-private", "--api-key-stdin"]
        for model in models:
            arguments += ["--model", model]
        if priority is not None:
            arguments += ["--priority", str(priority)]
        self.pool(*arguments, stdin=keys[0] + "\n")
        for key in keys[1:]:
            self.pool("provider", "key-add", slug, stdin=key + "\n")

    def set_price(
        self,
        model: str,
        *,
        input_usd: str,
        output_usd: str,
        per_request_usd: str | None = None,
        cache_read_usd: str | None = None,
    ) -> None:
        """Set a price. Units: USD per million tokens, per_request_usd per call."""
        arguments = ["price", "set", model, "--input", input_usd]
        # A test may set what no vendor asks for.
        arguments += ["--output", output_usd, "--confirm"]
        if per_request_usd is not None:
            arguments += ["--per-request", per_request_usd]
        if cache_read_usd is not None:
            arguments += ["--cache-read", cache_read_usd]
        self.pool(*arguments)

    def create_key(self, name: str, *options: str) -> str:
        """Create a client key; options as of `pool key create`."""
        return self.pool("key", "create", name, *options).strip()

    def bulk(self, action: str, count: int) -> str:
        """Create or change many rows at once; see scripts/bulk_rows.py."""
        done = subprocess.run(
            [sys.executable, "-m", "scripts.bulk_rows", action, str(count)],
            cwd=ROOT,
            env={**os.environ, **self.env},
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        if done.returncode:
            raise ProductError(f"bulk {action}: {done.stderr}")
        return done.stdout.strip()

    def usage(self, *options: str) -> dict[str, Any]:
        """Return `pool usage --json`."""
        found: dict[str, Any] = json.loads(self.pool("usage", "--json", *options))
        return found

    # Life

    def start(self, *, within_s: float = 30) -> float:
        """Start `pool serve`, wait until it is ready, return the seconds it took."""
        begun = time.monotonic()
        command = [sys.executable, "manage.py", "serve", "--host", "127.0.0.1"]
        command += ["--port", str(self.port), *self.arguments]
        self._child = Child(command, log=self.log, env=self.env)
        self.wait_ready(within_s=within_s)
        return time.monotonic() - begun

    def wait_ready(self, *, within_s: float) -> None:
        """Wait for /readyz to answer 200. Errors: ProductError with the log's end."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            if self._child is not None and not self._child.is_running:
                break
            if self.status_of("/readyz") == 200:
                return
            time.sleep(0.05)
        tail = self._child.tail() if self._child else "never started"
        raise ProductError(f"not ready within {within_s} s\n{tail}")

    def status_of(self, path: str) -> int:
        """Return the status of a GET, 0 when nobody answers."""
        try:
            with urllib.request.urlopen(self.root + path, timeout=2) as reply:
                status: int = reply.status
                return status
        except urllib.error.HTTPError as exc:
            return exc.code
        except (OSError, ValueError):
            return 0

    def stop(self, *, within_s: float = 20) -> None:
        """End the product as Ctrl-C does, by force when it takes too long."""
        if self._child is not None:
            stray = self._family()
            self._child.stop(within_s=within_s)
            _kill_all(stray)
            self._child = None

    def kill_everything(self) -> None:
        """Send SIGKILL to every process at once, as a power cut of the host would.

        They are stopped first: a child learns of its supervisor's death from the
        kernel and must not get the time to end politely.
        """
        if self._child is None:
            return
        self._supervisor().suspend()
        family = self._family()
        _send_all(family, signal.SIGSTOP)
        _kill_all(family)
        self._child.kill()
        self._child = None

    def kill(self, kind: str, *, with_parent: bool = False) -> list[int]:
        """Send SIGKILL to every process of one kind and return their ids.

        Shapes: with_parent takes granian's own parent along, so that the supervisor
                and not granian has to bring the worker back.
        """
        victims = self.processes(kind)
        if with_parent:
            victims = [*self._heads(kind), *victims]
        _kill_all(victims)
        return [victim.pid for victim in victims]

    def restart(self, *, within_s: float = 30) -> float:
        """Stop if needed, start again on the same directory and port."""
        self.stop()
        return self.start(within_s=within_s)

    def processes(self, kind: str) -> list[psutil.Process]:
        """Return the living processes of one of KINDS, or the supervisor.

        Shapes: where a child has workers of its own, the workers are meant.
        """
        if kind == "supervisor":
            return [self._supervisor()] if self._child else []
        found: list[psutil.Process] = []
        for head in self._heads(kind):
            with contextlib.suppress(psutil.Error):
                workers = [p for p in head.children() if not _is_helper(p)]
                found += workers or [head]
        return found

    def wait_process(self, kind: str, *, within_s: float) -> psutil.Process:
        """Wait until one process of a kind lives. Errors: ProductError."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            found = self.processes(kind)
            if found:
                return found[0]
            time.sleep(0.05)
        raise ProductError(f"no {kind} process within {within_s} s")

    def describe(self) -> list[tuple[int, int, str]]:
        """Return pid, parent and command line of every process, for a failure."""
        rows = []
        for process in self._family():
            with contextlib.suppress(psutil.Error):
                rows.append((process.pid, process.ppid(), _line_of(process)))
        return rows

    # Records

    def ledger(self) -> Ledger:
        """Read every request and attempt from the database file."""
        return read_ledger(self.database)

    def wait_settled(self, *, within_s: float = 15, quiet_s: float = 2.5) -> Ledger:
        """Wait until the ledger has not grown for a while, then read it."""
        deadline = time.monotonic() + within_s
        count, since = -1, time.monotonic()
        while time.monotonic() < deadline:
            found = count_requests(self.database)
            if found != count:
                count, since = found, time.monotonic()
            elif time.monotonic() - since >= quiet_s:
                break
            time.sleep(0.1)
        return self.ledger()

    def _supervisor(self) -> psutil.Process:
        assert self._child is not None
        return psutil.Process(self._child.pid)

    def _heads(self, kind: str) -> list[psutil.Process]:
        """Return the supervisor's own children of one kind."""
        if self._child is None:
            return []
        try:
            children = self._supervisor().children()
        except psutil.NoSuchProcess:
            return []
        return [p for p in children if KINDS[kind] in _line_of(p)]

    def _family(self) -> list[psutil.Process]:
        if self._child is None:
            return []
        try:
            found: list[psutil.Process] = self._supervisor().children(recursive=True)
        except psutil.NoSuchProcess:
            return []
        return found


def _is_helper(process: psutil.Process) -> bool:
    """Tell multiprocessing's own tracker from a worker."""
    return "resource_tracker" in _line_of(process)


def _line_of(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def _kill_all(processes: list[psutil.Process]) -> None:
    _send_all(processes, signal.SIGKILL)
    psutil.wait_procs(processes, timeout=5)


def _send_all(processes: list[psutil.Process], number: int) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.send_signal(number)
