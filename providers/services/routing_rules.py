"""Edit the ordered fallback rules of the draft; a rule is named by its place, from 1."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from poolsite.actor import Actor
from poolsite.change import one_change
from poolsite.clock import Clock, SystemClock
from providers.selectors_routing import Standing
from providers.services import routing
from providers.services import routing_checks as checks
from providers.services.errors import ServiceError
from providers.snapshot.types import RoutingRecord, RuleRecord

_CLOCK: Final = SystemClock()
_UNUSED: Final = {
    "switch_provider": ("max_retries", "backoff"),
    "switch_model": ("provider", "max_retries", "backoff"),
    "wait_and_retry": ("provider", "model"),
}
Rules = list[RuleRecord]


@one_change
def add_rule(
    actor: Actor,
    rule: RuleRecord,
    *,
    place: int | None = None,
    tag: str = "",
    clock: Clock = _CLOCK,
) -> Standing:
    """Add a rule, at the end or at a place.

    Errors:  ServiceError naming the field; StaleError.
    """
    checks.check_rule(rule)
    rule = plain(rule)

    def change(rules: Rules) -> None:
        if len(rules) >= checks.MOST_RULES:
            raise ServiceError(f"At most {checks.MOST_RULES} rules.")
        at = len(rules) if place is None else max(0, min(place - 1, len(rules)))
        rules.insert(at, rule)

    return _edit(actor, "routing.rule_add", change, tag=tag, clock=clock)


@one_change
def set_rule(
    actor: Actor,
    place: int,
    rule: RuleRecord,
    *,
    tag: str = "",
    clock: Clock = _CLOCK,
) -> Standing:
    """Put a rule in the place of another.

    Errors:  ServiceError naming the field, or for a place without a rule; StaleError.
    """
    checks.check_rule(rule)
    rule = plain(rule)

    def change(rules: Rules) -> None:
        rules[_at(rules, place)] = rule

    return _edit(actor, "routing.rule_set", change, tag=tag, clock=clock)


@one_change
def move_rule(
    actor: Actor, place: int, to: int, *, tag: str = "", clock: Clock = _CLOCK
) -> Standing:
    """Move a rule to another place; beyond an end is that end.

    Errors:  ServiceError for a place without a rule; StaleError.
    """

    def change(rules: Rules) -> None:
        rule = rules.pop(_at(rules, place))
        rules.insert(max(0, min(to - 1, len(rules))), rule)

    return _edit(actor, "routing.rule_move", change, tag=tag, clock=clock)


@one_change
def switch_rule(
    actor: Actor, place: int, *, enabled: bool, tag: str = "", clock: Clock = _CLOCK
) -> Standing:
    """Switch a rule on or off where it is.

    Errors:  ServiceError for a place without a rule; StaleError.
    """

    def change(rules: Rules) -> None:
        at = _at(rules, place)
        rules[at] = msgspec.structs.replace(rules[at], enabled=enabled)

    action = "routing.rule_enable" if enabled else "routing.rule_disable"
    return _edit(actor, action, change, tag=tag, clock=clock)


@one_change
def remove_rule(
    actor: Actor, place: int, *, tag: str = "", clock: Clock = _CLOCK
) -> Standing:
    """Take a rule out of the draft.

    Errors:  ServiceError for a place without a rule; StaleError.
    """

    def change(rules: Rules) -> None:
        del rules[_at(rules, place)]

    return _edit(actor, "routing.rule_remove", change, tag=tag, clock=clock)


def rule_of(values: dict[str, Any]) -> RuleRecord:
    """Make a rule of plain values.

    Errors:  ServiceError for values that are of another kind.
    """
    try:
        return msgspec.convert(values, RuleRecord)
    except msgspec.ValidationError as exc:
        raise ServiceError(f"The rule cannot be read: {exc}.") from exc


def rule_at(record: RoutingRecord, place: int) -> RuleRecord:
    """Return the rule at a place.

    Errors:  ServiceError when there is none.
    """
    return record.rules[_at(list(record.rules), place)]


def plain(rule: RuleRecord) -> RuleRecord:
    """Blank what the rule does not use, so that equal rules are equal."""
    usual = RuleRecord(trigger=rule.trigger, action=rule.action)
    unused = [*_UNUSED[rule.action]]
    if rule.trigger != "low_funds":
        unused.append("below_nano_usd")
    if rule.trigger != "cost_limit":
        unused.append("limit")
    blank = {name: getattr(usual, name) for name in unused}
    return msgspec.structs.replace(rule, **blank)


def _edit(
    actor: Actor,
    action: str,
    change: Callable[[Rules], None],
    *,
    tag: str,
    clock: Clock,
) -> Standing:
    def apply(old: RoutingRecord) -> RoutingRecord:
        rules = list(old.rules)
        change(rules)
        return msgspec.structs.replace(old, rules=tuple(rules))

    # It writes the audit event too.
    return routing.edit(actor, action, apply, tag=tag, clock=clock)


def _at(rules: Rules, place: int) -> int:
    if not 1 <= place <= len(rules):
        raise ServiceError(f"There is no rule {place}.")
    return place - 1
