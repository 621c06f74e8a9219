"""Take a place where a provider or credential allows only so many calls.

Rates and parallel calls of providers and credentials live in the same store as those of
client keys: with Redis they are exact over all processes. Who has no such limit passes
for the price of a few comparisons.

A full candidate is passed over. When nobody else can serve, the call waits its turn in
a line, first come first served; a newcomer never overtakes a line. The length of a line
and the time in it are bounded, and a client that leaves leaves its line.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import count
from typing import Final

from msgspec import Struct

from poolsite.clock import Clock
from providers.proxy import record
from providers.proxy.background import Background
from providers.proxy.call import Call
from providers.proxy.errors import InternalError, ProxyError, UpstreamError
from providers.proxy.exchange import Candidate
from providers.proxy.ports import LimitStore
from providers.routing.types import RouteLike
from usage.limits.contract import Ask, LimitStoreError, Refusal, Scope, Used
from usage.limits.gcra import per_minute

AT_LIMIT: Final = "at_limit:"
_CONCURRENCY: Final = "concurrency"
RENEW_S: Final = 20.0
_POLL_S: Final = 0.25
_LEAST_S: Final = 0.01
_MOST_SCOPES: Final = 20_000
_numbers: Final = count(1)


class Full(Struct, frozen=True):
    """Say why a candidate takes nobody now.

    Shapes:  ``limit`` rpm | tpm | concurrency. ``retry_after_s`` None = when another
             call ends.
    """

    candidate: Candidate
    limit: str
    retry_after_s: float | None = None

    @property
    def reason(self) -> str:
        """Word it for the trail."""
        return AT_LIMIT + self.limit


class Waiter:
    """One call in line, at every place it waits for.

    Shapes:  ``held_by`` is the limit it met last; who comes later meets it too.
    """

    __slots__ = ("held_by", "keys", "turn")

    def __init__(self, keys: Sequence[str], held_by: Full) -> None:
        self.keys = tuple(dict.fromkeys(keys))
        self.held_by = held_by
        self.turn = asyncio.Event()


class Seats:
    """Give places and keep the lines for them; one object a process."""

    __slots__ = ("_background", "_clock", "_is_shared", "_lines", "_scopes", "_store")

    def __init__(
        self,
        store: LimitStore,
        clock: Clock,
        background: Background,
        *,
        is_shared: bool = False,
    ) -> None:
        self._store = store
        self._clock = clock
        self._background = background
        self._is_shared = is_shared
        self._lines: dict[str, deque[Waiter]] = {}
        self._scopes: dict[tuple[int, str, int], tuple[RouteLike, tuple[Scope, ...]]]
        self._scopes = {}

    async def take(
        self, call: Call, candidate: Candidate, waiter: Waiter | None = None
    ) -> Full | None:
        """Take a place for a call, None when it has one.

        Shapes:  ``waiter`` is whose turn it is; everybody else stands behind a line.
        Fails:   open: these are rates, and a store that is away refuses nobody.
        """
        if not is_limited(candidate):
            return None
        scopes = self._scopes_of(candidate)
        if waiter is None:
            for scope in scopes:
                if line := self._lines.get(scope.key):
                    first = line[0].held_by
                    return Full(candidate, first.limit, first.retry_after_s)
        ask = Ask(
            ticket_id=f"{call.inbound.request_id}~{next(_numbers)}",
            scopes=scopes,
            tokens=_tokens(call, scopes),
        )
        try:
            answer = await self._store.acquire(ask)
        except LimitStoreError:
            return None
        if isinstance(answer, Refusal):
            is_parallel = answer.limit == _CONCURRENCY
            wait_s = None if is_parallel else answer.retry_after_s
            return Full(candidate, answer.limit, wait_s)
        call.seat, call.before_seat = answer, call.attempt
        call.watch.on_beat(partial(self._background.renew, call), RENEW_S)
        return None

    async def leave(self, call: Call) -> None:
        """Give back the place of a call, if it has one, and wake who is next.

        What no call was sent for gives its rates back too.
        """
        ticket, call.seat = call.seat, None
        if ticket is None:
            return
        attempt = call.attempt
        is_own = attempt is not None and attempt is not call.before_seat
        happened = is_own and attempt is not None and attempt.tally.is_sent
        settle = record.settle_limits
        if self._is_shared:
            settle = record.shielded_settle
        try:
            await settle(self._store, ticket, _used(call), happened=happened)
        finally:
            for scope in ticket.ask.scopes:
                self._wake(scope.key)

    async def wait(self, call: Call, full: Sequence[Full]) -> Candidate | None:
        """Wait in line until one of these candidates has a place for the call.

        Fails:   None when the lines are full or the time for waiting is over.
        """
        routing = call.settings.routing
        keys = [s.key for each in full for s in self._scopes_of(each.candidate)]
        longest = max(len(self._lines.get(key, ())) for key in keys)
        if longest >= routing.queue_length or routing.queue_wait_s <= 0:
            return None
        waiter = Waiter(keys, full[0])
        for key in waiter.keys:
            self._lines.setdefault(key, deque()).append(waiter)
        call.watch.rest()
        began = self._clock.monotonic()
        try:
            return await self._turn(call, waiter, full, routing.queue_wait_s)
        finally:
            call.waited_s += self._clock.monotonic() - began
            self._step_out(waiter)

    async def _turn(
        self, call: Call, waiter: Waiter, full: Sequence[Full], within_s: float
    ) -> Candidate | None:
        now = asyncio.get_running_loop().time
        end = now() + within_s
        options = {id(each.candidate): each for each in full}
        while True:
            for each in list(options.values()):
                if not self._is_first(waiter, each.candidate):
                    continue
                still = await self.take(call, each.candidate, waiter)
                if still is None:
                    return each.candidate
                options[id(each.candidate)] = waiter.held_by = still
            left = end - now()
            if left <= 0:
                return None
            waiter.turn.clear()
            pause_s = min(left, self._next_look_s(waiter, options.values()))
            try:
                async with asyncio.timeout(pause_s):
                    await waiter.turn.wait()
            except TimeoutError:
                continue

    def _next_look_s(self, waiter: Waiter, options: Iterable[Full]) -> float:
        """Return when to look again without being told.

        A rate frees itself at a known moment. A place held by another process is given
        back without a word.
        """
        looks = [_POLL_S] if self._is_shared else [math.inf]
        for each in options:
            if each.retry_after_s is not None and self._is_first(
                waiter, each.candidate
            ):
                looks.append(max(each.retry_after_s, _LEAST_S))
        return min(looks)

    def _is_first(self, waiter: Waiter, candidate: Candidate) -> bool:
        for scope in self._scopes_of(candidate):
            line = self._lines.get(scope.key)
            if line and line[0] is not waiter:
                return False
        return True

    def _step_out(self, waiter: Waiter) -> None:
        """Leave every line; whoever stood behind may be first now."""
        for key in waiter.keys:
            line = self._lines.get(key)
            if line is None:
                continue
            line.remove(waiter)
            if not line:
                del self._lines[key]
        for key in waiter.keys:
            self._wake(key)

    def _wake(self, key: str) -> None:
        line = self._lines.get(key)
        if line:
            line[0].turn.set()

    def waiting(self) -> int:
        """Count the calls in line."""
        return len({id(each) for line in self._lines.values() for each in line})

    def _scopes_of(self, candidate: Candidate) -> tuple[Scope, ...]:
        route = candidate.route
        provider, credential = route.provider, route.credential
        name = ("", 0) if credential is None else (credential.kind, credential.id)
        place = (provider.id, *name)
        known = self._scopes.get(place)
        if known is not None:
            old = known[0]
            if old.provider is provider and old.credential is credential:
                return known[1]
        scopes = tuple(_scopes(route))
        if len(self._scopes) >= _MOST_SCOPES:
            self._scopes.clear()
        self._scopes[place] = (route, scopes)
        return scopes


def is_limited(candidate: Candidate) -> bool:
    """Tell whether a candidate allows only so many calls."""
    provider, credential = candidate.route.provider, candidate.route.credential
    if (
        provider.concurrency is not None
        or provider.rpm is not None
        or provider.tpm is not None
    ):
        return True
    return credential is not None and (
        credential.concurrency is not None
        or credential.rpm is not None
        or credential.tpm is not None
    )


def nobody_free(full: Sequence[Full], model: str) -> ProxyError:
    """Word that everybody who could serve is at a limit of the pool's own."""
    waits = [each.retry_after_s for each in full if each.retry_after_s is not None]
    if len(waits) == len(full) and waits:
        wait_s = max(1.0, min(waits))
        return UpstreamError(
            f"Every provider of '{model}' is at its rate limit; try again in "
            f"{math.ceil(wait_s)} s.",
            status=429,
            code="rate_limit_exceeded",
            retry_after_s=wait_s,
        )
    return InternalError(
        f"Every provider of '{model}' has as many calls as it may; try again shortly.",
        status=503,
        code="no_capacity",
        retry_after_s=max(1.0, min(waits, default=1.0)),
    )


