"""Make one choice of an answer that was split over several.

Some upstreams put a model's text into one choice and its calls into the next, where one
choice was asked for. Clients read the first one only and would lose the calls.

Source: reference wire 1.7.
"""

from __future__ import annotations

from msgspec.structs import replace

from providers.formats.base import ChatRequest, ResponseMeta
from providers.formats.neutral.codec import Codec, Decoder, Reply
from providers.formats.neutral.events import AnyEvent, End, Failed, Finish, PartOpen
from providers.formats.neutral.gather import gather
from providers.formats.neutral.relay import view_of
from providers.formats.neutral.repair import Repair


class OneChoice:
    """Join the choices of one answer; finishes wait until the answer ends."""

    __slots__ = ("_finish",)

    def __init__(self) -> None:
        self._finish: Finish | None = None

    def feed(self, events: list[AnyEvent]) -> list[AnyEvent]:
        """Take events, return those of one choice."""
        out: list[AnyEvent] = []
        for event in events:
            if isinstance(event, Finish):
                self._take(event)
                continue
            if isinstance(event, PartOpen) and event.choice:
                event = replace(event, choice=0)
            elif isinstance(event, End | Failed) and self._finish is not None:
                out.append(self._finish)
                self._finish = None
            out.append(event)
        return out

    def _take(self, finish: Finish) -> None:
        """Keep the finish that says most: calls, then whatever is no plain end."""
        known = self._finish
        if known is None or known.reason == "end" or finish.reason == "tool_calls":
            self._finish = replace(finish, choice=0)


class OneChoiceDecoder:
    """Decode a stream as if it had one choice."""

    __slots__ = ("_decoder", "_joined")

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self._joined = OneChoice()

    def feed(self, data: bytes) -> list[AnyEvent]:
        """Take bytes."""
        return self._joined.feed(self._decoder.feed(data))

    def eof(self) -> list[AnyEvent]:
        """Take the end."""
        return self._joined.feed(self._decoder.eof())


def joined_answer(
    codec: Codec, request: ChatRequest, meta: ResponseMeta
) -> ResponseMeta:
    """Return a whole chat completion with one choice where one was asked for."""
    if request.n != 1 or meta.body.count(b'"finish_reason"') < 2:
        return meta
    found = codec.decode_answer(meta.body, Reply(model=request.model))
    answer = gather(Repair().feed(OneChoice().feed(found)))
    if answer.error is not None or not answer.is_complete:
        return meta
    meta.body = codec.encode_answer(answer, view_of(request, codec))
    meta.finish_reasons = (answer.choices[0].finish.reason,)
    return meta
