"""Which wire formats exist, and which pairs of them can be joined.

A dialect is a module with a ``FORMAT``; adding one is adding its module path here.
"""

from __future__ import annotations

from functools import cache, lru_cache
from importlib import import_module
from typing import Final, cast

from providers.formats import plugins
from providers.formats.base import Bridge, Op, WireFormat
from providers.formats.neutral.bridge import TranslationBridge
from providers.formats.operations.table import translated

FORMAT_MODULES: Final[tuple[str, ...]] = (
    "providers.formats.openai_chat.dialect",
    "providers.formats.gemini_generate.dialect",
    "providers.formats.envelopes.cloudcode",
    "providers.formats.envelopes.vertex",
    "providers.formats.openai_responses.dialect",
    "providers.formats.envelopes.codex",
    "providers.formats.anthropic_messages.dialect",
    "providers.formats.ollama_native.dialect",
    "providers.formats.envelopes.azure",
    "providers.formats.envelopes.copilot",
    "providers.formats.bedrock_converse.dialect",
    "providers.formats.bedrock_converse.invoke",
    "providers.formats.cli_backed.claude",
    "providers.formats.cli_backed.codex",
)


class UnknownFormatError(LookupError):
    """Report a format id that no module answers to; a configuration mistake."""


@cache
def formats() -> dict[str, WireFormat]:
    """Load every format once, by id, in the order of the list."""
    loaded: dict[str, WireFormat] = {}
    for path in FORMAT_MODULES:
        wire = cast("WireFormat", import_module(path).FORMAT)
        loaded[wire.id] = wire
    for wire in plugins.installed():
        loaded.setdefault(wire.id, wire)
    return loaded


def get(format_id: str) -> WireFormat:
    """Return a format by id.

    Errors:  UnknownFormatError.
    """
    try:
        return formats()[format_id]
    except KeyError:
        raise UnknownFormatError(format_id) from None


@lru_cache(maxsize=16_384)
def bridge(
    inbound: str, upstream: str, model: str = "", op: Op = "chat"
) -> Bridge | None:
    """Return the bridge between two formats, or None where none can be built.

    Shapes:  ``model`` is the upstream's own id: some platforms speak one dialect for
             one model and another for the next.
    Fails:   a candidate whose format has no bridge cannot serve the request; the
             planner leaves it out and says so.
    """
    known = formats()
    wire, client = known.get(upstream), known.get(inbound)
    if wire is None or client is None:
        return None
    relay = wire.relay(inbound, op, model)
    if relay is not None:
        return relay
    if op != "chat":
        chat = bridge("openai", upstream, model) if op == "completions" else None
        return translated(inbound, wire, op, model, chat)
    source, target = client.codec(""), wire.codec(model)
    if source is None or target is None:
        return None
    return TranslationBridge(source, target, upstream)
