"""Close a call: settle its books, then tell the client; part of the pipeline."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from providers.proxy import heads, record, verdict
from providers.proxy import watch as watches
from providers.proxy.billing import Attempt
from providers.proxy.bodies import hand_over
from providers.proxy.call import Call
from providers.proxy.errors import (
    CLIENT_CLOSED_STATUS,
    ClientError,
    ClientGoneError,
    InternalError,
    LimitReachedError,
    ProxyError,
    UnauthenticatedError,
    UpstreamError,
)
from providers.proxy.exchange import Failure, Headers, Inbound, Outcome
from providers.proxy.ports import Parts
from providers.proxy.reply import Reply
from providers.proxy.throttle import StrangerTable
from providers.proxy.verdict import LARGER, REQUEST
from providers.proxy.watch import Watch
from usage.journal import records

_LATE: Final = {
    watches.FIRST_BYTE: "first byte",
    watches.FIRST_EVENT: "first token",
    watches.ATTEMPT: "whole answer",
}
_log: Final = logging.getLogger("providers.proxy")


class Closing:
    """End calls; one object a process."""

    __slots__ = ("_parts", "_strangers")

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._strangers = StrangerTable()

    async def served(self, call: Call, attempt: Attempt, status: int) -> None:
        """Settle a call whose answer is whole; its last byte has not left yet."""
        candidate = attempt.candidate
        call.recorder.facts(self._parts.health.report(candidate.route, "ok"))
        call.decision = records.SERVED
        await self._close(call, Outcome(status, records.OK, "", candidate))

    async def refused(self, call: Call, error: ProxyError) -> None:
        """Settle a call that ends in an error, and tell the client."""
        if call.attempt is not None and call.failure is None:
            call.failure = verdict.broken(error.code)
        outcome = _outcome(call, error)
        await self._close(call, Outcome(error.status, outcome, error.code))
        await self._tell(call, error)

    async def interrupted(self, call: Call, reason: str) -> None:
        """End a call whose own watch stopped it outside an attempt."""
        try:
            interruption(reason)
        except ClientGoneError as error:
            await self.gone(call, error.reason)
        except ProxyError as error:
            await self.refused(call, error)

    async def gone(self, call: Call, reason: str) -> None:
        """Settle a call whose client left; what it used is billed all the same."""
        outcome = Outcome(CLIENT_CLOSED_STATUS, records.CLIENT_CLOSED, reason)
        await self._close(call, outcome)

    async def told(self, call: Call, body: bytes, content_type: str = "") -> None:
        """Answer a call that makes no use of a model; nothing is recorded of it."""
        call.recorder.is_closed = True
        call.reply.copy = None
        own: Headers = [(b"x-pool-request-id", call.request_id)]
        head = heads.json_head(own, content_type)
        await call.reply.whole(200, head, body)

    async def release(self, call: Call) -> None:
        """Give the limits back what was not used, whatever else happened."""
        hand_over(self._parts.bodies, call)
        admission = call.admission
        if admission is None or admission.ticket is None:
            return
        parts, recorder = self._parts, call.recorder
        settle = record.settle_limits
        if parts.limits_are_shared:
            settle = record.shielded_settle
        await settle(
            parts.limits,
            admission.ticket,
            recorder.used(),
            happened=recorder.attempts > 0,
        )

    async def stranger(
        self, inbound: Inbound, reply: Reply, watch: Watch, error: ProxyError
    ) -> None:
        """Refuse somebody we do not know: counted, limited, not recorded."""
        if isinstance(error, UnauthenticatedError):
            self._parts.metrics.stranger_refused(error.code)
            now = self._parts.clock.monotonic()
            wait_s = self._strangers.retry_after(inbound.peer, now)
            if wait_s is not None:
                error = UnauthenticatedError(
                    "Too many requests without a valid API key.",
                    status=429,
                    code="too_many_failures",
                    retry_after_s=wait_s,
                )
        try:
            await _send_error(inbound, reply, error, attempts=0)
        except ClientGoneError:
            return
        except asyncio.CancelledError:
            if watch.claim() is None:
                raise

    async def _close(self, call: Call, outcome: Outcome) -> None:
        """Write the settle and count it; a call closed before stays as it was."""
        recorder, attempt = call.recorder, call.attempt
        if recorder.is_closed:
            return
        if call.plan is not None and call.plan.skipped:
            recorder.note_skips(call.plan.skipped)
        parts = self._parts
        seconds = parts.clock.monotonic() - call.inbound.received_at
        if recorder.overhead_us is None:
            recorder.overhead_us = max(0, int((seconds - call.waited_s) * 1e6))
        if attempt is not None and not attempt.is_settled:
            ended = "" if call.failure is None else call.failure.outcome
            parts.metrics.attempt_finished(
                attempt.candidate.target.provider_slug,
                ended or outcome.outcome,
                seconds=parts.clock.monotonic() - attempt.started_at,
            )
            if attempt.tally.flags:
                parts.metrics.usage_flagged(
                    attempt.candidate.target.provider_slug, attempt.tally.flags
                )
        parts.metrics.request_finished(
            outcome,
            dialect=call.inbound.wire.id,
            is_stream=call.stream is not None,
            seconds=seconds,
        )
        if _log.isEnabledFor(logging.INFO):
            _log.info("request_finished", extra=_log_fields(call, outcome, seconds))
        await recorder.close(
            status=outcome.status,
            outcome=outcome.outcome,
            error_code=outcome.error_code,
            last=attempt,
            failure=call.failure,
            decision=call.decision,
        )
        if recorder.is_unpriced and attempt is not None:
            target = attempt.candidate.target
            parts.metrics.request_unpriced(target.provider_slug, target.upstream_model)

    async def _tell(self, call: Call, error: ProxyError) -> None:
        """Tell the client, inside its stream when that is already open."""
        if call.error_headers:
            error.headers = (*error.headers, *call.error_headers)
        if call.limit_headers and not error.headers:
            error.headers = tuple(call.limit_headers)
        attempts = call.recorder.attempts
        try:
            if not call.reply.is_started:
                await _send_error(call.inbound, call.reply, error, attempts=attempts)
            elif call.stream is not None and not call.reply.is_finished:
                if getattr(call.stream, "is_mute", False):
                    # An error has no words in there: the answer must lack its end.
                    return
                request_id = call.inbound.request_id
                frame = call.stream.error_frame(error.detail(), request_id=request_id)
                await call.reply.end(call.tail + frame)
        except ClientGoneError:
            return
        except asyncio.CancelledError:
            if call.watch.claim() is None:
                raise


async def _send_error(
    inbound: Inbound, reply: Reply, error: ProxyError, *, attempts: int
) -> None:
    """Send an error as a whole answer, in the dialect of the path."""
    request_id = inbound.request_id
    status, data = error.status, error.raw
    head = heads.error_head(request_id.encode("ascii"), error, attempts=attempts)
    if data is None:
        detail = error.detail()
        status, data = inbound.wire.build_error(status, detail, request_id=request_id)
        head += heads.dialect_headers(inbound.wire, status, detail)
    await reply.whole(status, head, data)


def interruption(reason: str) -> Failure:
    """Say what it means that the watch of a call interrupted it.

    Shapes:  a failure of the attempt, after which another may be made.
    Errors:  ClientGoneError, or the ProxyError that ends the call.
    """
    if reason in (watches.GONE, watches.CLIENT_STALL):
        raise ClientGoneError(reason)
    if reason == watches.TOTAL:
        raise UpstreamError(
            "The request took longer than the pool allows.",
            status=504,
            code="request_timeout",
        )
    if reason == watches.DRAINING:
        raise InternalError(
            "The pool is restarting.", status=503, code="draining", retry_after_s=1.0
        )
    return verdict.timed_out(_LATE.get(reason, "next event"))


def _outcome(call: Call, error: ProxyError) -> str:
    """Name the end of a call in the journal's words."""
    failure = call.failure
    if isinstance(error, ClientError | LimitReachedError) or failure is None:
        return records.REFUSED
    if failure.scope in (REQUEST, LARGER):
        return records.REFUSED
    return failure.outcome


def _log_fields(call: Call, outcome: Outcome, seconds: float) -> dict[str, object]:
    served = outcome.served_by
    return {
        "request_id": call.inbound.request_id,
        "outcome": outcome.outcome,
        "status": outcome.status,
        "code": outcome.error_code,
        "provider": "" if served is None else served.target.provider_slug,
        "model": "" if served is None else served.target.upstream_model,
        "attempts": call.recorder.attempts,
        "latency_ms": round(seconds * 1000, 1),
    }
