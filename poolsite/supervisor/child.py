"""One child process: started, watched, started again, ended.

A child that dies is started again after a pause that doubles from 0.2 s to 5 s and
shrinks back once it has lived for a while. Every child is told by the kernel to end
when the supervisor does, however that happens.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from poolsite import roots
from poolsite.clock import Clock
from poolsite.config import Config, Roots

BASE_DIR: Final = Path(__file__).resolve().parent.parent.parent
CONFIG_VARIABLE: Final = "POOL_CONFIG_FD"
FIRST_PAUSE_S: Final = 0.2
LONGEST_PAUSE_S: Final = 5.0
ENDING: Final = (signal.SIGTERM, signal.SIGINT)
_SETTLED_S: Final = 30.0
_PR_SET_PDEATHSIG: Final = 1
_SECRET_VARIABLES: Final = ("POOL_SECRET_KEY", "POOL_ENCRYPTION_KEYS", "POOL_PEPPERS")
_libc: Final = ctypes.CDLL(None, use_errno=True)


class Spec(msgspec.Struct, frozen=True, kw_only=True):
    """How to start one kind of child.

    Shapes:  ``arguments`` follow the interpreter on the command line. With
             ``holds_signals`` the signals that end it wait until it lets them in:
             a process asked to end before it listens would end without its duty.
    Units:   ``grace_s`` is how long it may take to end by itself.
    """

    name: str
    arguments: tuple[str, ...]
    grace_s: float = 10.0
    holds_signals: bool = False


class Child:
    """A child process and its history."""

    def __init__(
        self, spec: Spec, *, config: Config, secrets: Roots, clock: Clock
    ) -> None:
        self.spec = spec
        self._config = config
        self._secrets = secrets
        self._clock = clock
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._pause_s = FIRST_PAUSE_S
        self._due_at: float | None = None
        self.is_wanted = False

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid if self._process is not None else None

    @property
    def is_running(self) -> bool:
        """Tell whether a process is there that was not seen to end."""
        return self._process is not None

    def start(self) -> None:
        """Start the process."""
        self.is_wanted = True
        self._due_at = None
        self._started_at = self._clock.monotonic()
        self._process = spawn(
            self.spec.arguments,
            self._config,
            self._secrets,
            blocked=ENDING if self.spec.holds_signals else (),
        )

    def reap(self) -> int | None:
        """Return the exit status if it ended just now, and plan the next start.

        Shapes:  below zero the signal that ended it, as subprocess says it.
        """
        if self._process is None:
            return None
        status = self._process.poll()
        if status is None:
            return None
        self._process = None
        now = self._clock.monotonic()
        if self.is_wanted:
            if now - self._started_at > _SETTLED_S:
                self._pause_s = FIRST_PAUSE_S
            self._due_at = now + self._pause_s
            self._pause_s = min(self._pause_s * 2, LONGEST_PAUSE_S)
        return status

    def start_if_due(self) -> bool:
        """Start again when the pause is over."""
        if self._due_at is None or self._clock.monotonic() < self._due_at:
            return False
        self.start()
        return True

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Ask it to end, and do not start it again."""
        self.is_wanted = False
        self._due_at = None
        if self._process is not None:
            self._process.send_signal(number)


def spawn(
    arguments: Sequence[str],
    config: Config,
    secrets: Roots,
    extra: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
    blocked: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start a Python child that gets configuration and roots through pipes.

    The roots are not in its environment: what it starts itself does not get them.
    """
    roots_fd = roots.send(secrets)
    config_fd = _pipe(msgspec.json.encode(config))
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in _SECRET_VARIABLES
    }
    path = environment.get("PYTHONPATH")
    environment["PYTHONPATH"] = (
        f"{BASE_DIR}{os.pathsep}{path}" if path else str(BASE_DIR)
    )
    environment[roots.PIPE_VARIABLE] = str(roots_fd)
    environment[CONFIG_VARIABLE] = str(config_fd)
    environment.update(extra or {})
    try:
        return subprocess.Popen(  # noqa: S603 - our own interpreter and modules
            [sys.executable, *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            pass_fds=(roots_fd, config_fd, *pass_fds),
            # Ctrl-C in the terminal must reach the supervisor alone.
            start_new_session=True,
            preexec_fn=lambda: _in_child(blocked),
        )
    finally:
        os.close(roots_fd)
        os.close(config_fd)


def die_with_parent(number: int = signal.SIGTERM) -> None:
    """Ask the kernel to send this process a signal when its parent ends."""
    _libc.prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)


def let_signals_in() -> None:
    """Receive the signals that end this process, those that waited included."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)


def _in_child(blocked: Sequence[int]) -> None:
    die_with_parent()
    # The supervisor waits for signals with them blocked; a child must not inherit that.
    signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def _pipe(data: bytes) -> int:
    reading, writing = os.pipe()
    os.write(writing, data)
    os.close(writing)
    return reading
