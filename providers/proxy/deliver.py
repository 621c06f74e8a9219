"""Deliver a 2xx answer: whole or streamed, settled before its last byte leaves."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from poolsite.egress import EgressError, as_egress_error
from providers.formats.base import ResponseMeta
from providers.formats.taps import StreamTap
from providers.proxy import heads, stream, translate, verdict
from providers.proxy import watch as watches
from providers.proxy.aside import aside
from providers.proxy.billing import Attempt
from providers.proxy.call import Call
from providers.proxy.errors import ClientGoneError
from providers.proxy.exchange import AttemptFailedError, Headers, Tally, UpstreamCall
from providers.proxy.ports import Answer, Parts
from providers.proxy.watch import Watch

FULL: Final = "full"
_TRAILER_S: Final = 1.0

Rest = Callable[[Watch], Awaitable[None]]


class AbandonedError(ClientGoneError):
    """The client left an answer its provider wants read to the end.

    Shapes:  ``rest`` reads it, under a watch of its own.
    """

    def __init__(self, rest: Rest, answer: Answer) -> None:
        super().__init__("abandoned")
        self.rest = rest
        self.answer = answer


class Delivery:
    """Hand one attempt's answer to the client."""

    __slots__ = ("_answer", "_attempt", "_call", "_out", "_parts")

    def __init__(
        self,
        parts: Parts,
        call: Call,
        attempt: Attempt,
        *,
        out: UpstreamCall,
        answer: Answer,
    ) -> None:
        self._parts = parts
        self._call = call
        self._attempt = attempt
        self._out = out
        self._answer = answer

    async def whole(self, close: Callable[[], Awaitable[None]]) -> None:
        """Read a buffered answer, settle it with ``close``, send it.

        Errors:  AttemptFailedError while nothing has left; AbandonedError.
        """
        call, parts = self._call, self._parts
        asked_at = parts.clock.monotonic()
        try:
            meta = await self._read_whole(call.watch)
        except asyncio.CancelledError:
            self._raise_if_abandoned(self._read_rest_whole)
            raise
        now = parts.clock.monotonic()
        call.waited_s += now - asked_at
        self._attempt.tally.first_event_at = now
        await close()
        kind = meta.content_type
        if meta.keeps_type:
            kind = heads.kept_type(self._answer.headers.get("content-type", ""), kind)
        head = heads.json_head(self._head(), kind)
        body = translate.scrubber(self._out.marks)(meta.body)
        await call.reply.whole(self._answer.status, head, body)

    async def streamed(self, close: Callable[[], Awaitable[None]]) -> None:
        """Relay a stream from its first useful event on, settle, send its end.

        Errors:  AttemptFailedError (``call.is_useful`` tells whether something has
                 left); ClientGoneError; AbandonedError.
        """
        call, parts, attempt = self._call, self._parts, self._attempt
        tally = attempt.tally
        client_stream = call.stream
        if client_stream is None:  # pragma: no cover - the pipeline opened it
            raise RuntimeError("A stream is delivered into an opened client stream.")
        read = stream.reader(self._answer)
        tap = attempt.candidate.bridge.open_tap(
            call.request, self._out.sent, client_stream
        )
        gap_s = attempt.candidate.route.provider.timeouts.idle_s
        clean = translate.scrubber(self._out.marks)
        asked_at = parts.clock.monotonic()
        try:
            first = await stream.first_useful(
                read,
                tap,
                call.watch,
                gap_s=gap_s,
                now_s=parts.clock.time_ns() / 1e9,
            )
            first = clean(first)
            tally.first_event_at = parts.clock.monotonic()
            call.waited_s += tally.first_event_at - asked_at
            call.tail = first
            # On record before the client sees it: a killed process owes it as well.
            self._progress(tap)
            await self._open()
            last = await stream.relay(
                read,
                tap,
                call.reply,
                call.watch,
                first=first,
                gap_s=gap_s,
                clean=clean,
                on_progress=lambda: self._progress(tap),
            )
            call.tail = last
        except (ClientGoneError, asyncio.CancelledError):
            call.tail = b""
            stream.take_tally(tap, tally)
            self._raise_if_abandoned(lambda watch: self._read_rest(read, tap, watch))
            raise
        except AttemptFailedError:
            # The relay writes the first piece before it can fail; it has left.
            call.tail = b""
            stream.take_tally(tap, tally)
            raise
        self._finish(tap, tally)
        await close()
        call.tail = b""
        await call.reply.end(last)

    async def finish_reading(self) -> None:
        """Take the end of the upstream's body, so that its connection can be kept."""
        content = self._answer.content
        watch = self._call.watch
        if not content.at_eof():
            watch.expect(watches.IDLE, _TRAILER_S)
            with contextlib.suppress(EgressError), as_egress_error():
                await content.readany()
        self._answer.release()

    async def _open(self) -> None:
        """Send the head, unless a keep-alive already did."""
        call = self._call
        call.watch.listen_now()
        await call.reply.settle_pulse()
        call.is_useful = True
        if not call.reply.is_started:
            kind = self._answer.headers.get("content-type", "")
            head = heads.stream_head(self._head(), heads.stream_type(call, kind))
            await call.reply.start(self._answer.status, head)
        elapsed_s = self._parts.clock.monotonic() - call.inbound.received_at
        overhead_us = int((elapsed_s - call.waited_s) * 1e6)
        # Known now: later time passes while the upstream thinks.
        call.recorder.overhead_us = max(0, overhead_us)

    def _head(self) -> Headers:
        call, attempt = self._call, self._attempt
        is_same = attempt.candidate.wire is call.inbound.wire
        returned = translate.returned_headers(
            self._answer.headers, self._out, is_same=is_same
        )
        elapsed_s = self._parts.clock.monotonic() - call.inbound.received_at
        head = heads.answer_head(
            call.request_id,
            attempt.candidate,
            returned,
            attempts=attempt.number,
            overhead_s=max(0.0, elapsed_s - call.waited_s),
        )
        if attempt.losses:
            head.append(heads.loss_header(attempt.losses))
        return head + call.limit_headers if call.limit_headers else head

    def _finish(self, tap: StreamTap, tally: Tally) -> None:
        """Judge the end of a stream.

        Errors:  AttemptFailedError for one that broke off or reported an error.
        """
        stream.take_tally(tap, tally)
        if tap.error is not None:
            now_s = self._parts.clock.time_ns() / 1e9
            raise AttemptFailedError(verdict.judge_body(tap.error, now_s=now_s))
        if not tap.complete:
            raise AttemptFailedError(verdict.broken("the stream broke off"))
        tally.is_complete = True

    def _progress(self, tap: StreamTap) -> None:
        self._call.recorder.progress(self._attempt, tap.text_bytes, tap.out_bytes)

    async def _read_whole(self, watch: Watch) -> ResponseMeta:
        call, attempt = self._call, self._attempt
        body = await stream.read_whole(
            self._answer,
            watch,
            gap_s=attempt.candidate.route.provider.timeouts.idle_s,
            limit=call.settings.answer_limit_bytes,
            is_over=self._listener() if self._out.sent.is_stream else None,
        )
        if not self._answer.content.at_eof():
            self._answer.close()
        read = attempt.candidate.bridge.read_response
        work = partial(read, call.request, self._out.sent, body)
        meta = await aside(len(body), work)
        tally = attempt.tally
        tally.usage = meta.usage
        tally.flags = meta.flags
        tally.vendor_cost_nano_usd = meta.vendor_cost_nano_usd
        tally.service_tier = meta.service_tier
        tally.text_bytes = meta.text_bytes
        tally.out_bytes = len(meta.body)
        if meta.error is not None:
            now_s = self._parts.clock.time_ns() / 1e9
            raise AttemptFailedError(verdict.judge_body(meta.error, now_s=now_s))
        tally.is_complete = True
        return meta

    def _listener(self) -> Callable[[bytes], bool] | None:
        """Return what hears the end of a stream that is collected for its client.

        Some upstreams stream whatever was asked, and keep the connection open when
        they are done.
        """
        if "content-encoding" in self._answer.headers:
            return None
        call, attempt = self._call, self._attempt
        own = call.inbound.wire.open_stream(
            call.request, request_id=call.inbound.request_id
        )
        bridge = attempt.candidate.bridge
        tap = bridge.open_tap(call.request, self._out.sent, own)

        def is_over(part: bytes) -> bool:
            tap.feed(part)
            return tap.done or tap.error is not None

        return is_over

    def _raise_if_abandoned(self, rest: Rest) -> None:
        """Leave an answer to a drain when its provider bills it in full anyway."""
        provider = self._attempt.candidate.route.provider
        if provider.billing_on_abort == FULL and self._call.watch.gone:
            if self._call.watch.tripped is not None:
                self._call.watch.claim()
            raise AbandonedError(rest, self._answer)

    async def _read_rest(self, read: stream.Read, tap: StreamTap, watch: Watch) -> None:
        """Read a stream to its end for the meter only."""
        tally = self._attempt.tally
        try:
            await stream.relay(
                read,
                tap,
                stream.Nowhere(),
                watch,
                first=b"",
                gap_s=self._attempt.candidate.route.provider.timeouts.idle_s,
                clean=bytes,
                on_progress=lambda: self._progress(tap),
            )
            tally.is_complete = tap.complete
        finally:
            stream.take_tally(tap, tally)

    async def _read_rest_whole(self, watch: Watch) -> None:
        await self._read_whole(watch)
