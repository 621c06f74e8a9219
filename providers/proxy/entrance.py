"""Room 3 and 4 together: choose who is asked first, and take what that needs.

A budget that cannot pay the first candidate may pay another: a cheaper one, or one that
costs nothing. So money, unlike a rate, refuses only when no candidate fits.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from providers.formats.base import ChatRequest
from providers.proxy import admit, nobody, plan
from providers.proxy.admit import Admitter
from providers.proxy.background import Background
from providers.proxy.call import Call
from providers.proxy.detours import Detours
from providers.proxy.errors import LimitReachedError
from providers.proxy.exchange import Candidate
from providers.proxy.plan import OVER_BUDGET, Plan, PlanRules
from providers.proxy.ports import Parts, Resolution
from providers.proxy.scopes import ScopeBook
from providers.proxy.wishes import way_of_call
from providers.routing.lineups import line_up
from providers.routing.order import Lineup
from providers.routing.sticky import Session, Sessions
from providers.routing.types import Way, mark_of

_RENEW_S: Final = 20.0
_BUDGET: Final = "budget"
_KEPT: Final = "session stays where it was served last, not a fallback"


class Entrance:
    """Let calls in; one object a process."""

    __slots__ = (
        "_admitter",
        "_background",
        "_detours",
        "_parts",
        "_rules",
        "_scopes",
        "sessions",
    )

    def __init__(
        self,
        parts: Parts,
        rules: PlanRules,
        scopes: ScopeBook,
        admitter: Admitter,
        background: Background,
        detours: Detours,
    ) -> None:
        self._parts = parts
        self._rules = rules
        self._scopes = scopes
        self._admitter = admitter
        self._background = background
        self._detours = detours
        self.sessions = Sessions()

    async def admitted(self, call: Call, found: Resolution) -> Candidate:
        """Choose the first candidate and take what it needs, before anything is sent.

        Errors:  ProxyError: nobody may or can be asked, or a limit is reached.
        """
        request, caller = call.request, call.caller
        limited = call.limited = self._scopes.of(
            caller, call.snapshot, call.recorder.session
        )
        way = way_of_call(call)
        wish = plan.Wish(
            call.inbound.wire,
            request.model,
            needs_price=admit.needs_price(limited, call.settings),
            needs=request.needs,
            op=call.inbound.op,
            runs_programs=call.settings.cli_providers,
            exclude=way.exclude,
            mode=way.mode,
        )
        lineup = self._lined_up(call, found, way)
        ways = call.plan = Plan(lineup, caller, wish, self._rules)
        call.has_alternatives = len(lineup) > 1
        candidate = ways.next() or self._detours.while_resting(call)
        if candidate is None:
            raise nobody.nothing_left(ways, request.model, way.mode)
        ways = call.plan
        # What follows may wait, and only one may try who was cooling.
        self._parts.health.begin(candidate.route)
        tokens = admit.estimate(request)
        request.input_estimate_tokens = tokens
        call.recorder.estimate(tokens)
        now = self._parts.clock.monotonic()
        try:
            await self._admit(call, request, candidate, tokens)
        except LimitReachedError as error:
            self._parts.health.release(candidate.route)
            if error.limit != _BUDGET:
                raise
            candidate = await self._affordable(call, ways, candidate, error)
        if call.admission is not None and call.admission.ticket is not None:
            call.watch.on_beat(partial(self._background.renew, call), _RENEW_S)
            call.limit_headers = await self._admitter.headers(limited, now)
        return candidate

    def served(self, call: Call, candidate: Candidate) -> None:
        """Remember who served the session of a call, for its next request."""
        session = _session(call)
        if session is not None and call.settings.routing.sticky_s > 0:
            now = self._parts.clock.monotonic()
            self.sessions.note(session, mark_of(candidate.route), now)

    def _lined_up(self, call: Call, found: Resolution, way: Way) -> Lineup:
        """Order the routes of a call; a session stays where it was served last."""
        call.recorder.chosen(way.strategy, way.mode)
        parts, kept = self._parts, None
        now = parts.clock.monotonic()
        session = _session(call)
        if session is not None:
            kept = self.sessions.last(session, now, call.settings.routing.sticky_s)
        lineup = line_up(
            found, way, found.take_turn(), pulse=parts.pulse, now=now, kept=kept
        )
        if kept is not None and not way.prefer and lineup.order.tier(kept):
            call.note(_KEPT)
        return lineup

    async def _affordable(
        self, call: Call, ways: Plan, refused: Candidate, error: LimitReachedError
    ) -> Candidate:
        """Find a candidate the budgets can pay after the first one was too dear.

        Errors:  the refusal of the first when there is none.
        """
        ways.skip(refused, OVER_BUDGET)
        tokens = call.request.input_estimate_tokens or 0
        least = self._needed(call, refused, tokens)
        following = ways.next()
        while following is not None:
            needed = self._needed(call, following, tokens)
            # Who costs as much as one that did not fit is not worth another question.
            if needed < least:
                least = needed
                try:
                    await self._admit(call, call.request, following, tokens)
                except LimitReachedError as later:
                    if later.limit != _BUDGET:
                        raise
                else:
                    return following
            ways.skip(following, OVER_BUDGET)
            following = ways.next()
        raise error

    def _needed(self, call: Call, candidate: Candidate, tokens: int) -> int:
        key, settings = call.caller.key, call.settings
        sized = admit.size(call.request, candidate, key, settings, tokens)
        return sized.cost_nano_usd or 0

    async def _admit(
        self, call: Call, request: ChatRequest, candidate: Candidate, tokens: int
    ) -> None:
        limited = call.limited
        if limited is None:  # pragma: no cover - set before
            raise RuntimeError("Who calls is known before a call is admitted.")
        key, settings = call.caller.key, call.settings
        reservation = admit.size(request, candidate, key, settings, tokens)
        call.admission = await self._admitter.admit(
            call.inbound.request_id, limited, reservation, tokens
        )


def _session(call: Call) -> Session | None:
    """Name the session of a call for the model it asks for: caches are a model's own."""
    session = call.recorder.session
    if not session or call.caller.model_row is not None:
        return None
    return call.caller.key.id, f"{session}\n{call.request.model}"
