"""Take a Gemini client's request apart: tools, limits, reasoning and output."""

from __future__ import annotations

from typing import Final

import msgspec

from providers.formats.gemini_generate.fields import (
    Fields,
    fields_of,
    list_of,
    raw_json,
    take,
    text_of,
)
from providers.formats.gemini_generate.schema import from_gemini
from providers.formats.neutral.types import (
    OutputFormat,
    Sampling,
    Thinking,
    Tool,
    ToolChoice,
)

_WHERE: Final = "generationConfig."
_CALLING: Final = "functionCallingConfig"
SERVER_TYPES: Final = {
    "googleSearch": "web_search",
    "googleSearchRetrieval": "web_search",
    "codeExecution": "code_execution",
    "urlContext": "web_fetch",
}
"""What Gemini's own tools are called elsewhere; all others keep their name."""


class Config(msgspec.Struct, frozen=True):
    """Hold what a generation config says in the neutral form."""

    sampling: Sampling = Sampling()
    max_output: int | None = None
    thinking: Thinking | None = None
    output: OutputFormat | None = None
    modalities: tuple[str, ...] = ()


def read_tools(
    fields: Fields,
) -> tuple[tuple[Tool, ...], ToolChoice | None, Fields]:
    """Take tools and their choice out of a request.

    Shapes:  the third is what the tool config says beyond the choice.
    Errors:  FormatError.
    """
    tools: list[Tool] = []
    for place, raw in enumerate(list_of(fields.pop("tools", None), "tools")):
        where = f"tools[{place}]"
        for name, value in fields_of(raw, where).items():
            if name == "functionDeclarations":
                tools += [
                    _function(each, f"{where}.{name}") for each in list_of(value, where)
                ]
            else:
                tools.append(_server_tool(name, value))
    config = fields.pop("toolConfig", None)
    rest = {} if config is None else fields_of(config, "toolConfig")
    choice = _choice(rest) if _CALLING in rest else None
    return tuple(tools), choice, rest


def read_config(fields: Fields) -> tuple[Config, Fields]:
    """Take the generation config out of a request; the second is what is left of it.

    Errors:  FormatError.
    """
    raw = fields.pop("generationConfig", None)
    if raw is None:
        return Config(), {}
    config = fields_of(raw, "generationConfig")
    stop = config.pop("stopSequences", None)
    modalities = take(config, "responseModalities", list[str], _WHERE) or []
    thinking = config.pop("thinkingConfig", None)
    return Config(
        sampling=Sampling(
            temperature=take(config, "temperature", float, _WHERE),
            top_p=take(config, "topP", float, _WHERE),
            top_k=_whole(take(config, "topK", float, _WHERE)),
            presence_penalty=take(config, "presencePenalty", float, _WHERE),
            frequency_penalty=take(config, "frequencyPenalty", float, _WHERE),
            seed=take(config, "seed", int, _WHERE),
            n=take(config, "candidateCount", int, _WHERE),
            stop=tuple(_stop(stop)),
            logprobs=take(config, "responseLogprobs", bool, _WHERE),
            top_logprobs=take(config, "logprobs", int, _WHERE),
        ),
        max_output=take(config, "maxOutputTokens", int, _WHERE),
        thinking=None if thinking is None else _thinking(thinking),
        output=_output(config),
        modalities=tuple(each.lower() for each in modalities),
    ), config


def _function(raw: msgspec.Raw, where: str) -> Tool:
    fields = fields_of(raw, where)
    name = text_of(fields, "name")
    description = text_of(fields, "description")
    for known in ("name", "description"):
        fields.pop(known, None)
    schema = fields.pop("parametersJsonSchema", None)
    older = fields.pop("parameters", None)
    if schema is None and older is not None:
        schema = from_gemini(older)
    return Tool(
        kind="function",
        name=name,
        description=description,
        schema=None if schema is None else msgspec.Raw(bytes(schema)),
        dialect="google" if fields else "",
        payload=raw_json(fields) if fields else None,
    )


def _server_tool(name: str, value: msgspec.Raw) -> Tool:
    kind = SERVER_TYPES.get(name, name)
    return Tool(
        kind="server",
        name=kind,
        type=kind,
        dialect="google",
        payload=raw_json({name: value}),
    )


def _choice(rest: Fields) -> ToolChoice:
    """Read the mode of calling; what only Gemini knows of it stays behind."""
    fields = fields_of(rest.pop(_CALLING), f"toolConfig.{_CALLING}")
    mode = text_of(fields, "mode").upper()
    names = tuple(
        take(fields, "allowedFunctionNames", list[str], f"toolConfig.{_CALLING}.") or ()
    )
    fields.pop("mode", None)
    if mode == "VALIDATED":
        fields["mode"] = raw_json(mode)
    if fields:
        rest[_CALLING] = raw_json(fields)
    if mode == "NONE":
        return ToolChoice(mode="none")
    if mode == "ANY" and len(names) == 1:
        return ToolChoice(mode="one", names=names)
    if names:
        return ToolChoice(mode="subset", names=names, is_required=mode == "ANY")
    return ToolChoice(mode="any") if mode == "ANY" else ToolChoice(mode="auto")


def _thinking(raw: msgspec.Raw) -> Thinking:
    fields = fields_of(raw, f"{_WHERE}thinkingConfig")
    where = f"{_WHERE}thinkingConfig."
    shown = take(fields, "includeThoughts", bool, where)
    show = "" if shown is None else "auto" if shown else "none"
    budget = take(fields, "thinkingBudget", int, where)
    level = text_of(fields, "thinkingLevel").lower()
    if level and level != "thinking_level_unspecified":
        return Thinking(mode="effort", effort=level, show=show)
    if budget == 0:
        return Thinking(mode="off", show=show)
    if budget is None or budget < 0:
        return Thinking(mode="adaptive", show=show)
    return Thinking(mode="budget", budget=budget, show=show)


def _output(config: Fields) -> OutputFormat | None:
    """Read the form of the answer out of type and schema."""
    media_type = text_of(config, "responseMimeType")
    schema = config.pop("responseJsonSchema", None)
    older = config.pop("responseSchema", None)
    if schema is None and older is not None:
        schema = from_gemini(older)
    raw = None if schema is None else msgspec.Raw(bytes(schema))
    if media_type == "text/x.enum":
        config.pop("responseMimeType")
        return OutputFormat(kind="enum", schema=raw)
    if raw is not None:
        config.pop("responseMimeType", None)
        return OutputFormat(kind="schema", schema=raw)
    if media_type == "application/json":
        config.pop("responseMimeType")
        return OutputFormat(kind="json")
    return None


def _stop(raw: msgspec.Raw | None) -> list[str]:
    if raw is None:
        return []
    if bytes(raw)[:1] == b'"':
        return [msgspec.json.decode(raw, type=str)]
    wrapped: Fields = {"stopSequences": raw}
    return take(wrapped, "stopSequences", list[str], _WHERE) or []


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)
