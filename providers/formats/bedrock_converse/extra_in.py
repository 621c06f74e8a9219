"""Read what Converse has no field for and what its newest fields say.

``additionalModelRequestFields`` carries a model's own parameters: Claude's ``thinking``,
``top_k`` and ``tool_choice``, the ``reasoning_effort`` of open models.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from providers.formats.base import UNREADABLE, FormatError
from providers.formats.neutral.types import OutputFormat, Thinking

_SHOWN: Final = {"summarized": "auto", "omitted": "none"}


class Extra(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what is understood of the additional fields, and the rest as it came."""

    thinking: Mapping[str, Any] | None = None
    effort: str = ""
    top_k: int | None = None
    tool_choice: Mapping[str, Any] | None = None
    rest: dict[str, msgspec.Raw] = {}


class _Json(msgspec.Struct):
    schema: str = ""
    name: str = ""
    description: str = ""


class _Structure(msgspec.Struct):
    jsonSchema: _Json | None = None


class _Format(msgspec.Struct):
    structure: _Structure | None = None


class _Output(msgspec.Struct):
    textFormat: _Format | None = None
    effort: str = ""


_OUTPUT: Final[msgspec.json.Decoder[_Output | None]] = msgspec.json.Decoder(
    _Output | None
)


def read_extra(fields: Mapping[str, msgspec.Raw]) -> Extra:
    """Take the additional fields apart; what is odd stays in the rest."""
    rest = dict(fields)
    thinking = _take_object(rest, "thinking")
    choice = _take_object(rest, "tool_choice")
    effort = _take_effort(rest)
    return Extra(
        thinking=thinking,
        effort=effort,
        top_k=_take_int(rest, "top_k"),
        tool_choice=choice,
        rest=rest,
    )


def read_thinking(extra: Extra, effort: str) -> Thinking | None:
    """Return how a model is asked to reason.

    Shapes:  ``effort`` is the word of ``outputConfig``, which wins.
    """
    word = effort or extra.effort
    native = extra.thinking
    if native is None:
        return Thinking(mode="effort", effort=word) if word else None
    show = _SHOWN.get(str(native.get("display", "")), "")
    kind = native.get("type")
    if kind == "disabled":
        return Thinking(mode="off")
    budget = native.get("budget_tokens")
    if kind == "enabled" and type(budget) is int:
        return Thinking(mode="budget", budget=budget, effort=word, show=show)
    return Thinking(mode="adaptive", effort=word, show=show)


def read_output(raw: msgspec.Raw | None) -> tuple[OutputFormat | None, str]:
    """Return the form of the answer and the word of effort.

    Errors:  msgspec.ValidationError; FormatError for a schema that is no JSON.
    """
    config = None if raw is None else _OUTPUT.decode(raw)
    if config is None:
        return None, ""
    structure = config.textFormat.structure if config.textFormat else None
    wire = structure.jsonSchema if structure else None
    if wire is None:
        return None, config.effort
    schema = msgspec.Raw(wire.schema.encode())
    try:
        msgspec.json.decode(schema)
    except UNREADABLE as error:
        raise FormatError(
            "The schema is not valid JSON.",
            param="outputConfig.textFormat.structure.jsonSchema.schema",
        ) from error
    made = OutputFormat(
        kind="schema", name=wire.name, description=wire.description, schema=schema
    )
    return made, config.effort


def _take_object(rest: dict[str, msgspec.Raw], name: str) -> dict[str, Any] | None:
    raw = rest.get(name)
    if raw is None or bytes(raw)[:1] != b"{":
        return None
    del rest[name]
    value: dict[str, Any] = msgspec.json.decode(raw)
    return value


def _take_effort(rest: dict[str, msgspec.Raw]) -> str:
    """Take a word of effort, in Claude's spelling or in that of open models."""
    raw = rest.get("reasoning_effort")
    if raw is not None and bytes(raw)[:1] == b'"':
        del rest["reasoning_effort"]
        return str(msgspec.json.decode(raw))
    raw = rest.get("output_config")
    if raw is None or bytes(raw)[:1] != b"{":
        return ""
    value: dict[str, Any] = msgspec.json.decode(raw)
    if set(value) != {"effort"} or not isinstance(value["effort"], str):
        return ""
    del rest["output_config"]
    return str(value["effort"])


def _take_int(rest: dict[str, msgspec.Raw], name: str) -> int | None:
    raw = rest.get(name)
    if raw is None:
        return None
    value = msgspec.json.decode(raw)
    if type(value) is not int:
        return None
    del rest[name]
    return value
