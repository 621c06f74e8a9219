"""``pool serve``: prepare, start the children, watch them, stop them.

The supervisor imports no Django and holds no database connection, so that nothing can
wedge it. It does four things: it refuses what cannot work in one line, starts data,
console, keeper and worker, starts again what dies, and ends all of them in an order in
which nothing is lost: clients first, the keeper, which ships the journal, last.
"""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from poolsite import cli, env, roots
from poolsite.clock import Clock, SystemClock
from poolsite.config import Config, Roots
from poolsite.supervisor import options
from poolsite.supervisor.child import Child, Spec
from poolsite.supervisor.options import Options
from poolsite.supervisor.preparing import Prepared, locked_roots, prepare

DEATHS: Final = "deaths.jsonl"
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)
_TICK_S: Final = 0.2
_READY_S: Final = 20.0
_FAST_S: Final = 3.0
_KEEPER_S: Final = 15.0


def serve(argv: Sequence[str]) -> int:
    """Serve until told to stop; return the exit status.

    Errors: none; 1 for what cannot work, said in one line.
    """
    try:
        chosen = options.read(argv)
    except options.OptionsError as error:
        return cli.fail(str(error), 2)
    config = chosen.config
    run = config.run_path
    run.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = _lock(run / "supervisor.lock")
    if lock is None:
        return cli.fail(
            f"another pool serve is using {config.data_dir}; stop it first, or set "
            "POOL_DATA_DIR to another directory."
        )
    problem = _port_problem(config)
    if problem:
        return cli.fail(problem)
    env.export(config)
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        return _run(chosen)
    finally:
        os.close(lock)


def _run(chosen: Options) -> int:
    config = chosen.config
    try:
        secrets = roots.load(config.data_path, may_create=not _has_database(config))
        prepared = prepare(config, secrets)
    except roots.MissingRootError as error:
        secrets, prepared = locked_roots(), Prepared(locked=str(error))
    if prepared.error:
        return cli.fail(prepared.error)
    if prepared.locked:
        cli.fail(f"locked: {prepared.locked}")
        if not chosen.has_console:
            return 1
    supervisor = Supervisor(chosen, secrets, prepared)
    return supervisor.run()


class Supervisor:
    """The children and what to do with them."""

    def __init__(
        self,
        chosen: Options,
        secrets: Roots,
        prepared: Prepared,
        clock: Clock | None = None,
    ) -> None:
        self._chosen = chosen
        self._config = chosen.config
        self._prepared = prepared
        self._clock = clock or SystemClock()
        self._children = [
            Child(spec, config=chosen.config, secrets=secrets, clock=self._clock)
            for spec in specs(chosen, prepared.locked)
        ]
        self._signals = 0

    def run(self) -> int:
        """Start everything, watch until a signal comes, stop everything."""
        first = [child for child in self._children if child.spec.name != "worker"]
        for child in first:
            child.start()
        if not self._wait_ready():
            # Still worth serving: whatever is missing is started again and again.
            self._report("not everything is ready yet; still starting.")
        for child in self._children:
            if not child.is_wanted and not self._signals:
                child.start()
        if not self._signals:
            sys.stdout.write(_block(self._chosen, self._prepared))
            sys.stdout.flush()
        while not self._signals:
            self._wait(_TICK_S)
            self._tend()
        self._stop()
        return 0

    def _wait(self, seconds: float) -> None:
        """Sleep until a signal, a child's end or the time."""
        got = signal.sigtimedwait(_SIGNALS, seconds)
        if got is not None and got.si_signo != signal.SIGCHLD:
            self._signals += 1

    def _tend(self) -> None:
        """Start again what died."""
        for child in self._children:
            status = child.reap()
            if status is not None and child.is_wanted:
                self._bury(child, status)
            child.start_if_due()

    def _bury(self, child: Child, status: int) -> None:
        self._report(f"{child.spec.name} {_ending(status)}; starting it again.")
        line = {
            "name": child.spec.name,
            "status": status,
            "at_s": self._clock.time_ns() / 1e9,
        }
        path = self._config.run_path / DEATHS
        with open(path, "ab") as stream:  # the keeper turns lines into alerts
            stream.write(msgspec.json.encode(line) + b"\n")

    def _report(self, text: str) -> None:
        sys.stderr.write(f"pool: {text}\n")
        sys.stderr.flush()

    def _wait_ready(self) -> bool:
        """Wait until the port answers, looking after the children meanwhile."""
        end = self._clock.monotonic() + _READY_S
        while self._clock.monotonic() < end and not self._signals:
            if self._is_ready():
                return True
            self._wait(0.02)
            self._tend()
        return False

    def _is_ready(self) -> bool:
        """Tell whether every address people are about to be told answers."""
        status = _readiness(self._config)
        if self._prepared.locked:
            return status > 0
        is_behind_door = self._chosen.has_proxy and self._chosen.has_console
        if is_behind_door and not _accepts(self._config.console_socket):
            return False
        return status == 200

    def _stop(self) -> None:
        """End the children in order; a second signal makes it fast."""
        self._report("stopping; once more to stop at once.")
        self._end(("data",), self._grace("data"))
        self._end(("console", "worker"), self._grace("console"))
        self._end(("keeper",), _KEEPER_S)

    def _grace(self, name: str) -> float:
        graces = [c.spec.grace_s for c in self._children if c.spec.name == name]
        return max(graces, default=0.0)

    def _end(self, names: tuple[str, ...], grace_s: float) -> None:
        ending = [child for child in self._children if child.spec.name in names]
        for child in ending:
            child.stop()
        is_fast = self._signals > 1
        end = self._clock.monotonic() + (_FAST_S if is_fast else grace_s)
        while any(child.is_running for child in ending):
            if self._signals > 1 and not is_fast:
                is_fast = True
                end = min(end, self._clock.monotonic() + _FAST_S)
                for child in ending:
                    child.stop()
            if self._clock.monotonic() > end:
                for child in ending:
                    child.stop(signal.SIGKILL)
            self._wait(_TICK_S)
            self._tend()


