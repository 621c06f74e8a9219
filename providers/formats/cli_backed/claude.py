"""Claude Code run without a screen: one JSON object on its standard output.

It runs in plan mode, which changes nothing; no flag that skips permissions is ever
given.

Source: reference seeds 14; ``claude --help`` of 2.1.329 for ``--tools``.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from pricing.cost import parse_vendor_cost
from providers.formats.anthropic_messages.usage import UsageReader
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

FORMAT_ID: Final = "claude-cli"
_FLAGS: Final = (
    "-p",
    "--output-format",
    "json",
    "--permission-mode",
    "plan",
    "--no-chrome",
)
_NO_TOOLS: Final = "--tools="
_LONGEST_ARGUMENT: Final = 100_000
"""Linux takes 128 KiB in one argument; longer instructions go in with the prompt."""

_NULL: Final = msgspec.Raw(b"null")


class _Result(msgspec.Struct):
    """Name the members that are read, as loosely as they may come."""

    type: Any = None
    subtype: Any = None
    is_error: Any = None
    result: Any = None
    session_id: Any = None
    api_error_status: Any = None
    total_cost_usd: msgspec.Raw = _NULL
    usage: msgspec.Raw = _NULL


_DECODER: Final = msgspec.json.Decoder(_Result)


class ClaudeSpeech:
    """Speak to ``claude -p``."""

    def command(self, worded: Worded, model: str, *, has_workspace: bool) -> Command:
        """Return what to run."""
        arguments = list(_FLAGS)
        if not has_workspace:
            arguments.append(_NO_TOOLS)
        prompt = worded.conversation
        if len(worded.system.encode()) > _LONGEST_ARGUMENT:
            prompt = f"System: {worded.system}\n\n{_named(worded)}"
        elif worded.system:
            # In one argument, so that a text that looks like a flag is none.
            arguments.append(f"--system-prompt={worded.system}")
        if model and model != UNNAMED_MODELS[FORMAT_ID]:
            arguments.append(f"--model={model}")
        return Command(
            program=PROGRAMS[FORMAT_ID],
            arguments=tuple(arguments),
            stdin=prompt,
            tools=worded.tools,
        )

    def read(self, printed: Printed, model: str) -> list[AnyEvent]:
        """Read the one object; its counters exclude the cache, as the API's do."""
        result = _result(printed.stdout)
        if result is None:
            return answers.failed(answers.complaint(printed))
        reader = UsageReader()
        usage = None if result.usage == _NULL else reader.take(result.usage)
        text = result.result if isinstance(result.result, str) else ""
        said = answers.Said(
            id=result.session_id if isinstance(result.session_id, str) else "",
            text=text,
            usage=usage,
            flags=reader.flags,
            cost_nano_usd=parse_vendor_cost(bytes(result.total_cost_usd)),
            tools=printed.tools,
        )
        if result.is_error or printed.exit:
            return answers.failed(
                text or answers.complaint(printed), said, status=_status(result)
            )
        if not isinstance(result.result, str):
            return answers.failed(f"the program ended with {result.subtype}", said)
        return answers.answered(said, model=model)


def _status(result: _Result) -> int | None:
    status = result.api_error_status
    is_one = type(status) is int and 400 <= status <= 599
    return status if is_one else None


def _named(worded: Worded) -> str:
    return f"User: {worded.conversation}" if worded.is_bare else worded.conversation


def _result(stdout: str) -> _Result | None:
    """Find the result: the whole output, or its last line that is one."""
    for text in (stdout, *reversed(stdout.splitlines())):
        if not text.lstrip().startswith("{"):
            continue
        try:
            result = _DECODER.decode(text)
        except UNREADABLE:
            continue
        if result.type == "result":
            return result
    return None


FORMAT: Final[WireFormat] = ProgramFormat(FORMAT_ID, ClaudeSpeech())
