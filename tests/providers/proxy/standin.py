"""Programs that stand in for command-line clients of vendors, written by the tests."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from tests.providers.proxy.pool import Pool

CLAUDE_RESULT: dict[str, Any] = {
    "type": "result",
    "subtype": "success",
    "is_error": False,
    "result": "The harbour is calm.",
    "session_id": "5d2f1c3e",
    "total_cost_usd": 0.0123,
    "usage": {
        "input_tokens": 12,
        "cache_creation_input_tokens": 300,
        "cache_read_input_tokens": 4000,
        "output_tokens": 25,
    },
}
CODEX_LINES: tuple[dict[str, Any], ...] = (
    {"type": "thread.started", "thread_id": "0199-a"},
    {"type": "item.completed", "item": {"type": "agent_message", "text": "Calm."}},
    {
        "type": "turn.completed",
        "usage": {
            "input_tokens": 900,
            "cached_input_tokens": 600,
            "output_tokens": 40,
        },
    },
)


def write_program(directory: Path, name: str, code: str) -> str:
    """Write an executable of Python code; return its path."""
    path = directory / name
    directory.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!{sys.executable} -IS\n{code}\n")
    path.chmod(0o755)
    return str(path)


def claude(directory: Path, *, before: str = "", **changes: Any) -> str:
    """Write a stand-in for Claude Code that prints one result."""
    text = json.dumps({**CLAUDE_RESULT, **changes})
    code = f"import sys\nprompt = sys.stdin.read()\n{before}\nprint({text!r})"
    return write_program(directory, "claude", code)


def codex(directory: Path, *, before: str = "") -> str:
    """Write a stand-in for Codex that prints lines."""
    text = "\n".join(json.dumps(line) for line in CODEX_LINES)
    code = f"import sys\nprompt = sys.stdin.read()\n{before}\nprint({text!r})"
    return write_program(directory, "codex", code)


def family(place: Path) -> str:
    """Return code that starts a child and a child in another session, then hangs.

    Shapes:  ``place`` receives a file of each process's name and id.
    """
    return f"""
import os, time
def tell(name):
    with open({str(place)!r} + "/" + name + ".part", "w") as file:
        file.write(str(os.getpid()))
    os.rename({str(place)!r} + "/" + name + ".part", {str(place)!r} + "/" + name)
if os.fork() == 0:
    tell("child")
    time.sleep(600)
if os.fork() == 0:
    os.setsid()
    tell("stray")
    time.sleep(600)
tell("parent")
time.sleep(600)
"""


FAMILY = ("child", "stray", "parent")


def wait_for_family(place: Path, within_s: float = 10.0) -> list[int]:
    """Wait until all of a family runs; return their ids."""
    wait_until(lambda: all((place / name).exists() for name in FAMILY), within_s)
    return [int((place / name).read_text()) for name in FAMILY]


def is_alive(pid: int) -> bool:
    """Tell whether a process runs; one that waits to be buried does not."""
    try:
        text = Path("/proc", str(pid), "stat").read_text("latin-1")
    except OSError:
        return False
    return text.rpartition(")")[2].split()[0] not in ("Z", "X")


def wait_until(is_so: Any, within_s: float) -> float:
    """Wait until something holds; return how long it took."""
    began = time.monotonic()
    while not is_so():
        assert time.monotonic() - began < within_s, "it did not happen in time"
        time.sleep(0.01)
    return time.monotonic() - began


def bury(pids: list[int]) -> None:
    """Kill what a failed test left behind."""
    for pid in pids:
        if is_alive(pid):
            os.kill(pid, 9)


def add(pool: Pool, executable: str, program: str = "claude", **changes: Any) -> int:
    """Add a provider that is a program."""
    options = {"executable": executable, **changes.pop("options", {})}
    return pool.add_provider(
        f"cli:{program}",
        **{
            "origin": f"cli:{program}",
            "format": f"{program}-cli",
            "credentials": (),
            "needs_key": False,
            "options": options,
            **changes,
        },
    )


def seen(answer: Any) -> Any:
    """Return what a stand-in said of itself."""
    assert answer.status == 200, answer.body
    return json.loads(answer.json["choices"][0]["message"]["content"])


def telling(directory: Path, expression: str, *, program: str = "claude") -> str:
    """Write a program that answers with a value of its own."""
    code = (
        "import json, os, sys\nprompt = sys.stdin.read()\n"
        f"value = json.dumps({expression})\n"
        'print(json.dumps({"type": "result", "result": value}))'
    )
    return write_program(directory, program, code)


def read_ids(*places: Path) -> list[int]:
    """Read the process ids that stand in files."""
    return [int(place.read_text()) for place in places]


async def gone(path: Path) -> None:
    """Wait until a directory was removed."""
    await asyncio.to_thread(wait_until, lambda: not path.exists(), 5)


async def dead(pids: list[int]) -> float:
    """Wait until processes are gone; return how long it took."""
    return await asyncio.to_thread(wait_until, lambda: not any(map(is_alive, pids)), 5)
