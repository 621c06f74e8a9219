"""Run a program where other providers are called: room 5 for formats ``*-cli``.

The program gets nothing of ours: an environment of three variables, an empty directory
of its own (or the workspace its provider names), its prompt on standard input. It is
never started through a shell. Whatever ends the wait (its end, the time limit, too much
output, a client that left, the shutdown) kills everything it started.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from poolsite.destinations import Category
from providers.formats.cli_backed.command import Command, Printed
from providers.formats.cli_backed.lookup import find_program
from providers.proxy import verdict
from providers.proxy import watch as watches
from providers.proxy.exchange import AttemptFailedError, Tally, UpstreamCall
from providers.proxy.ports import Answer
from providers.proxy.watch import Watch
from providers.snapshot.types import Timeouts

TIMEOUT_S: Final = 300.0
"""How long a program may take where its provider sets no ``total_s``."""

OUTPUT_LIMIT_BYTES: Final = 8 * 1024 * 1024
_ERRORS_KEPT_BYTES: Final = 16 * 1024
_MOST_AT_ONCE: Final = 16
_LINGER_S: Final = 0.5
_REAP_S: Final = 2.0
_EARLIER_S: Final = 0.05
_READ_BYTES: Final = 64 * 1024
_COMMAND: Final = msgspec.json.Decoder(Command)


class Programs:
    """Run programs, at most 16 at a time; one object a process.

    Cost:  a process or more of tens of megabytes for each call under way.
    """

    __slots__ = ("_ending", "_running", "_slots")

    def __init__(self) -> None:
        self._slots = asyncio.Semaphore(_MOST_AT_ONCE)
        self._running: set[int] = set()
        self._ending: set[asyncio.Task[None]] = set()

    async def run(self, call: UpstreamCall, tally: Tally, watch: Watch) -> Answer:
        """Run the program of a call and return what it printed, as an answer.

        Shapes:  status 200 whatever the program's own status; what that means is for
                 the format to read.
        Errors:  AttemptFailedError when it cannot be started, takes too long or prints
                 too much.
        """
        provider = call.candidate.route.provider
        limit_s = _limit_s(provider.timeouts)
        watch.expect(watches.FIRST_BYTE, limit_s + 1)
        command = _COMMAND.decode(call.sent.body)
        program = find_program(provider.options.get("executable", ""), command.program)
        if program is None:
            raise _unable(f"{command.program} is not installed here")
        try:
            # A little before the watch, which would end the whole call.
            async with asyncio.timeout(limit_s - _EARLIER_S), self._slots:
                printed = await self._printed(program, command, provider.options, tally)
        except TimeoutError:
            raise AttemptFailedError(verdict.timed_out("answer")) from None
        return _Answer(msgspec.json.encode(printed))

    async def close(self) -> None:
        """Kill what still runs and wait for what is being cleared away."""
        for pid in self._running:
            _kill(pid)
        if self._ending:
            await asyncio.wait(self._ending, timeout=_REAP_S)

    async def _printed(
        self, program: str, command: Command, options: Mapping[str, str], tally: Tally
    ) -> Printed:
        workspace, home = options.get("workspace", ""), options.get("home", "")
        for place in filter(None, (workspace, home)):
            if not _is_directory(place):
                raise _unable("its workspace or home is no directory here")
        own = Path(tempfile.mkdtemp(prefix="pool-cli-"))
        process: asyncio.subprocess.Process | None = None
        try:
            (own / "work").mkdir()
            (own / "home").mkdir()
            process = await _started(
                program,
                command,
                cwd=workspace or str(own / "work"),
                home=home or str(own / "home"),
            )
            tally.is_sent = True
            self._running.add(process.pid)
            return await _talk(process, command)
        finally:
            if process is not None:
                _kill(process.pid)
            task = asyncio.get_running_loop().create_task(self._clear(process, own))
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

    async def _clear(
        self, process: asyncio.subprocess.Process | None, own: Path
    ) -> None:
        """Wait until a killed program is gone, then remove its directory."""
        if process is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), _REAP_S)
            self._running.discard(process.pid)
        await asyncio.to_thread(shutil.rmtree, own, ignore_errors=True)


async def _started(
    program: str, command: Command, *, cwd: str, home: str
) -> asyncio.subprocess.Process:
    """Start a program in a session of its own.

    Errors:  AttemptFailedError; nothing was started.
    """
    try:
        return await asyncio.create_subprocess_exec(
            program,
            *command.arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=cwd,
            env=_environment(home),
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise _unable(f"{command.program} could not be started") from error


def _is_directory(place: str) -> bool:
    return os.path.isabs(place) and os.path.isdir(place)


def _environment(home: str) -> dict[str, str]:
    """Return all a program sees of our environment."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": home,
        "LANG": os.environ.get("LANG", "C.UTF-8"),
    }


