"""Word what Converse leaves to a model's own fields: reasoning, ``top_k``, schemas."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from providers.formats.bedrock_converse.blocks_out import Block
from providers.formats.bedrock_converse.names import DIALECT, is_claude
from providers.formats.neutral.types import Loss, OutputFormat, Request, Thinking

_SHOWN: Final = {"auto": "summarized", "none": "omitted"}
_STOP_PATHS: Final = ["/stop_sequence", "/delta/stop_sequence"]


class Fields(msgspec.Struct, kw_only=True):
    """Gather the additional fields and the output's configuration."""

    additional: dict[str, Any] = {}
    output: Block = {}
    losses: list[Loss] = []
    is_newer: bool = False


def fill_fields(
    request: Request,
    model: str,
    native_choice: Mapping[str, Any] | None,
    *,
    is_newer: bool,
) -> Fields:
    """Word what a model takes beside Converse's own fields.

    Shapes:  ``is_newer`` = Claude reasons by itself here: it must be told not to, and
             knows how its thoughts are to be shown.
    """
    fields = Fields(is_newer=is_newer or request.dialect == DIALECT)
    if request.dialect == DIALECT:
        fields.additional.update(_own(request))
    if native_choice is not None:
        fields.additional["tool_choice"] = native_choice
    _add_top_k(fields, request, model)
    if request.thinking is not None:
        _add_thinking(fields, request.thinking, model)
    if request.output is not None:
        _add_output(fields, request.output)
    return fields


def _own(request: Request) -> dict[str, msgspec.Raw]:
    raw = request.ext.get("additionalModelRequestFields")
    if raw is None:
        return {}
    return msgspec.json.decode(raw, type=dict[str, msgspec.Raw])


def _add_top_k(fields: Fields, request: Request, model: str) -> None:
    top_k = request.sampling.top_k
    if top_k is None:
        return
    if is_claude(model):
        fields.additional["top_k"] = top_k
    elif "nova" in model:
        fields.additional["inferenceConfig"] = {"topK": top_k}
    else:
        fields.losses.append(Loss(field="top_k"))


def _add_thinking(fields: Fields, thinking: Thinking, model: str) -> None:
    if is_claude(model):
        _add_claude_thinking(fields, thinking)
    elif thinking.mode == "off":
        return
    elif thinking.effort and "gpt-oss" in model:
        fields.additional["reasoning_effort"] = thinking.effort
    elif thinking.effort and "nova" in model:
        fields.additional["reasoningConfig"] = {
            "type": "enabled",
            "maxReasoningEffort": thinking.effort,
        }
    else:
        fields.losses.append(Loss(field="thinking"))


def _add_claude_thinking(fields: Fields, thinking: Thinking) -> None:
    if thinking.effort:
        fields.output["effort"] = thinking.effort
    if thinking.mode == "off":
        if fields.is_newer:
            fields.additional["thinking"] = {"type": "disabled"}
        return
    made: Block = {"type": "adaptive"}
    if thinking.mode == "budget" and thinking.budget is not None:
        made = {"type": "enabled", "budget_tokens": thinking.budget}
    elif thinking.mode == "effort":
        return
    if thinking.show in _SHOWN and fields.is_newer:
        made["display"] = _SHOWN[thinking.show]
    fields.additional["thinking"] = made


def _add_output(fields: Fields, output: OutputFormat) -> None:
    if output.kind == "text":
        return
    if output.schema is None:
        fields.losses.append(Loss(field="response_format"))
        return
    wire: Block = {"schema": bytes(output.schema).decode()}
    if output.name:
        wire["name"] = output.name
    if output.description:
        wire["description"] = output.description
    fields.output["textFormat"] = {
        "type": "json_schema",
        "structure": {"jsonSchema": wire},
    }


def stop_paths(request: Request, model: str) -> list[str]:
    """Return where Claude says which stop sequence it met, when any was set."""
    if request.dialect == DIALECT or not is_claude(model):
        return []
    return _STOP_PATHS if request.sampling.stop else []
