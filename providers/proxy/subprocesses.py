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
from asyncio import FIRST_COMPLETED
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, cast

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

    __slots__ = ("_ending", "_is_closed", "_running", "_slots")

    def __init__(self) -> None:
        self._slots = asyncio.Semaphore(_MOST_AT_ONCE)
        self._running: set[_Process] = set()
        self._is_closed = False
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
        """Kill what still runs, for good, and wait for what is being cleared away."""
        self._is_closed = True
        for process in self._running:
            process.kill()
        if self._ending:
            await asyncio.wait(self._ending, timeout=_REAP_S)

    async def _printed(
        self, program: str, command: Command, options: Mapping[str, str], tally: Tally
    ) -> Printed:
        if self._is_closed:
            raise _unable("the pool is stopping")
        workspace, home = options.get("workspace", ""), options.get("home", "")
        for place in filter(None, (workspace, home)):
            if not _is_directory(place):
                raise _unable("its workspace or home is no directory here")
        own = Path(tempfile.mkdtemp(prefix="pool-cli-"))
        os.mkdir(own / "work")
        os.mkdir(own / "home")
        # Shielded: one that is lost half started could not be killed any more.
        starting = asyncio.ensure_future(
            _started(
                program,
                command,
                cwd=workspace or str(own / "work"),
                home=home or str(own / "home"),
            )
        )
        try:
            process = await asyncio.shield(starting)
            tally.is_sent = True
            self._running.add(process)
            return await _talk(process, command)
        finally:
            if starting.done() and starting.exception() is None:
                starting.result().kill()
            task = asyncio.get_running_loop().create_task(self._clear(starting, own))
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

    async def _clear(self, starting: asyncio.Future[_Process], own: Path) -> None:
        """Wait until a program is gone, killed if need be; remove its directory."""
        with contextlib.suppress(AttemptFailedError):
            process = await starting
            if not process.exited.done():
                process.kill()
            # Closed before its end it would never be buried.
            await asyncio.wait({process.exited}, timeout=_REAP_S)
            process.close()
            self._running.discard(process)
        await asyncio.to_thread(shutil.rmtree, own, ignore_errors=True)


class _Process(asyncio.subprocess.SubprocessStreamProtocol):
    """One running program; its end is known although others hold its pipes."""

    transport: asyncio.SubprocessTransport

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(limit=_READ_BYTES, loop=loop)
        self.exited: asyncio.Future[None] = loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport, which the base class keeps to itself."""
        self.transport = cast("asyncio.SubprocessTransport", transport)
        super().connection_made(transport)

    def process_exited(self) -> None:
        """Note the end."""
        if not self.exited.done():
            self.exited.set_result(None)
        super().process_exited()

    def kill(self) -> None:
        """Kill it with its group, and those of its children that left the group."""
        pid = self.transport.get_pid()
        # Once it has ended its number may be somebody else's; its group's is not.
        for each in () if self.exited.done() else _descendants(pid):
            with contextlib.suppress(OSError):
                os.kill(each, signal.SIGKILL)
        with contextlib.suppress(OSError):
            os.killpg(pid, signal.SIGKILL)

    def close(self) -> None:
        """Close the pipes, whoever holds their other ends."""
        self.transport.close()


async def _started(program: str, command: Command, *, cwd: str, home: str) -> _Process:
    """Start a program in a session of its own.

    Errors:  AttemptFailedError; nothing was started.
    """
    loop = asyncio.get_running_loop()
    try:
        _, process = await loop.subprocess_exec(
            lambda: _Process(loop),
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
    return process


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


async def _talk(process: _Process, command: Command) -> Printed:
    """Give a program its prompt and read what it says until it ends."""
    stdin, stdout, stderr = process.stdin, process.stdout, process.stderr
    if stdin is None or stdout is None or stderr is None:  # pragma: no cover - pipes
        raise RuntimeError("A program is started with three pipes.")
    output = _Output()
    talk = asyncio.gather(
        _feed(stdin, command.stdin.encode("utf-8", "replace")),
        output.read(stdout, output.stdout),
        output.read(stderr, output.stderr),
    )
    try:
        ends: set[asyncio.Future[Any]] = {talk, process.exited}
        await asyncio.wait(ends, return_when=FIRST_COMPLETED)
        if not talk.done():
            # It has ended; what it left behind may hold its pipes open for ever.
            await asyncio.wait({talk}, timeout=_LINGER_S)
        if talk.done():
            talk.result()
            await asyncio.wait({process.exited})
    finally:
        talk.cancel()
        await asyncio.gather(talk, return_exceptions=True)
    status = process.transport.get_returncode()
    return Printed(
        exit=-signal.SIGKILL if status is None else status,
        stdout=output.stdout.decode("utf-8", "replace"),
        stderr=output.stderr.decode("utf-8", "replace"),
        tools=command.tools,
    )


async def _feed(stdin: asyncio.StreamWriter, prompt: bytes) -> None:
    """Write the prompt; a program that does not read it may still answer."""
    if stdin.is_closing():
        # It ended at once; uvloop does not even take what nobody will read.
        return
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        stdin.write(prompt)
        await stdin.drain()
    stdin.close()


def _descendants(pid: int) -> list[int]:
    """Return the processes below one, where the system tells (Linux).

    Cost:  a file for each thread of the family, however many others there are.
    """
    found = [pid]
    for above in found:
        with contextlib.suppress(OSError):
            for thread in os.listdir(f"/proc/{above}/task"):
                path = Path("/proc", str(above), "task", thread, "children")
                found += map(int, path.read_text().split())
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
