"""Ask for a structured answer the way an upstream understands.

Where it has no field for it, a tool that must be called stands for the answer, or words
ask for it; ``restore`` makes text of the tool's arguments again.

Source: reference wire 2.8, P53 to P55, T55.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec.structs import replace

from providers.formats.base import UNREADABLE
from providers.formats.capabilities import Capabilities
from providers.formats.neutral.fit.losses import Losses
from providers.formats.neutral.fit.schemas import enforceable
from providers.formats.neutral.fit.thinking import is_thinking
from providers.formats.neutral.types import (
    OutputFormat,
    Request,
    Text,
    Tool,
    ToolChoice,
    Turn,
)

JSON_TOOL: Final = "json_output"
_FIELD: Final = "response_format"
_DESCRIPTION: Final = "Give the final answer by calling this tool, and only so."
_ASK: Final = "Answer with one JSON value and nothing else: no prose, no code fence."
_ASK_SCHEMA: Final = "It must be valid against this JSON schema:"


def fit_output(
    request: Request, caps: Capabilities, losses: Losses
) -> tuple[Request, str]:
    """Fit the form of the answer; with the name of the tool that stands for it."""
    output = request.output
    if output is None:
        return request, ""
    if output.kind == "text":
        return replace(request, output=None), ""
    if output.kind == "schema" and output.schema is None:
        output = OutputFormat(kind="json")
    if _is_native(output, request, caps):
        output = _enforceable(output, caps, losses)
        same = output == request.output
        return (request if same else replace(request, output=output)), ""
    losses.add(_FIELD, "emulate")
    if output.kind == "schema" and _can_use_tool(output, request, caps):
        return _by_tool(output, request, caps)
    return _by_words(output, request), ""


def _is_native(output: OutputFormat, request: Request, caps: Capabilities) -> bool:
    functions = any(tool.kind in ("function", "custom") for tool in request.tools)
    if functions and not caps.json_with_tools:
        return False
    if output.kind == "json":
        return caps.json_object
    if output.kind == "enum":
        return caps.json_enum
    return caps.json_output == "native"


def _enforceable(
    output: OutputFormat, caps: Capabilities, losses: Losses
) -> OutputFormat:
    """Return a form whose schema the upstream can hold a model to."""
    if output.kind != "schema" or output.schema is None:
        return output
    schema, dropped = enforceable(output.schema, caps)
    for keyword in dropped:
        losses.add(f"{_FIELD}.{keyword}")
    return output if schema is output.schema else replace(output, schema=schema)


def _can_use_tool(output: OutputFormat, request: Request, caps: Capabilities) -> bool:
    """Tell whether a call can be forced, and an object be its arguments."""
    if caps.json_output != "tool" or not caps.tools or not caps.tool_choice:
        return False
    if is_thinking(request) and not caps.forced_tool_with_thinking:
        return False
    choice = request.tool_choice
    if choice is not None and choice.mode not in ("auto", "none"):
        return False
    able = caps.tool_choice_any if request.tools else caps.tool_choice_named
    return able and _is_object(output.schema)


def _is_object(schema: msgspec.Raw | None) -> bool:
    try:
        value = msgspec.json.decode(schema or b"null")
    except UNREADABLE:
        return False
    return isinstance(value, dict) and value.get("type") == "object"


def _by_tool(
    output: OutputFormat, request: Request, caps: Capabilities
) -> tuple[Request, str]:
    """Offer a tool for the answer; beside others one of them must be called."""
    taken = {tool.name for tool in request.tools}
    name = JSON_TOOL
    while name in taken:
        name += "_"
    description = " ".join(filter(None, (_DESCRIPTION, output.description)))
    tool = Tool(
        kind="function", name=name, description=description, schema=output.schema
    )
    parallel = False if caps.parallel_tool_calls else None
    says_none = request.tool_choice is not None and request.tool_choice.mode == "none"
    if request.tools and not says_none:
        choice = ToolChoice(mode="any", is_required=True, parallel=parallel)
    else:
        choice = ToolChoice(
            mode="one", names=(name,), is_required=True, parallel=parallel
        )
    fitted = replace(
        request, tools=(*request.tools, tool), tool_choice=choice, output=None
    )
    return fitted, name


def _by_words(output: OutputFormat, request: Request) -> Request:
    """Ask in words, behind the client's own instructions."""
    words = _ASK
    if output.schema is not None:
        schema = bytes(output.schema).decode("utf-8", "replace")
        words = f"{_ASK} {_ASK_SCHEMA}\n{schema}"
    asked = Turn(role="instruction", parts=(Text(text=words),))
    return replace(request, instructions=(*request.instructions, asked), output=None)
