"""Make events of an upstream's Responses stream, or of a whole answer.

Both ways end in the same reading of items, so a stream and the same answer whole give
the same parts and the same usage. What deltas already said is not said again by the
events that repeat it; what no delta said is taken from them.

Source: reference wire 1.2; P83 to P86.
"""

from __future__ import annotations

from typing import Any, Final

from providers.formats.base import UNREADABLE, is_bulky
from providers.formats.framings import SseSplitter, event_name
from providers.formats.neutral.codec import Reply
from providers.formats.neutral.events import (
    AnyEvent,
    End,
    Failed,
    Finish,
    FinishReason,
    Meta,
    Start,
    UsageSeen,
)
from providers.formats.neutral.repair import failed
from providers.formats.openai_chat.errors import is_error
from providers.formats.openai_responses.errors import read_failure
from providers.formats.openai_responses.output_in import Output
from providers.formats.openai_responses.usage import read_usage
from providers.formats.openai_responses.wire import (
    EVENT,
    UNSET,
    Response,
    StreamEvent,
    number,
    read_response,
    word,
)

_DONE: Final = b"[DONE]"
_TERMINALS: Final = frozenset(
    {"response.completed", "response.incomplete", "response.failed"}
)
_OPENINGS: Final = frozenset(
    {"response.created", "response.queued", "response.in_progress"}
)
_REASONS: Final[dict[str, FinishReason]] = {
    "max_output_tokens": "max_tokens",
    "max_messages": "max_tokens",
    "content_filter": "refusal",
}


class ResponsesDecoder:
    """Read one upstream stream; see ``codec.Decoder`` for the contract.

    Shapes:  events of other families (``codex.*``) and unknown ones say nothing; only
             a response that says it is over, or an error, ends the answer.
    Cost:    some 5 us for an event of text.
    """

    __slots__ = ("_output", "_over", "_splitter", "_started")

    def __init__(self, reply: Reply) -> None:
        self._splitter = SseSplitter()
        self._output = Output(reply)
        self._started = False
        self._over = False

    def feed(self, data: bytes) -> list[AnyEvent]:
        """Take bytes, return events."""
        return self._take(self._splitter.feed(data))

    def eof(self) -> list[AnyEvent]:
        """Take the end; an answer without its last event broke off."""
        return self._take(self._splitter.finish())

    def _take(self, frames: list[tuple[bytes, bytes | None]]) -> list[AnyEvent]:
        out: list[AnyEvent] = []
        for raw, payload in frames:
            if self._over:
                break
            if payload is not None and payload.strip() not in (b"", _DONE):
                self._event(raw, payload, out)
        return out

    def _event(self, raw: bytes, payload: bytes, out: list[AnyEvent]) -> None:
        try:
            event = EVENT.decode(payload)
        except UNREADABLE:
            self._over = True
            out.append(failed("The upstream sent an event that cannot be read."))
            return
        kind = event.type
        if not isinstance(kind, str):
            kind = (event_name(raw) or b"").decode("utf-8", "replace")
        if self._output.take(kind, event, out):
            return
        if kind in _TERMINALS or kind in _OPENINGS:
            self._response(kind, event, payload, out)
        elif kind == "error" or (not kind and is_error(event.error)):
            self._over = True
            out.append(Failed(error=read_failure(payload)))

    def _response(
        self, kind: str, event: StreamEvent, payload: bytes, out: list[AnyEvent]
    ) -> None:
        wire = read_response(event.response) or Response()
        if not self._started:
            self._started = True
            out.append(start(wire))
        if kind not in _TERMINALS:
            return
        self._over = True
        if kind == "response.failed":
            out += usage_seen(wire)
            out.append(Failed(error=read_failure(payload)))
            return
        self._output.rest(wire.output or [], out)
        if kind == "response.incomplete" and not word(wire.status):
            wire.status = "incomplete"
        out += ending(wire)


def decode_answer(body: bytes, reply: Reply) -> list[AnyEvent]:
    """Take a whole answer apart; see ``codec.Codec``."""
    wire = None if is_bulky(body) else read_response(body)
    if wire is None:
        return [failed("The upstream's answer is not a response object.")]
    if wire.status in ("failed", "cancelled") or _carries_error(wire):
        return [*usage_seen(wire), Failed(error=read_failure(body))]
    if wire.output is None and wire.object != "response":
        return [failed("The upstream's answer is not a response object.")]
    out: list[AnyEvent] = [start(wire)]
    Output(reply).rest(wire.output or [], out)
    return out + ending(wire)


def _carries_error(wire: Response) -> bool:
    return wire.error != UNSET and is_error(wire.error)


def start(wire: Response) -> Start:
    """Return the event that a response object opens an answer with."""
    return Start(
        id=word(wire.id),
        model=word(wire.model),
        created=number(wire.created_at),
        service_tier=word(wire.service_tier),
    )


def usage_seen(wire: Response) -> list[AnyEvent]:
    """Return the usage of a response object, if it has any."""
    read = read_usage(bytes(wire.usage))
    if read.usage is None:
        return []
    return [
        UsageSeen(
            usage=read.usage,
            flags=read.flags,
            vendor_cost_nano_usd=read.vendor_cost_nano_usd,
        )
    ]


def ending(wire: Response) -> list[AnyEvent]:
    """Return how an answer ended, with its usage and tier."""
    status = word(wire.status) or "completed"
    why: Any = None
    if wire.incomplete_details is not None:
        why = wire.incomplete_details.reason
    reason: FinishReason = "end"
    if status == "incomplete":
        reason = _REASONS.get(word(why), "max_tokens")
    events = usage_seen(wire)
    # Servers are seen that name the answer in its last event only.
    events.append(
        Meta(
            id=word(wire.id),
            model=word(wire.model),
            service_tier=word(wire.service_tier),
        )
    )
    events.append(Finish(reason=reason, raw=word(why) or status))
    events.append(End())
    return events
