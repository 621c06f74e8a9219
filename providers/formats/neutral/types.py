"""The neutral request: what every dialect's request is taken apart into.

Frozen structs of plain values, without I/O and without the ORM. A dialect *decodes* a
client's body into a ``Request`` and *encodes* a ``Request`` for an upstream; between
them nothing belongs to a vendor. What a dialect does not know is kept (``Unknown``,
``ext``) until the encoder that could use it decides; whatever an encoder leaves behind
is named as a ``Loss``.

Source: reference wire 5.1.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import msgspec

Authority: TypeAlias = Literal["system", "developer"]
Role: TypeAlias = Literal["user", "assistant", "tool", "instruction"]
MediaKind: TypeAlias = Literal["image", "audio", "video", "document"]
MediaSource: TypeAlias = Literal["base64", "url", "file_id", "text", "gs", "s3"]
ToolKind: TypeAlias = Literal["function", "custom", "server", "builtin"]
Effort: TypeAlias = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
EFFORTS: Final[tuple[Effort, ...]] = (
    "none",
    "minimal",
    "low",
    "medium",
    "high",
    "xhigh",
    "max",
)


class _Frozen(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The base of all neutral structs; equal when every field is."""


class CacheMark(_Frozen, frozen=True, kw_only=True):
    """Mark the end of a prefix an upstream should keep; ``ttl`` 5m or 1h."""

    ttl: str = "5m"


class Opaque(_Frozen, frozen=True, kw_only=True):
    """Hold proof of reasoning only its maker can read; never made up, never altered.

    Shapes:  ``family`` is who made it: anthropic | google | openai | bedrock | other;
             ``slot`` signature | encrypted | thought_signature | redacted. ``model`` and
             ``scope`` (a credential) bound it, blank when unknown.
    """

    family: str
    slot: str
    data: str
    model: str = ""
    scope: str = ""


class Citation(_Frozen, frozen=True, kw_only=True):
    """Point from a text to its source.

    Shapes:  ``start`` and ``end`` count characters of the text part; None = the whole
             part. ``ext`` keeps a vendor's own fields, as raw JSON by name.
    """

    kind: str = "url"
    url: str = ""
    title: str = ""
    cited_text: str = ""
    start: int | None = None
    end: int | None = None
    ext: dict[str, msgspec.Raw] = {}


class Text(_Frozen, frozen=True, kw_only=True):
    """Hold visible text."""

    text: str
    citations: tuple[Citation, ...] = ()
    cache: CacheMark | None = None


class Media(_Frozen, frozen=True, kw_only=True):
    """Hold or point to an image, a sound, a film or a document.

    Shapes:  ``data`` is base64 without prefix, a URL, a file id or plain text, as
             ``source`` says. ``media_type`` blank = unknown.
    """

    kind: MediaKind
    source: MediaSource
    data: str
    media_type: str = ""
    name: str = ""
    title: str = ""
    context: str = ""
    detail: str = ""
    cites: bool = False
    cache: CacheMark | None = None
    ext: dict[str, msgspec.Raw] = {}


class Reasoning(_Frozen, frozen=True, kw_only=True):
    """Hold what a model thought: words, proof, or proof alone.

    Shapes:  ``kind`` full | summary. ``is_redacted`` = there are no words to show.
             ``item_id`` is the id of a Responses item.
    """

    text: str = ""
    kind: Literal["full", "summary"] = "full"
    opaque: tuple[Opaque, ...] = ()
    is_redacted: bool = False
    item_id: str = ""


class ToolCall(_Frozen, frozen=True, kw_only=True):
    """Hold a call a model made.

    Shapes:  ``arguments`` is raw JSON for functions (blank = none given) and raw text
             for custom tools; it is never parsed and written again. ``id`` blank = the
             dialect gave none. ``opaque`` is proof that sits on the call (Gemini).
    """

    name: str
    arguments: str = ""
    id: str = ""
    kind: ToolKind = "function"
    namespace: str = ""
    item_id: str = ""
    opaque: tuple[Opaque, ...] = ()
    cache: CacheMark | None = None


class Refusal(_Frozen, frozen=True, kw_only=True):
    """Hold a model's refusal in words."""

    text: str
    category: str = ""


class Unknown(_Frozen, frozen=True, kw_only=True):
    """Keep a part nobody here understands, as raw JSON of the dialect it came from."""

    dialect: str
    type: str
    payload: msgspec.Raw


ResultPart: TypeAlias = Text | Media | Unknown


class ToolResult(_Frozen, frozen=True, kw_only=True):
    """Answer a call.

    Shapes:  ``call_id`` blank = the dialect matches by ``name`` and order. ``json``
             is the answer as one JSON object where the dialect gave an object.
    """

    call_id: str = ""
    content: tuple[ResultPart, ...] = ()
    is_error: bool = False
    name: str = ""
    kind: ToolKind = "function"
    json: msgspec.Raw | None = None
    cache: CacheMark | None = None


