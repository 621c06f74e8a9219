"""Word a fitted neutral request for Gemini: the whole of it but the conversation.

Source: reference wire 1.5 and column GM of 2.3, 2.4, 2.8 to 2.12, 2.18.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from providers.formats.base import Target
from providers.formats.capabilities import Capabilities
from providers.formats.gemini_generate.fields import Fields, fields_of
from providers.formats.gemini_generate.incoming import FAMILY
from providers.formats.gemini_generate.outgoing_turns import TurnWriter
from providers.formats.gemini_generate.platform import Platform
from providers.formats.gemini_generate.schema import to_gemini
from providers.formats.gemini_generate.thinking import thinking_config
from providers.formats.neutral.codec import Encoded
from providers.formats.neutral.types import (
    Loss,
    OutputFormat,
    Request,
    Tool,
    ToolChoice,
)

_JSON: Final = "application/json"
_SERVER_TOOLS: Final = (
    ("web_search", "googleSearch"),
    ("google_search", "googleSearch"),
    ("code_execution", "codeExecution"),
    ("code_interpreter", "codeExecution"),
    ("web_fetch", "urlContext"),
    ("url_context", "urlContext"),
)
_TIERS: Final = frozenset({"flex", "priority", "standard"})


def encode_gemini_request(
    request: Request, target: Target, caps: Capabilities, platform: Platform
) -> Encoded:
    """Word a request.

    Errors:  FormatError for a schema nobody can read, or a provider without its
             address.
    """
    writer = _Writer(request, target, caps, platform)
    body = writer.body()
    for name in (*caps.refuses, *target.drop):
        _drop(body, name)
    return Encoded(
        body=msgspec.json.encode(wrapped(body, target) if platform.wraps else body),
        path=platform.path("chat", target, stream=request.stream),
        losses=tuple(dict.fromkeys(writer.losses)),
        is_stream=request.stream,
    )


def wrapped(body: Any, target: Target) -> dict[str, Any]:
    """Put a request into Code Assist's envelope."""
    out: dict[str, Any] = {"model": target.model}
    project = target.options.get("project")
    if project:
        out["project"] = project
    return {**out, "request": body}


