"""Choose who is asked next: planned, not full, and within the budgets."""

from __future__ import annotations

from typing import Final

from providers.proxy import admit
from providers.proxy.admit import Admitter
from providers.proxy.call import Call
from providers.proxy.exchange import Candidate, Failure
from providers.proxy.plan import OVER_BUDGET
from providers.proxy.ports import Parts
from providers.proxy.seats import Full, Seats
from providers.proxy.verdict import LARGER

_TOO_SMALL: Final = "context_too_small"


class Chooser:
    """Give candidates a place and money; one object a process."""

    __slots__ = ("_admitter", "_parts", "_seats")

    def __init__(self, parts: Parts, admitter: Admitter, seats: Seats) -> None:
        self._parts = parts
        self._admitter = admitter
        self._seats = seats

    async def seated(
        self, call: Call, full: list[Full], failure: Failure | None = None
    ) -> Candidate | None:
        """Return the next candidate that has a place and fits the budgets.

        Shapes:  who is only full is added to ``full``.
        """
        while True:
            following = self._planned(call)
            if following is None:
                return None
            plan = call.plan
            if plan is None:  # pragma: no cover - it just gave a candidate
                return None
            is_too_long = failure is not None and failure.scope == LARGER
            if is_too_long and not _is_larger(call, following, call.failed[-1][0]):
                plan.skip(following, _TOO_SMALL)
                continue
            health = self._parts.health
            # What follows may wait, and only one may try who was cooling.
            health.begin(following.route)
            taken = await self._seats.take(call, following)
            if taken is not None:
                plan.skip(following, taken.reason)
                full.append(taken)
            elif await self.pays(call, following):
                return following
            else:
                plan.skip(following, OVER_BUDGET)
                await self._seats.leave(call)
            health.release(following.route)

    def _planned(self, call: Call) -> Candidate | None:
        """Return who comes next: of the plan, or of those a rule led away from."""
        ahead, call.ahead = call.ahead, None
        if ahead is not None and call.plan is not None:
            # What happened since may speak against it.
            ahead = call.plan.recheck(ahead)
            if ahead is not None:
                return ahead
        while call.plan is not None:
            following = call.plan.next()
            if following is not None:
                return following
            if call.set_aside is not None and call.later:
                aside, call.set_aside = call.set_aside, None
                own = call.later[0]
                own.follow(call.plan)
                following = own.recheck(aside)
                if following is not None:
                    return following
            if not call.later:
                return None
            earlier = call.later.pop()
            earlier.follow(call.plan)
            call.plan = earlier
        return None

    async def after_waiting(self, call: Call, full: list[Full]) -> Candidate | None:
        """Wait in line for one of those who are only full."""
        began = self._parts.clock.monotonic()
        following = await self._seats.wait(call, full)
        waited_ms = round((self._parts.clock.monotonic() - began) * 1000)
        if following is None:
            call.note(f"waited {waited_ms} ms for a free place in vain")
            return None
        call.note(f"waited {waited_ms} ms for a free place")
        is_free = self._parts.health.cooling(following.route) is None
        if is_free and await self.pays(call, following):
            return following
        await self._seats.leave(call)
        return None

    def has_another(self, call: Call) -> bool:
        """Tell whether somebody else could be asked; whoever it is keeps that turn."""
        if call.ahead is None and call.plan is not None:
            call.ahead = call.plan.next()
        return call.ahead is not None or call.set_aside is not None

    async def afford(self, call: Call, candidate: Candidate) -> bool:
        """Take a place at a candidate, and reserve what it may cost."""
        if await self._seats.take(call, candidate) is not None:
            return False
        if await self.pays(call, candidate):
            return True
        await self._seats.leave(call)
        return False

    async def seat(self, call: Call, candidate: Candidate) -> bool:
        """Take a place at one that is paid for, in line where it is full."""
        taken = await self._seats.take(call, candidate)
        return taken is None or await self._seats.wait(call, [taken]) is not None

    async def pays(self, call: Call, candidate: Candidate) -> bool:
        """Reserve what the next candidate may cost beside what was spent."""
        admission, limited = call.admission, call.limited
        if admission is None or limited is None:  # pragma: no cover - admitted before
            return False
        reservation = admit.size(
            call.request,
            candidate,
            call.caller.key,
            call.settings,
            admission.input_estimate_tokens,
        )
        spent = call.recorder.spent_nano + call.unsettled_nano()
        changed = await self._admitter.change(
            admission, limited, spent_nano=spent, reservation=reservation
        )
        if changed is None:
            return False
        call.admission = changed
        return True


def _is_larger(call: Call, following: Candidate, failed: Candidate) -> bool:
    """Tell whether a model is known to hold more than the one that was too small."""
    window = following.route.model.context_window
    if window is None:
        return False
    old = failed.route.model.context_window
    if old is None:
        return window > (call.request.input_estimate_tokens or 0)
    return window > old