def specs(chosen: Options, locked: str) -> list[Spec]:
    """List the children of this node.

    A locked product has a console only, and it answers on the port itself.
    """
    config = chosen.config
    uses_port = ("--host", config.host, "--port", str(config.port))
    console = ("-m", "poolsite.cli", "console")
    if locked:
        return [
            Spec(name="console", arguments=(*console, *uses_port, "--locked", locked))
        ]
    found = []
    if chosen.has_proxy:
        data = ("-m", "providers.proxy.serve", "--role", "data")
        found.append(Spec(name="data", arguments=data, grace_s=45.0))
    if chosen.has_console:
        where = () if chosen.has_proxy else uses_port
        found.append(Spec(name="console", arguments=(*console, *where)))
    keeper = ("-m", "poolsite.cli", "keeper", "--plane", config.plane)
    found.append(
        Spec(name="keeper", arguments=keeper, grace_s=_KEEPER_S, holds_signals=True)
    )
    if chosen.worker:
        found.append(Spec(name="worker", arguments=("-m", "poolsite.cli", "worker")))
    return found


def _block(chosen: Options, prepared: Prepared) -> str:
    """Write the start-up block: where to go, where things are, how to stop."""
    url = chosen.config.effective_public_url
    lines = []
    if chosen.has_console:
        path = f"/setup/?token={prepared.setup_token}" if prepared.setup_token else "/"
        lines.append(f"Console:  {url}{path}")
    if chosen.has_proxy and not prepared.locked:
        lines.append(f"API base: {url}")
    lines.append(f"Data:     {chosen.config.data_dir}")
    lines.append("Stop:     Ctrl-C")
    lines += [f"Warning:  {text}" for text in chosen.warnings]
    return "\n".join(["", *lines, "", ""])


def _ending(status: int) -> str:
    if status < 0:
        return f"was ended by {signal.Signals(-status).name}"
    return f"ended with status {status}"


def _lock(path: Path) -> int | None:
    """Take the data directory for this supervisor; None when another has it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _port_problem(config: Config) -> str:
    """Say why the port cannot be bound, before anything is started."""
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((config.host, config.port))
        except OSError as error:
            return (
                f"{config.host}:{config.port} cannot be used: "
                f"{(error.strerror or str(error)).lower()}; choose another with --port."
            )
    return ""


def _has_database(config: Config) -> bool:
    if config.database_url:
        return roots.key_directory(config.data_path).exists()
    return (config.data_path / "pool.sqlite3").exists()


def _readiness(config: Config) -> int:
    """Ask the port whether it can serve; return the HTTP status, 0 for no answer."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(config.host, config.host)  # noqa: S104 - compared, not bound
    ask = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    try:
        with socket.create_connection((host, config.port), timeout=1.0) as link:
            link.sendall(ask)
            answer = link.recv(16)
    except OSError:
        return 0
    digits = answer[9:12]
    return int(digits) if digits.isdigit() else 0


def _accepts(path: Path) -> bool:
    """Tell whether somebody listens on a Unix socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        try:
            link.connect(str(path))
        except OSError:
            return False
    return True
