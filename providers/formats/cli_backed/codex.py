"""Codex run without a screen: lines of JSON on its standard output.

It runs in a sandbox that may only read; no flag that goes around it is ever given.

Source: reference seeds 14; ``codex features list`` of 0.169.0 for its tools.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from pricing.tokens import TokenUsage, count
from providers.formats.base import UNREADABLE, WireFormat
from providers.formats.cli_backed import answers
from providers.formats.cli_backed.command import (
    PROGRAMS,
    UNNAMED_MODELS,
    Command,
    Printed,
)
from providers.formats.cli_backed.dialect import ProgramFormat
from providers.formats.cli_backed.prompt import Worded
from providers.formats.neutral.events import AnyEvent

FORMAT_ID: Final = "codex-cli"
_FLAGS: Final = (
    "exec",
    "--json",
    "--sandbox",
    "read-only",
    "--skip-git-repo-check",
    "--color",
    "never",
)
_NO_TOOLS: Final = (
    "-c",
    "features.shell_tool=false",
    "-c",
    "features.unified_exec=false",
    "-c",
    "features.view_image=false",
)
"""Its sandbox forbids writing; reading any file of this machine it allows."""

_STDIN: Final = "-"


class _Line(msgspec.Struct):
    """Name the members that are read, as loosely as they may come."""

    type: Any = None
    thread_id: Any = None
    item: Any = None
    usage: Any = None
    message: Any = None
    error: Any = None


_DECODER: Final = msgspec.json.Decoder(_Line)


class CodexSpeech:
    """Speak to ``codex exec``."""

    def command(self, worded: Worded, model: str, *, has_workspace: bool) -> Command:
        """Return what to run; instructions are a part of the prompt."""
        arguments = list(_FLAGS)
        if not has_workspace:
            arguments += _NO_TOOLS
        if model and model != UNNAMED_MODELS[FORMAT_ID]:
            arguments.append(f"--model={model}")
        arguments.append(_STDIN)
        prompt = worded.conversation
        if worded.system:
            prompt = f"# System Instructions\n\n{worded.system}\n\n# Task\n\n{prompt}"
        return Command(
            program=PROGRAMS[FORMAT_ID],
            arguments=tuple(arguments),
            stdin=prompt,
            tools=worded.tools,
        )

    def read(self, printed: Printed, model: str) -> list[AnyEvent]:
        """Read the lines.

        A completed turn is an answer whatever the program's status and whatever it
        complained of on the way; so is text with a good status and no complaint that
        ended the turn. Text of a turn that broke off is none.
        """
        turn = _Turn()
        for line in printed.stdout.splitlines():
            turn.take(line)
        said = turn.said(printed.tools)
        is_whole = turn.is_completed or (said.text and not printed.exit)
        if turn.failure or not is_whole or not said.text:
            return answers.failed(turn.complaint or answers.complaint(printed), said)
        return answers.answered(said, model=model)


class _Turn:
    """Gather what the lines of one run say."""

    def __init__(self) -> None:
        self.is_completed = False
        self.failure = ""
        self._error = ""
        self._id = ""
        self._texts: list[str] = []
        self._reasoning: list[str] = []
        self._usage: TokenUsage | None = None
        self._flags: tuple[str, ...] = ()

    @property
    def complaint(self) -> str:
        """The failure in the program's own words, blank when it had none."""
        return self.failure or self._error

    def take(self, text: str) -> None:
        """Read a line; one that cannot be read is passed over."""
        if not text.lstrip().startswith("{"):
            return
        try:
            line = _DECODER.decode(text)
        except UNREADABLE:
            return
        if line.type == "thread.started":
            self._id = _word(line.thread_id)
        elif line.type == "item.completed":
            self._take_item(line.item)
        elif line.type == "turn.completed":
            self.is_completed, self.failure = True, ""
            self._count(line.usage)
        elif line.type == "turn.failed":
            self.failure = _message(line.error) or "the turn failed"
        elif line.type == "error":
            self._error = _word(line.message) or _message(line.error)

    def said(self, tools: tuple[str, ...]) -> answers.Said:
        """Return what was said."""
        return answers.Said(
            id=self._id,
            text="\n".join(self._texts),
            reasoning=tuple(self._reasoning),
            usage=self._usage,
            flags=self._flags,
            tools=tools,
        )

    def _take_item(self, item: Any) -> None:
        if not isinstance(item, dict):
            return
        text = _word(item.get("text"))
        if text and item.get("type") == "agent_message":
            self._texts.append(text)
        elif text and item.get("type") == "reasoning":
            self._reasoning.append(text)

    def _count(self, usage: Any) -> None:
        """Read the counters: the input includes what came from the cache."""
        if not isinstance(usage, dict):
            return
        flags: list[str] = []
        prompt = count(usage.get("input_tokens"), "prompt", flags)
        cached = count(usage.get("cached_input_tokens"), "cached", flags)
        if prompt is not None and cached is not None and cached > prompt:
            flags.append("cached:overlap")
            cached = prompt
        written = count(usage.get("cache_write_input_tokens"), "cache_write", flags)
        if written and written > (prompt or 0) - (cached or 0):
            flags.append("cache_write:overlap")
            written = max(0, (prompt or 0) - (cached or 0))
        output = count(usage.get("output_tokens"), "completion", flags)
        thought = count(usage.get("reasoning_output_tokens"), "reasoning", flags)
        if thought is not None and thought > (output or 0):
            flags.append("reasoning_above_output")
            thought = output
        self._flags = tuple(flags)
        if prompt is None and output is None:
            return
        self._usage = TokenUsage(
            input_tokens=(
                None if prompt is None else prompt - (cached or 0) - (written or 0)
            ),
            cache_read_tokens=cached,
            cache_write_tokens=written,
            output_tokens=output,
            reasoning_tokens=thought,
        )


def _word(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _message(error: Any) -> str:
    return _word(error.get("message")) if isinstance(error, dict) else _word(error)


FORMAT: Final[WireFormat] = ProgramFormat(FORMAT_ID, CodexSpeech())