Part: TypeAlias = Text | Media | Reasoning | ToolCall | ToolResult | Refusal | Unknown


class Turn(_Frozen, frozen=True, kw_only=True):
    """Hold one turn of the conversation.

    Shapes:  a ``tool`` turn holds ToolResult parts only, and all results of the turn
             before it; an ``instruction`` turn is system text in the middle.
             ``phase`` and ``id`` are those of a Responses message.
    """

    role: Role
    parts: tuple[Part, ...]
    authority: Authority = "system"
    name: str = ""
    id: str = ""
    phase: str = ""


class Tool(_Frozen, frozen=True, kw_only=True):
    """Offer a tool.

    Shapes:  ``schema`` is raw JSON schema, None = no parameters. ``kind`` custom takes
             free text, ``format`` (raw JSON) may bound it; server and builtin tools are
             run elsewhere and known by ``type``, with all they said in ``payload``.
             ``namespace`` groups tools of the Responses dialect.
    """

    kind: ToolKind
    name: str
    description: str = ""
    schema: msgspec.Raw | None = None
    strict: bool | None = None
    format: msgspec.Raw | None = None
    type: str = ""
    namespace: str = ""
    dialect: str = ""
    payload: msgspec.Raw | None = None
    cache: CacheMark | None = None
    is_deferred: bool = False


class ToolChoice(_Frozen, frozen=True, kw_only=True):
    """Bound what a model may call.

    Shapes:  ``mode`` auto | none | any | one | subset; ``names`` for the last two.
             ``parallel`` None = the client did not say.
    """

    mode: Literal["auto", "none", "any", "one", "subset"] = "auto"
    names: tuple[str, ...] = ()
    is_required: bool = False
    parallel: bool | None = None


class Sampling(_Frozen, frozen=True, kw_only=True):
    """Bound how a model chooses its words; None = the client did not say."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    repeat_penalty: float | None = None
    seed: int | None = None
    n: int | None = None
    stop: tuple[str, ...] = ()
    logit_bias: msgspec.Raw | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None


class Thinking(_Frozen, frozen=True, kw_only=True):
    """Bound how a model reasons.

    Shapes:  ``mode`` off | effort | budget | adaptive; ``effort`` may come with
             adaptive. ``show`` none | auto | concise | detailed | full.
    Units:   ``budget`` in tokens.
    """

    mode: Literal["off", "effort", "budget", "adaptive"] = "effort"
    effort: str = ""
    budget: int | None = None
    show: str = ""


class OutputFormat(_Frozen, frozen=True, kw_only=True):
    """Bound the form of the answer; ``schema`` is raw JSON schema."""

    kind: Literal["text", "json", "schema", "enum"] = "text"
    name: str = ""
    description: str = ""
    schema: msgspec.Raw | None = None
    strict: bool | None = None


class State(_Frozen, frozen=True, kw_only=True):
    """Refer to state kept by a vendor."""

    previous_id: str = ""
    conversation: str = ""
    store: bool | None = None
    background: bool = False
    include: tuple[str, ...] = ()


class Loss(_Frozen, frozen=True, kw_only=True):
    """Name something a translation could not carry over.

    Shapes:  ``field`` is the client's own name for it; ``action`` drop | fold | clamp |
             emulate.
    """

    field: str
    action: Literal["drop", "fold", "clamp", "emulate"] = "drop"
    detail: str = ""

    @property
    def word(self) -> str:
        """Return the short form for headers and records: ``field:action``."""
        return f"{self.field}:{self.action}"


class Request(_Frozen, frozen=True, kw_only=True):
    """Hold a whole generation request.

    Shapes:  ``instructions`` are the leading ones, each an instruction turn, in order.
             ``max_output`` counts reasoning too; ``max_output_field`` is the client's
             spelling. ``ext`` holds top-level fields of ``dialect`` nobody here
             understands, as raw JSON; an encoder of the same dialect sends them on.
             ``losses`` name what taking it apart already left behind.
    """

    dialect: str
    model: str
    instructions: tuple[Turn, ...] = ()
    turns: tuple[Turn, ...] = ()
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    sampling: Sampling = Sampling()
    max_output: int | None = None
    max_output_field: str = ""
    thinking: Thinking | None = None
    output: OutputFormat | None = None
    verbosity: str = ""
    modalities: tuple[str, ...] = ()
    cache_key: str = ""
    cache: CacheMark | None = None
    state: State | None = None
    stream: bool = False
    include_usage: bool = False
    end_user: str = ""
    metadata: dict[str, str] = {}
    service_tier: str = ""
    is_legacy: bool = False
    ext: dict[str, msgspec.Raw] = {}
    losses: tuple[Loss, ...] = ()
