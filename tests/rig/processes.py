"""Start child processes of a test and leave none behind."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class Child:
    """One process in a group of its own, its output in a file.

    Fails: `stop` falls back to SIGKILL of the whole group, so that a wedged process
           never outlives its test.
    """

    def __init__(
        self,
        command: list[str],
        *,
        log: Path,
        env: dict[str, str] | None = None,
        cores: set[int] | None = None,
    ) -> None:
        self.command, self.log = command, log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        if cores is not None:
            os.sched_setaffinity(self._process.pid, cores)

    @property
    def pid(self) -> int:
        """Return the process id, which is the group's id too."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Say whether the process lives."""
        return self._process.poll() is None

    def signal_group(self, number: int) -> None:
        """Send a signal to the process and everything it started."""
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            return

    def stop(self, *, within_s: float = 10) -> None:
        """End the process politely, then by force."""
        if self.is_running:
            self._process.terminate()
            try:
                self._process.wait(within_s)
            except subprocess.TimeoutExpired:
                self.signal_group(signal.SIGKILL)
        self.signal_group(signal.SIGKILL)
        self._process.wait()

    def kill(self) -> None:
        """Send SIGKILL to the whole group at once."""
        self.signal_group(signal.SIGKILL)
        self._process.wait()

    def tail(self, lines: int = 30) -> str:
        """Return the last lines of the output."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
