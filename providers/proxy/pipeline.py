"""The one file that knows the order of the rooms.

::

    authenticate -> read body -> read request -> plan -> admit
        -> for each candidate: translate -> record intent -> send -> deliver
        -> record settle -> settle limits

A candidate's failure leads to the next one until the client holds a useful byte; from
then on a fault is an error inside its stream. However a call ends, its books are closed
exactly once, and the client is told in its own dialect.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import Final

from poolsite.secret_type import Secret
from providers.formats.base import FormatError
from providers.proxy import (
    authenticate,
    body,
    desk,
    keepalive,
    nobody,
    plan,
    send,
    translate,
    verdict,
)
from providers.proxy import watch as watches
from providers.proxy.admit import Admitter
from providers.proxy.background import Background
from providers.proxy.billing import Attempt
from providers.proxy.call import Call
from providers.proxy.chooser import Chooser
from providers.proxy.closing import Closing, interruption
from providers.proxy.deliver import AbandonedError, Delivery
from providers.proxy.desk import Asking, Desk
from providers.proxy.detours import Detours
from providers.proxy.entrance import Entrance
from providers.proxy.errors import (
    ClientGoneError,
    InternalError,
    LimitReachedError,
    ProxyError,
)
from providers.proxy.exchange import (
    AttemptFailedError,
    Candidate,
    Failure,
    Inbound,
    Receive,
    Send,
    UpstreamCall,
)
from providers.proxy.exhausted import final_error
from providers.proxy.failover import Failover
from providers.proxy.fetch import Fetcher
from providers.proxy.lessons import Lessons
from providers.proxy.ports import Answer, Parts, Resolution, SnapshotPort
from providers.proxy.record import Recorder
from providers.proxy.reply import Reply
from providers.proxy.scopes import ScopeBook
from providers.proxy.seats import Seats
from providers.proxy.senses import Senses
from providers.proxy.signing import Signers
from providers.proxy.told import judged, redacted
from providers.proxy.watch import Watch
from providers.snapshot.types import SettingsRecord

_TOTAL_S: Final = 1800.0
_BUSY_RETRY_S: Final = 1.0
_DEFAULTS: Final = SettingsRecord()
_log: Final = logging.getLogger("providers.proxy")


class Pipeline:
    """Serve client calls; one object a process.

    Cost:  about 80 us of our own for a small JSON call with limits and journal.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._rules = plan.PlanRules(plan.Catalog(), parts.health, parts.clock)
        self._scopes = ScopeBook(parts.clock)
        admitter = Admitter(parts.limits)
        self.lessons = Lessons(parts.clock)
        self._recognition = authenticate.Recognition(parts.trust)
        self._vault = translate.Vault(parts.ring, parts.clock)
        self._sender = send.Sender(parts.client)
        self._closing = Closing(parts)
        self._background = Background(parts, self._closing)
        self._senses = Senses(parts)
        places = self._places = Seats(
            parts.limits,
            parts.clock,
            self._background,
            is_shared=parts.limits_are_shared,
        )
        self._chooser = Chooser(parts, admitter, places)
        detours = Detours(parts, self._rules, admitter, self._background)
        self._failover = Failover(
            parts,
            self.lessons,
            chooser=self._chooser,
            seats=places,
            senses=self._senses,
            detours=detours,
        )
        self._entrance = Entrance(
            parts, self._rules, self._scopes, admitter, self._background, detours
        )
        self._fetcher = Fetcher(parts.fetcher or parts.client)
        self._signers = Signers(parts.client, parts.clock)
        asking = Asking(
            self._scopes, admitter, self._vault, self._signers, self._sender
        )
        self._desk = Desk(parts, self._closing, self._rules, asking)
        self._running: set[Watch] = set()
        self.is_draining = False

    @property
    def in_flight(self) -> int:
        """Count the calls under way."""
        return len(self._running)

    @property
    def waiting(self) -> int:
        """Count those of them that stand in line for a place at an upstream."""
        return self._places.waiting()

    def cut(self) -> None:
        """End what is still running with an error: the process stops."""
        self.is_draining = True
        for watch in list(self._running):
            watch.trip(watches.DRAINING)

    async def finish(self, within_s: float) -> None:
        """Wait for answers that are read to their end without a client."""
        await self._background.finish(within_s)
        await self._sender.close()

    async def handle(self, inbound: Inbound, receive: Receive, reply_to: Send) -> None:
        """Serve one call from its key to its last byte; never raises for a fault."""
        snapshot = self._parts.snapshot()
        settings = _DEFAULTS if snapshot is None else snapshot.settings
        watch = Watch(_TOTAL_S)
        self._running.add(watch)
        reply = Reply(reply_to, watch, settings.client_stall_s)
        try:
            call = self._opened(inbound, snapshot, watch, reply)
            await self._serve(call, receive)
        except ProxyError as error:
            await self._closing.stranger(inbound, reply, watch, error)
        finally:
            self._running.discard(watch)
            watch.stop()

    def _opened(
        self,
        inbound: Inbound,
        snapshot: SnapshotPort | None,
        watch: Watch,
        reply: Reply,
    ) -> Call:
        """Find out who calls.

        Errors:  ProxyError: nobody we know, or no snapshot to know anybody by.
        """
        parts = self._parts
        if snapshot is None:
            raise InternalError(
                "The pool is starting.",
                status=503,
                code="starting",
                retry_after_s=_BUSY_RETRY_S,
            )
        caller = self._recognition.caller(inbound, snapshot)
        return Call(
            inbound,
            caller,
            snapshot=snapshot,
            watch=watch,
            reply=reply,
            recorder=Recorder(parts.journal, parts.clock, inbound, caller),
        )

    async def _serve(self, call: Call, receive: Receive) -> None:
        """Run the rooms and close the books, whatever happens."""
        closing = self._closing
        try:
            await self._run(call, receive)
        except AbandonedError as left:
            self._background.read_on(call, left)
        except ClientGoneError as error:
            await closing.gone(call, error.reason)
        except ProxyError as error:
            await closing.refused(call, error)
        except asyncio.CancelledError:
            reason = call.watch.claim()
            if reason is None:
                await closing.gone(call, "server_stopped")
                raise
            await closing.interrupted(call, reason)
        except Exception:  # noqa: BLE001 - the one door: books are closed for bugs too
            _log.exception("request_failed", extra={"id": call.inbound.request_id})
            fault = InternalError("The pool failed to serve this request.")
            await closing.refused(call, fault)
        finally:
            try:
                await self._failover.leave(call)
            finally:
                if not call.is_detached:
                    await closing.release(call)

    async def _run(self, call: Call, receive: Receive) -> None:
        """The order of the rooms."""
        inbound = call.inbound
        self._check_open(call)
        if inbound.op in desk.OPS:
            await self._desk.answer(call, receive)
            return
        data = await body.read_body(inbound, receive, call.settings, call.watch)
        call.watch.listen(receive)
        call.request = translate.read_request(inbound, data)
        call.recorder.describe(call.request, authenticate.late_session(inbound))
        found = nobody.resolve(call.snapshot, call.caller, call.request.model)
        first = await self._admitted(call, found)
        if call.request.stream:
            keepalive.open_stream(call)
        candidate: Candidate | None = await self._failover.first(call, first)
        while candidate is not None:
            failure = await self._attempt(call, candidate)
            if failure is None:
                self._scopes.served(call.limited, candidate.route.provider.slug)
                self._entrance.served(call, candidate)
                return
            candidate = await self._failover.next(call, candidate, failure)
        raise final_error(
            call.failed,
            inbound.wire,
            purpose=call.caller.purpose,
            wait_s=self._failover.wait_s(call),
            skipped=[] if call.plan is None else call.plan.passed_over(),
        )

    async def _admitted(self, call: Call, found: Resolution) -> Candidate:
        """Choose who is asked first, and take what that needs.

        Errors:  ProxyError: nobody may or can be asked, or a limit is reached.
        """
        try:
            return await self._entrance.admitted(call, found)
        except LimitReachedError as error:
            candidate = await self._failover.at_the_limit(call, error)
            if candidate is None:
                raise
            return candidate

    def _check_open(self, call: Call) -> None:
        """Refuse work this process cannot take now."""
        parts, settings = self._parts, call.settings
        if self.is_draining:
            code, words = "draining", "The pool is restarting."
        elif len(self._running) > settings.max_in_flight:
            code, words = "overloaded", "The pool is at its limit of parallel requests."
        elif not parts.journal.can_admit():
            code, words = "cannot_record", "The pool's disk is full."
        elif self._is_stale(call.snapshot):
            code, words = "snapshot_stale", "The pool's configuration is out of date."
        else:
            return
        raise InternalError(words, status=503, code=code, retry_after_s=_BUSY_RETRY_S)

    def _is_stale(self, snapshot: SnapshotPort) -> bool:
        limit_s = self._parts.snapshot_max_age_s
        return 0 < limit_s < self._parts.clock.time_ns() / 1e9 - snapshot.made_at

    async def _attempt(self, call: Call, candidate: Candidate) -> Failure | None:
        """Ask one candidate and deliver its answer; return how it failed, if it did.

        Errors:  ClientGoneError; ProxyError when the whole call is over.
        """
        admission = call.admission
        if admission is None:  # pragma: no cover - admitted before
            raise RuntimeError("A call is admitted before it is attempted.")
        call.attempt = call.failure = None
        secret: Secret | None = None
        try:
            opened = self._vault.open(candidate)
            secret = opened.secret
            out = await self._built(call, candidate, opened)
            number = call.recorder.attempts + 1
            default = call.settings.default_unpriced_price
            attempt = Attempt(number, candidate, admission, self._parts.clock, default)
            attempt.losses = out.sent.losses
            self._failover.begin(call, candidate)
            # Known before its intent is: whoever interrupts the wait for the disk
            # settles it all the same.
            call.attempt = attempt
            await call.recorder.begin(attempt)
            await self._exchange(call, attempt, out)
        except AttemptFailedError as error:
            failure = redacted(error.failure, secret)
        except asyncio.CancelledError:
            reason = call.watch.claim()
            if reason is None:
                raise
            if call.recorder.is_closed:
                # Served and settled: what still lingers says nothing about anybody.
                return None
            failure = interruption(reason)
        except (ProxyError, ClientGoneError):
            raise
        except Exception:
            if call.recorder.is_closed:
                raise
            # A bug of ours in reading one vendor must not keep the others from it.
            _log.exception("attempt_failed", extra={"id": call.inbound.request_id})
            failure = verdict.broken("the answer could not be read")
        else:
            self._failover.understood(call, candidate)
            return None
        call.failure = failure
        call.failed.append((candidate, failure))
        return failure

    async def _built(
        self, call: Call, candidate: Candidate, opened: translate.Opened
    ) -> UpstreamCall:
        """Word the request for one candidate.

        Errors:  AttemptFailedError when this upstream cannot express it; ProxyError.
        """
        refused = self.lessons.of(candidate) | call.taught
        try:
            await self._fetcher.fill(call, candidate)
            out = await translate.built_call(
                call.inbound, call.request, candidate, opened, refused=refused
            )
        except FormatError as error:
            raise AttemptFailedError(verdict.inexpressible(error)) from error
        call.sent = out.sent
        translate.bind_retries(out, call.caller.key.public_id)
        return await self._signers.signed(out)

    async def _exchange(self, call: Call, attempt: Attempt, out: UpstreamCall) -> None:
        """Send one call and deliver what comes back."""
        parts = self._parts
        route = attempt.candidate.route
        limits = route.provider.timeouts
        first_byte_s = limits.first_byte_s
        # An upstream that does not stream says nothing before it is done.
        if call.request.stream and (out.sent.is_stream or attempt.candidate.is_relay):
            if attempt.number == 1 and call.has_alternatives:
                first_byte_s = min(first_byte_s, call.settings.connect_deadline_s)
            soon_s = call.settings.routing.first_token_s
            if soon_s > 0 and self._chooser.has_another(call):
                call.watch.useful_within(soon_s)
        call.watch.end_within(limits.total_s)
        if route.model.timeout_s is not None:
            call.watch.attempt_within(route.model.timeout_s)
        asked_at = parts.clock.monotonic()
        answer = await self._sender.send(
            out, attempt.tally, call.watch, first_byte_s=first_byte_s
        )
        call.waited_s += parts.clock.monotonic() - asked_at
        try:
            if not 200 <= answer.status < 300:
                await self._fail(call, out, answer)
            attempt.tally.is_accepted = True
            delivery = Delivery(parts, call, attempt, out=out, answer=answer)
            close = partial(self._closing.served, call, attempt, answer.status)
            if call.request.stream:
                await delivery.streamed(close)
                await delivery.finish_reading()
            else:
                await delivery.whole(close)
            self._senses.served(attempt, answer.headers)
        except AbandonedError:
            raise
        except BaseException:
            answer.close()
            raise

    async def _fail(self, call: Call, out: UpstreamCall, answer: Answer) -> None:
        """Judge an answer that is an error.

        Errors:  AttemptFailedError, always.
        """
        now_s = self._parts.clock.time_ns() / 1e9
        failure = await judged(call, out, answer, now_s=now_s)
        if failure.kind == "auth":
            self._signers.forget(out.candidate)
        raise AttemptFailedError(failure)
