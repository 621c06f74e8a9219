"""What is run instead of called: a program, what it is told, and what it printed.

A *command* takes the place of an upstream's request body and *printed* the place of its
answer, both as JSON, so that translating stays free of I/O: whoever runs programs
(``proxy.subprocesses``) reads the one and writes the other.
"""

from __future__ import annotations

from typing import Final

import msgspec

from poolsite.destinations import origin_of

PROGRAMS: Final = {"claude-cli": "claude", "codex-cli": "codex"}
"""The program behind each format, by the name it has on PATH."""

UNNAMED_MODELS: Final = {"claude-cli": "claude-code", "codex-cli": "codex-cli"}
"""The model id that leaves the choice of a model to the program."""

_ADDRESSES: Final = {
    format_id: f"cli:{program}" for format_id, program in PROGRAMS.items()
}


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """Say what a program is told.

    Shapes:  ``stdin`` is the prompt; ``tools`` are the names of the tools it was told
             of, kept for reading its answer.
    """

    program: str
    arguments: tuple[str, ...]
    stdin: str
    tools: tuple[str, ...] = ()

    def __repr__(self) -> str:
        # Prompts must not reach a log through a stray repr.
        return f"<Command {self.program!r}>"


class Printed(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what a program printed until it ended; ``exit`` below 0 is a signal."""

    exit: int
    stdout: str
    stderr: str = ""
    tools: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<Printed exit={self.exit}>"


def is_program(format_id: str) -> bool:
    """Tell whether providers of a format are programs rather than addresses."""
    return format_id in PROGRAMS


def address_of(format_id: str) -> str:
    """Return what stands for a base URL, blank for formats that have real ones."""
    return _ADDRESSES.get(format_id, "")


def origin_or_address(base_url: str) -> str:
    """Return the origin of a base URL; a program's address is its own.

    Errors:  ValueError for what is neither.
    """
    return base_url if base_url in _ADDRESSES.values() else origin_of(base_url)