class _Output:
    """Collect what a program prints, within a limit for all of it."""

    def __init__(self) -> None:
        self.stdout = bytearray()
        self.stderr = bytearray()
        self._left = OUTPUT_LIMIT_BYTES

    async def read(self, stream: asyncio.StreamReader, kept: bytearray) -> None:
        """Read to the end.

        Errors:  AttemptFailedError above the limit.
        """
        while data := await stream.read(_READ_BYTES):
            self._left -= len(data)
            if self._left < 0:
                raise AttemptFailedError(
                    verdict.judge_transport(Category.TOO_LARGE, before_head=False)
                )
            if kept is self.stdout or len(kept) < _ERRORS_KEPT_BYTES:
                kept += data


async def _talk(process: asyncio.subprocess.Process, command: Command) -> Printed:
    """Give a program its prompt and read what it says until it ends."""
    stdin, stdout, stderr = process.stdin, process.stdout, process.stderr
    if stdin is None or stdout is None or stderr is None:  # pragma: no cover - pipes
        raise RuntimeError("A program is started with three pipes.")
    output = _Output()
    talk: asyncio.Future[Any] = asyncio.gather(
        _feed(stdin, command.stdin.encode("utf-8", "replace")),
        output.read(stdout, output.stdout),
        output.read(stderr, output.stderr),
    )
    ending: asyncio.Future[Any] = asyncio.ensure_future(process.wait())
    try:
        await asyncio.wait({talk, ending}, return_when=asyncio.FIRST_COMPLETED)
        if not talk.done():
            # It has ended; what it left behind may hold its pipes open for ever.
            await asyncio.wait({talk}, timeout=_LINGER_S)
            _kill(process.pid)
            await asyncio.wait({talk}, timeout=_LINGER_S)
        if talk.done():
            talk.result()
        status = await ending
    finally:
        for task in (talk, ending):
            task.cancel()
        await asyncio.gather(talk, ending, return_exceptions=True)
    return Printed(
        exit=status,
        stdout=output.stdout.decode("utf-8", "replace"),
        stderr=output.stderr.decode("utf-8", "replace"),
        tools=command.tools,
    )


async def _feed(stdin: asyncio.StreamWriter, prompt: bytes) -> None:
    """Write the prompt; a program that does not read it may still answer."""
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        stdin.write(prompt)
        await stdin.drain()
    stdin.close()


def _kill(pid: int) -> None:
    """Kill a program with its group, and those of its children that left the group."""
    for each in _descendants(pid):
        with contextlib.suppress(OSError):
            os.kill(each, signal.SIGKILL)
    with contextlib.suppress(OSError):
        os.killpg(pid, signal.SIGKILL)


def _descendants(pid: int) -> list[int]:
    """Return the processes below one, where the system tells (Linux)."""
    parents: dict[int, int] = {}
    with contextlib.suppress(OSError):
        for name in os.listdir("/proc"):
            if name.isdecimal():
                with contextlib.suppress(OSError, ValueError, IndexError):
                    # The command's name stands in brackets and may hold anything.
                    text = Path("/proc", name, "stat").read_text("latin-1")
                    parents[int(name)] = int(text.rpartition(")")[2].split()[1])
    found = [pid]
    for above in found:
        found += [child for child, parent in parents.items() if parent == above]
    return found[1:]


def _limit_s(timeouts: Timeouts) -> float:
    chosen = timeouts.total_s
    return TIMEOUT_S if chosen == Timeouts().total_s else chosen


def _unable(reason: str) -> AttemptFailedError:
    """Say that nothing was run; other programs of this machine may still work."""
    failure = verdict.unreachable(reason)
    return AttemptFailedError(replace(failure, scope=verdict.CANDIDATE))


class _Answer:
    """What a program printed, in the shape of an upstream's answer."""

    status: Final = 200

    def __init__(self, body: bytes) -> None:
        self.headers: Mapping[str, str] = {}
        self.content = _Content(body)

    def close(self) -> None:
        """Do nothing: the program is gone."""

    def release(self) -> None:
        """Do nothing: there is no connection."""


class _Content:
    """A body that is all there."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def readany(self) -> bytes:
        """Return the body once, then its end."""
        body, self._body = self._body, b""
        return body

    def at_eof(self) -> bool:
        """Tell whether the body was read."""
        return not self._body