class _Writer:
    """Word one request and remember what it could not say."""

    def __init__(
        self,
        request: Request,
        target: Target,
        caps: Capabilities,
        platform: Platform,
    ) -> None:
        self._request = request
        self._target = target
        self._caps = caps
        self._platform = platform
        self._own: Fields = {}
        if request.dialect == FAMILY:
            self._own = dict(request.ext)
        self.losses: list[Loss] = []

    def body(self) -> dict[str, Any]:
        """Return the whole body."""
        request = self._request
        config = self._own.pop("generationConfig", None)
        calling = self._own.pop("toolConfig", None)
        generation = {**({} if config is None else fields_of(config, "ext"))}
        generation.update(self._generation())
        turns = TurnWriter(
            request, self._target.model, self._caps, call_ids=self._platform.call_ids
        )
        body: dict[str, Any] = {"contents": turns.contents()}
        system = turns.instructions()
        if self._output_as_words():
            system.append({"text": _instruction(request.output)})
        if system:
            body["systemInstruction"] = {"parts": system}
        self.losses += turns.losses
        tools = self._tools()
        if tools:
            body["tools"] = tools
        tool_config = self._tool_config(calling)
        if tool_config:
            body["toolConfig"] = tool_config
        if generation:
            body["generationConfig"] = generation
        body.update(self._rest())
        body.update(self._own)
        return body

    def _generation(self) -> dict[str, Any]:
        """Word limits, sampling, output and reasoning."""
        request, caps, sampling = self._request, self._caps, self._request.sampling
        out: dict[str, Any] = {
            "temperature": sampling.temperature,
            "topP": sampling.top_p,
            "topK": sampling.top_k,
            "maxOutputTokens": request.max_output,
            "stopSequences": list(sampling.stop) or None,
            "seed": sampling.seed,
        }
        self._wish(out, "presencePenalty", sampling.presence_penalty, caps.penalties)
        self._wish(out, "frequencyPenalty", sampling.frequency_penalty, caps.penalties)
        self._wish(out, "responseLogprobs", sampling.logprobs, caps.logprobs)
        self._wish(out, "logprobs", sampling.top_logprobs, caps.logprobs)
        many = sampling.n is not None and sampling.n > 1
        self._wish(
            out, "candidateCount", sampling.n, not many or not request.stream, "n"
        )
        if request.modalities:
            out["responseModalities"] = [each.upper() for each in request.modalities]
        if request.output is not None and not self._output_as_words():
            out.update(self._output(request.output))
        if request.thinking is not None:
            made, loss = thinking_config(request.thinking, caps)
            self.losses += loss
            out["thinkingConfig"] = made or None
        for name, value in (
            ("logit_bias", sampling.logit_bias),
            ("min_p", sampling.min_p),
            ("repeat_penalty", sampling.repeat_penalty),
            ("verbosity", request.verbosity or None),
            ("user", request.end_user or None),
            ("prompt_cache_key", request.cache_key or None),
        ):
            if value is not None:
                self.losses.append(Loss(field=name))
        return {name: value for name, value in out.items() if value is not None}

    def _wish(
        self, out: dict[str, Any], name: str, value: Any, is_taken: bool, as_: str = ""
    ) -> None:
        """Say something a model may not take."""
        if value is None:
            return
        if is_taken:
            out[name] = value
        elif value is not False:
            self.losses.append(Loss(field=as_ or name))

    def _output_as_words(self) -> bool:
        """Tell whether the form of the answer must be asked for in words.

        Older models refuse the JSON type together with functions.
        """
        output = self._request.output
        return (
            output is not None
            and output.kind != "text"
            and not self._caps.json_with_tools
            and any(tool.kind == "function" for tool in self._request.tools)
        )

    def _output(self, output: OutputFormat) -> dict[str, Any]:
        """Word the form of the answer."""
        if output.kind == "text":
            return {}
        if output.kind == "json" or output.schema is None:
            return {"responseMimeType": _JSON}
        if output.kind == "enum":
            schema = to_gemini(output.schema)
            return {"responseMimeType": "text/x.enum", "responseSchema": schema}
        if self._caps.full_json_schema:
            return {"responseMimeType": _JSON, "responseJsonSchema": output.schema}
        older = to_gemini(output.schema)
        out: dict[str, Any] = {"responseMimeType": _JSON}
        if older is not None:
            out["responseSchema"] = older
        return out

    def _tools(self) -> list[dict[str, Any]]:
        """Word the tools: all functions together, every tool of Google's by itself."""
        functions: list[dict[str, Any]] = []
        servers: list[Any] = []
        for tool in self._request.tools:
            if tool.kind == "function":
                functions.append(self._function(tool))
            elif tool.dialect == FAMILY and tool.payload is not None:
                servers.append(tool.payload)
            else:
                name = _server_name(tool)
                if name is None:
                    self.losses.append(Loss(field=f"tools.{tool.type or tool.name}"))
                elif {name: {}} not in servers:
                    servers.append({name: {}})
        groups: list[Any] = [{"functionDeclarations": functions}] if functions else []
        return groups + servers

    def _function(self, tool: Tool) -> dict[str, Any]:
        out: dict[str, Any] = {"name": tool.name}
        if tool.description:
            out["description"] = tool.description
        if tool.schema is not None:
            if self._caps.full_json_schema:
                out["parametersJsonSchema"] = tool.schema
            else:
                older = to_gemini(tool.schema)
                if older is not None:
                    out["parameters"] = older
        if tool.dialect == FAMILY and tool.payload is not None:
            out.update(fields_of(tool.payload, "tools"))
        return out

    def _tool_config(self, own: msgspec.Raw | None) -> dict[str, Any]:
        """Word which tools may be called, beside what the client's own config says."""
        out: dict[str, Any] = {} if own is None else {**fields_of(own, "toolConfig")}
        kept = out.pop("functionCallingConfig", None)
        calling: dict[str, Any] = {} if kept is None else {**fields_of(kept, "ext")}
        choice = self._request.tool_choice
        strict = self._caps.strict_tools and any(
            tool.strict for tool in self._request.tools
        )
        if choice is not None:
            if choice.parallel is False:
                self.losses.append(Loss(field="parallel_tool_calls"))
            mode, names = _mode(choice)
            is_validated = bool(calling) and mode == "AUTO"
            calling["mode"] = "VALIDATED" if is_validated else mode
            if names:
                calling["allowedFunctionNames"] = list(names)
                if mode == "AUTO":
                    # Names bound a mode that validates, never plain AUTO.
                    calling["mode"] = "VALIDATED"
        if strict and calling.get("mode") in (None, "AUTO"):
            calling["mode"] = "VALIDATED"
        if calling:
            out["functionCallingConfig"] = calling
        return out

    def _rest(self) -> dict[str, Any]:
        """Word what stands beside the conversation."""
        request = self._request
        out: dict[str, Any] = {}
        tier = request.service_tier
        if tier and (request.dialect == FAMILY or tier in _TIERS):
            out["serviceTier"] = tier
        elif tier not in ("", "auto", "default"):
            self.losses.append(Loss(field="service_tier"))
        if request.state is not None and request.state.store is not None:
            if request.dialect == FAMILY:
                out["store"] = request.state.store
            elif request.state.store:
                self.losses.append(Loss(field="store"))
        if request.metadata and self._platform.labels:
            out["labels"] = dict(request.metadata)
        elif request.metadata:
            self.losses.append(Loss(field="metadata"))
        return out


def _mode(choice: ToolChoice) -> tuple[str, tuple[str, ...]]:
    if choice.mode == "none":
        return "NONE", ()
    if choice.mode == "any":
        return "ANY", ()
    if choice.mode == "one":
        return "ANY", choice.names
    if choice.mode == "subset":
        return ("ANY" if choice.is_required else "AUTO"), choice.names
    return "AUTO", ()


def _server_name(tool: Tool) -> str | None:
    """Return Gemini's own tool for another vendor's, None where it has none."""
    for prefix, name in _SERVER_TOOLS:
        if tool.type.startswith(prefix):
            return name
    own = {name for _, name in _SERVER_TOOLS}
    return tool.type if tool.type in own else None


def _instruction(output: OutputFormat | None) -> str:
    """Ask in words for an answer that is JSON."""
    text = "Answer with JSON only, without any other text and without a code fence."
    if output is None or output.schema is None:
        return text
    schema = bytes(output.schema).decode("utf-8", "replace")
    return f"{text} The JSON must match this schema:\n{schema}"


def _drop(body: dict[str, Any], name: str) -> None:
    """Take a field out that this upstream was learned to refuse."""
    outer, _, inner = name.partition(".")
    if not inner:
        body.pop(outer, None)
        config = body.get("generationConfig")
        if isinstance(config, dict):
            config.pop(outer, None)
    elif isinstance(body.get(outer), dict):
        body[outer].pop(inner, None)