def _scopes(route: RouteLike) -> list[Scope]:
    """Make the scopes of a route, narrowest first; only those with a limit."""
    provider, credential = route.provider, route.credential
    found = []
    if credential is not None:
        name = f"credential:{credential.kind}:{credential.id}"
        found.append(
            _scope(name, credential.rpm, credential.tpm, credential.concurrency)
        )
    name = f"provider:{provider.id}"
    found.append(_scope(name, provider.rpm, provider.tpm, provider.concurrency))
    return [each for each in found if each.rpm or each.tpm or each.concurrency]


def _scope(key: str, rpm: int | None, tpm: int | None, calls: int | None) -> Scope:
    return Scope(
        key=key,
        rpm=None if rpm is None else per_minute(max(1, rpm)),
        tpm=None if tpm is None else per_minute(max(1, tpm)),
        concurrency=None if calls is None else max(1, calls),
    )


def _tokens(call: Call, scopes: tuple[Scope, ...]) -> int:
    """Return what a call may use; one larger than a whole minute takes all of it."""
    admission = call.admission
    if admission is None:
        return 0
    tokens = admission.input_estimate_tokens + admission.output_reserved_tokens
    bursts = [scope.tpm.burst for scope in scopes if scope.tpm is not None]
    return min(tokens, *bursts) if bursts else tokens


def _used(call: Call) -> Used:
    """Return what the attempt used, as far as the vendor said so."""
    attempt, failure = call.attempt, call.failure
    usage = None if attempt is None else attempt.tally.usage
    if usage is not None:
        return Used(tokens=usage.total_tokens)
    return Used(tokens=0 if failure is not None and failure.status else None)
