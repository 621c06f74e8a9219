"""What goes on beside calls or after them: leases renewed, abandoned answers read."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Final

from providers.proxy import watch as watches
from providers.proxy.call import Call
from providers.proxy.closing import Closing
from providers.proxy.deliver import AbandonedError
from providers.proxy.exchange import AttemptFailedError
from providers.proxy.ports import Parts
from providers.proxy.watch import Watch
from usage.limits.contract import LimitStoreError, Ticket

_LONGEST_S: Final = 120.0
_MOST: Final = 64
_log: Final = logging.getLogger("providers.proxy")


class Background:
    """Tasks of the pipeline's own; one object a process.

    Shapes:  at most 64 answers are read on at a time, each for at most two minutes.
    """

    __slots__ = ("_closing", "_parts", "_tasks")

    def __init__(self, parts: Parts, closing: Closing) -> None:
        self._parts = parts
        self._closing = closing
        self._tasks: set[asyncio.Task[None]] = set()

    def renew(self, call: Call) -> None:
        """Extend the leases of a call that takes long."""
        admission = call.admission
        tickets = [None if admission is None else admission.ticket, call.seat]
        for ticket in tickets:
            if ticket is not None:
                work = self._renew(ticket)
                self._keep(asyncio.get_running_loop().create_task(work))

    def read_on(self, call: Call, left: AbandonedError) -> None:
        """Read an abandoned answer to its end, because it is billed anyway.

        The task closes the call's books when it is done.
        """
        call.is_detached = True
        self._keep(asyncio.get_running_loop().create_task(self._read(call, left)))

    async def finish(self, within_s: float) -> None:
        """Wait for what is still running, then cancel it; books are closed either way."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=within_s)
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=1.0)

    def _keep(self, task: asyncio.Task[None]) -> None:
        """Hold a task until it is done; the loop alone would forget it."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _renew(self, ticket: Ticket) -> None:
        with contextlib.suppress(LimitStoreError):
            await self._parts.limits.renew(ticket)

    async def _read(self, call: Call, left: AbandonedError) -> None:
        watch = Watch(_LONGEST_S)
        try:
            if len(self._tasks) <= _MOST:
                await left.rest(watch)
        except AttemptFailedError as error:
            _log.debug("abandoned_answer_failed", extra={"why": error.failure.reason})
        except asyncio.CancelledError:
            if watch.claim() is None:
                raise
        finally:
            watch.stop()
            left.answer.close()
            await self._closing.gone(call, watches.GONE)
            await self._closing.release(call)
