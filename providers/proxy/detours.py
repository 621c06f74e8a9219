"""Lead a call off its own candidates where a fallback rule says so.

Rules name their targets as ``provider/model``. A target is planned like any other name:
the client key must be allowed to use it under that very name, budgets must be able to
pay it, and who is cooling is passed over. What a rule did stands in the notes of the
request.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from msgspec.structs import replace

from providers.proxy import admit
from providers.proxy.admit import Admitter
from providers.proxy.background import Background
from providers.proxy.call import Again, Call
from providers.proxy.errors import LimitReachedError
from providers.proxy.exchange import Candidate, Failure
from providers.proxy.plan import COOLING, OVER_BUDGET, Plan, PlanRules
from providers.proxy.ports import Parts
from providers.proxy.scopes import Limited
from providers.proxy.seats import RENEW_S
from providers.routing import rules
from providers.routing.rules import Asked, Met
from providers.routing.types import Route, mark_of
from usage.journal import records
from usage.limits.contract import LimitStatus, LimitStoreError

_SESSION: Final = "session"
_OF_SESSION: Final = (b"x-pool-budget-scope", b"session")
_DECISIONS: Final = {
    rules.SWITCH_PROVIDER: records.SWITCH_PROVIDER,
    rules.SWITCH_MODEL: records.SWITCH_MODEL,
}


class Detours:
    """Apply the rules of the pool; one object a process."""

    __slots__ = ("_admitter", "_background", "_parts", "_plan_rules")

    def __init__(
        self,
        parts: Parts,
        plan_rules: PlanRules,
        admitter: Admitter,
        background: Background,
    ) -> None:
        self._parts = parts
        self._plan_rules = plan_rules
        self._admitter = admitter
        self._background = background

    async def before(self, call: Call, candidate: Candidate) -> bool:
        """Look at the rules that act before a call; tell whether one leads elsewhere.

        The plan of the call is then that of the rule's target; the candidate and its
        plan are set aside, for when the target fails.
        """
        listed = call.settings.routing.rules
        credential = candidate.route.credential
        funds = None if credential is None else credential.funds_nano_usd
        asked = _asked(call)
        while True:
            met = rules.for_low_funds(listed, asked, funds, call.rules_used)
            if met is None and await self._is_over(call):
                met = rules.for_cost(listed, asked, rules.SOFT, call.rules_used)
            if met is None:
                return False
            call.rules_used |= {met.place}
            if self._lead(call, met, candidate.route):
                if call.set_aside is None:
                    call.set_aside = candidate
                return True

    async def at_the_limit(
        self, call: Call, error: LimitReachedError
    ) -> Candidate | None:
        """Find who may serve a session that may spend no more, where a rule says so.

        A hard limit stays one: only a target whose price still fits is taken, which a
        free one always does.
        """
        plan, limited = call.plan, call.limited
        if plan is None or limited is None or not plan.skipped or not _is_of(error):
            return None
        listed, route = call.settings.routing.rules, plan.skipped[-1].route
        while True:
            met = rules.for_cost(listed, _asked(call), rules.HARD, call.rules_used)
            if met is None:
                return None
            call.rules_used |= {met.place}
            if not self._lead(call, met, route) or call.plan is None:
                continue
            while (candidate := call.plan.next()) is not None:
                if await self._admits(call, limited, candidate):
                    return candidate
                call.plan.skip(candidate, OVER_BUDGET)

    def while_resting(self, call: Call) -> Candidate | None:
        """Find who may serve although everybody of the asked name rests.

        A cooldown stands for the failure it began with: a rule that waits for that one
        is met as if it had just happened. Waiting for who rests is no way out.
        """
        plan = call.plan
        if plan is None or not has_rules(call):
            return None
        resting = [each for each in plan.skipped if each.reason.startswith(COOLING)]
        for rested in resting[:1]:
            kind = rested.reason.removeprefix(COOLING)
            for met in rules.for_resting(
                call.settings.routing.rules, _asked(call), kind
            ):
                call.rules_used |= {met.place}
                if self._lead(call, met, rested.route) and call.plan is not None:
                    candidate = call.plan.next()
                    if candidate is not None:
                        return candidate
        call.plan = plan
        call.later.clear()
        return None

    async def _admits(self, call: Call, limited: Limited, candidate: Candidate) -> bool:
        tokens = call.request.input_estimate_tokens or 0
        key, settings = call.caller.key, call.settings
        sized = admit.size(call.request, candidate, key, settings, tokens)
        request_id = call.inbound.request_id
        try:
            call.admission = await self._admitter.admit(
                request_id, limited, sized, tokens
            )
        except LimitReachedError:
            return False
        call.watch.on_beat(partial(self._background.renew, call), RENEW_S)
        return True

    def after(self, call: Call, candidate: Candidate, failure: Failure) -> str:
        """Apply the next rule that the newest failure meets.

        Shapes:  returns the decision for the trail, blank when no rule is left. After
                 a switch the plan of the call is another one; after a wait
                 ``call.again`` says whom to repeat.
        """
        if call.again is not None and self._repeats(call, failure):
            return records.WAIT
        call.again = None
        while True:
            met = rules.for_failure(
                call.settings.routing.rules,
                _asked(call),
                kind=failure.kind,
                status=failure.status,
                used=call.rules_used,
            )
            if met is None:
                return ""
            call.rules_used |= {met.place}
            if met.rule.action == rules.WAIT_AND_RETRY:
                if met.rule.max_retries < 1:
                    continue
                call.again = Again(met, candidate)
                call.note(f"{met.name}: waits and asks {_named(candidate)} again")
                return records.WAIT
            if self._lead(call, met, candidate.route):
                return _DECISIONS[met.rule.action]

    def _repeats(self, call: Call, failure: Failure) -> bool:
        """Go on repeating while it is the rate that fails, as often as allowed."""
        again = call.again
        if again is None:
            return False
        tries = again.tries + 1
        is_rate = failure.kind == rules.RATE_LIMIT or failure.status == 429
        if is_rate and tries < again.met.rule.max_retries:
            call.again = replace(again, tries=tries)
            return True
        if is_rate:
            call.note(f"{again.met.name}: rate limit retries exhausted ({tries})")
        return False

    def _lead(self, call: Call, met: Met, route: Route) -> bool:
        """Put the plan of a rule's target in place; False when it leads nowhere."""
        plan = call.plan
        if plan is None:  # pragma: no cover - a call with candidates has a plan
            return False
        tried = {mark_of(each.route) for each, _ in call.failed}
        failed = (route.provider.slug, route.model.model_id)
        for name in rules.names_of(met.rule, call.request.model, failed):
            found = call.snapshot.resolve(name)
            routes = [each for each in found.candidates if mark_of(each) not in tried]
            if not routes:
                continue
            wish = replace(plan.wish, model=name)
            made = Plan(routes, call.caller, wish, self._plan_rules)
            made.follow(plan)
            call.later.append(plan)
            call.plan = made
            call.note(f"{met.name}: {met.rule.trigger} leads to {name}")
            return True
        call.note(f"{met.name}: {met.rule.trigger} leads to nobody")
        return False

    async def _is_over(self, call: Call) -> bool:
        """Tell whether a soft limit of the session's cost is reached."""
        listed, limited = call.settings.routing.rules, call.limited
        wanted = any(
            rule.trigger == rules.COST_LIMIT and rule.limit == rules.SOFT
            for rule in listed
        )
        if not wanted or limited is None:
            return False
        try:
            for scope in limited.scopes:
                if not any(
                    limited.whose(b.budget_id) == _SESSION for b in scope.budgets
                ):
                    continue
                for status in await self._parts.limits.status(scope):
                    if limited.whose(status.budget_id) != _SESSION:
                        continue
                    at = limited.warns_at(status)
                    if at is not None and _spent(status) >= at:
                        return True
        except LimitStoreError:
            return False
        return False


def has_rules(call: Call) -> bool:
    """Tell whether rules may lead a call elsewhere; one of ours is bound to a model."""
    return bool(call.settings.routing.rules) and call.caller.model_row is None


def _asked(call: Call) -> Asked:
    caller = call.caller
    return Asked(call.request.model, caller.agent, caller.key.name)


def _named(candidate: Candidate) -> str:
    return f"{candidate.route.provider.slug}/{candidate.route.model.model_id}"


def _spent(status: LimitStatus) -> int:
    """Return what is spent, without what this and other calls only hold."""
    held = status.allowed - status.remaining
    return held - status.reserved if status.remaining else held


def _is_of(error: LimitReachedError) -> bool:
    """Tell whether it is the budget of the session that refused."""
    return error.limit == "budget" and _OF_SESSION in error.headers
