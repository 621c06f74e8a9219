"""Word a neutral request as a Converse body."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from providers.formats.base import Target
from providers.formats.bedrock_converse.blocks_out import AnyBlock, Block, BlockWriter
from providers.formats.bedrock_converse.extra_out import (
    Fields,
    fill_fields,
    stop_paths,
)
from providers.formats.bedrock_converse.names import DIALECT, family_of, model_path
from providers.formats.bedrock_converse.tools_out import tool_config
from providers.formats.capabilities import Capabilities
from providers.formats.neutral.codec import Encoded
from providers.formats.neutral.types import Loss, Media, Request, Turn

_TIERS: Final = frozenset({"priority", "default", "flex", "reserved"})
_METADATA: Final = re.compile(r"[a-zA-Z0-9\s:_@$#=/+,\-.]{1,256}")
_END_USER: Final = "end_user"
_MOST_METADATA: Final = 16
_BESIDE_A_DOCUMENT: Final = "."


def encode_request(request: Request, target: Target, caps: Capabilities) -> Encoded:
    """Word a fitted request; what Converse has no words for is a loss."""
    families = frozenset(caps.proof_families) or {family_of(target.model)}
    writer = BlockWriter(frozenset(families))
    writer.marks = caps.cache_marks > 0 or request.dialect == DIALECT
    losses: list[Loss] = []
    body: dict[str, Any] = {"messages": _messages(request, writer)}
    system = _system(request.instructions, writer)
    if system:
        body["system"] = system
    inference = _inference(request)
    if inference:
        body["inferenceConfig"] = inference
    tools = tool_config(request, target.model, writer.marks)
    losses += tools.losses
    if tools.config:
        body["toolConfig"] = tools.config
    is_newer = caps.thinking == "adaptive"
    fields = fill_fields(request, target.model, tools.native_choice, is_newer=is_newer)
    losses += fields.losses
    _add_fields(body, fields)
    paths = stop_paths(request, target.model)
    if paths:
        body["additionalModelResponseFieldPaths"] = paths
    losses += _add_rest(body, request)
    verb = "converse-stream" if request.stream else "converse"
    refused = target.drop | frozenset(caps.refuses)
    kept = {name: value for name, value in body.items() if name not in refused}
    losses += [Loss(field=name) for name in body if name in refused]
    return Encoded(
        body=msgspec.json.encode(kept),
        path=model_path(target.model, verb),
        losses=(*writer.losses, *losses),
        is_stream=request.stream,
    )


def _system(instructions: Iterable[Turn], writer: BlockWriter) -> list[AnyBlock]:
    return [
        block
        for turn in instructions
        for part in turn.parts
        for block in writer.blocks(part)
    ]


def _messages(request: Request, writer: BlockWriter) -> list[Block]:
    """Word the turns; neighbours of one role become one message."""
    messages: list[Block] = []
    for turn in request.turns:
        role = {"assistant": "assistant", "instruction": "system"}.get(
            turn.role, "user"
        )
        content = [block for part in turn.parts for block in writer.blocks(part)]
        if request.dialect != DIALECT and _is_wordless(turn, content):
            # A document alone is refused: words must stand beside it.
            content.append({"text": _BESIDE_A_DOCUMENT})
        if not content:
            continue
        if messages and messages[-1]["role"] == role:
            messages[-1]["content"] += content
        else:
            messages.append({"role": role, "content": content})
    return messages


def _is_wordless(turn: Turn, content: list[AnyBlock]) -> bool:
    has_document = any(
        isinstance(part, Media) and part.kind == "document" for part in turn.parts
    )
    return has_document and not any(
        isinstance(block, dict) and "text" in block for block in content
    )


def _inference(request: Request) -> Block:
    sampling = request.sampling
    stop = [word for word in sampling.stop if word.strip()]
    told = {
        "maxTokens": request.max_output,
        "temperature": sampling.temperature,
        "topP": sampling.top_p,
        "stopSequences": stop or None,
    }
    return {name: value for name, value in told.items() if value is not None}


def _add_fields(body: dict[str, Any], fields: Fields) -> None:
    if fields.additional:
        body["additionalModelRequestFields"] = fields.additional
    if fields.output:
        body["outputConfig"] = fields.output


def _add_rest(body: dict[str, Any], request: Request) -> list[Loss]:
    """Add tier, metadata and the client's own fields; return what has no place."""
    losses = _lost_sampling(request)
    tier = request.service_tier
    if tier in _TIERS:
        body["serviceTier"] = {"type": tier}
    elif tier and tier != "auto":
        losses.append(Loss(field="service_tier"))
    metadata = _metadata(request)
    if metadata:
        body["requestMetadata"] = metadata
    if any(name not in metadata for name in request.metadata):
        losses.append(Loss(field="metadata"))
    if request.end_user and _END_USER not in metadata:
        losses.append(Loss(field="user"))
    if request.dialect != DIALECT:
        return [*losses, *(Loss(field=name) for name in request.ext)]
    for name, raw in request.ext.items():
        if name != "additionalModelRequestFields":
            body[name] = raw
    return losses


def _metadata(request: Request) -> dict[str, str]:
    """Return what may be said about a request; it goes into the account's own logs."""
    asked = dict(request.metadata)
    if request.end_user:
        asked.setdefault(_END_USER, request.end_user)
    told = {
        name: value
        for name, value in asked.items()
        if _METADATA.fullmatch(name) and (not value or _METADATA.fullmatch(value))
    }
    return dict(list(told.items())[:_MOST_METADATA])


def _lost_sampling(request: Request) -> list[Loss]:
    sampling = request.sampling
    told = {
        "min_p": sampling.min_p,
        "presence_penalty": sampling.presence_penalty,
        "frequency_penalty": sampling.frequency_penalty,
        "repeat_penalty": sampling.repeat_penalty,
        "seed": sampling.seed,
        "logit_bias": sampling.logit_bias,
        "logprobs": sampling.logprobs or None,
        "top_logprobs": sampling.top_logprobs,
        "n": None if sampling.n == 1 else sampling.n,
        "verbosity": request.verbosity or None,
    }
    return [Loss(field=name) for name, value in told.items() if value is not None]
