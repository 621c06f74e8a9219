"""Say which fallback rule a call meets, and what it asks for. Pure.

The rules of a pool stand in an order. Before a call those for low funds and for the
cost of a session are looked at, and the first that fits decides. After a failure, when
nobody who serves the asked name is left, the rest are tried in their order: each once a
call, each matched against the newest failure, not the first one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Final

import msgspec

from providers.routing.access import ALL, ONLY, permits
from providers.routing.steps import CANDIDATE, LARGER, ORIGIN, STEPS
from providers.snapshot.types import RuleRecord

ERROR: Final = "error"
RATE_LIMIT: Final = "rate_limit"
LOW_FUNDS: Final = "low_funds"
COST_LIMIT: Final = "cost_limit"
SWITCH_PROVIDER: Final = "switch_provider"
SWITCH_MODEL: Final = "switch_model"
WAIT_AND_RETRY: Final = "wait_and_retry"
CONSTANT: Final = "constant"
SOFT: Final = "soft"
HARD: Final = "hard"

_TOO_MANY: Final = 429
_CONSTANT_S: Final = 1.0
_LONGEST_S: Final = 30.0
_SWITCHES: Final = frozenset({SWITCH_PROVIDER, SWITCH_MODEL})


class Asked(msgspec.Struct, frozen=True):
    """Who asks for what, as far as rules look at it."""

    model: str
    agent: str = ""
    key: str = ""


class Met(msgspec.Struct, frozen=True):
    """A rule that fits, and its place in the order."""

    place: int
    rule: RuleRecord

    @property
    def name(self) -> str:
        """Name it for the trail: as its author did, else by its place."""
        return self.rule.name or f"rule {self.place + 1}"


def for_low_funds(
    rules: Sequence[RuleRecord],
    asked: Asked,
    funds_nano_usd: int | None,
    used: Collection[int] = (),
) -> Met | None:
    """Return the first rule that leads away from an account that runs dry.

    Shapes:  ``funds_nano_usd`` None = not reported or without a limit: never low.
             ``used`` are the places of rules that led nowhere.
    """
    if funds_nano_usd is None:
        return None
    for place, rule in enumerate(rules):
        if rule.trigger != LOW_FUNDS or rule.action not in _SWITCHES or place in used:
            continue
        least = rule.below_nano_usd
        if least is not None and funds_nano_usd < least and applies(rule, asked):
            return Met(place, rule)
    return None


def for_cost(
    rules: Sequence[RuleRecord],
    asked: Asked,
    limit: str,
    used: Collection[int] = (),
) -> Met | None:
    """Return the first rule for a session whose soft or hard limit is reached."""
    for place, rule in enumerate(rules):
        if rule.trigger != COST_LIMIT or rule.limit != limit or place in used:
            continue
        if rule.action in _SWITCHES and applies(rule, asked):
            return Met(place, rule)
    return None


def for_failure(
    rules: Sequence[RuleRecord],
    asked: Asked,
    *,
    kind: str,
    status: int | None,
    used: Collection[int] = (),
) -> Met | None:
    """Return the first rule not used yet that the newest failure meets."""
    for place, rule in enumerate(rules):
        if place in used or not meets(rule, kind, status):
            continue
        if applies(rule, asked):
            return Met(place, rule)
    return None


def for_resting(rules: Sequence[RuleRecord], asked: Asked, kind: str) -> Iterator[Met]:
    """Yield the rules that lead away from somebody who rests, in their order.

    Shapes:  ``kind`` is the failure the cooldown began with.
    """
    for place, rule in enumerate(rules):
        if (
            rule.action in _SWITCHES
            and meets(rule, kind, None)
            and applies(rule, asked)
        ):
            yield Met(place, rule)


def meets(rule: RuleRecord, kind: str, status: int | None) -> bool:
    """Tell whether a failure is of the sort a rule waits for.

    A ``rate_limit`` rule waits for a 429 and nothing else, an ``error`` rule for every
    other failure the pool would go on from. A request too long for its model is worth
    another model, not another try of the same.
    """
    is_rate = kind == RATE_LIMIT or status == _TOO_MANY
    if rule.trigger == RATE_LIMIT:
        return is_rate
    if rule.trigger != ERROR or is_rate:
        return False
    step = STEPS.get(kind)
    if step is None:
        return False
    if step.scope == LARGER:
        return rule.action in _SWITCHES
    return step.scope in (CANDIDATE, ORIGIN)


def applies(rule: RuleRecord, asked: Asked) -> bool:
    """Tell whether a rule is for this model, agent and client key."""
    return (
        rule.enabled
        and _fits(rule.models, asked.model)
        and _fits(rule.agents, asked.agent)
        and _fits(rule.keys, asked.key)
    )


def pause_s(rule: RuleRecord, tries: int, *, cap_s: float) -> float:
    """Return how long to wait before the next try of ``wait_and_retry``.

    Shapes:  ``tries`` counts those made under the rule; the first comes at once.
    Units:   seconds, at most 30 and at most ``cap_s``.
    """
    if tries == 0:
        return 0.0
    wait_s = _CONSTANT_S if rule.backoff == CONSTANT else 2.0 ** min(tries, 10)
    return min(wait_s, _LONGEST_S, cap_s)


def names_of(rule: RuleRecord, asked: str, failed: tuple[str, str]) -> tuple[str, ...]:
    """Return the names a switch leads to, as ``provider/model``, best first.

    Shapes:  ``failed`` is (provider slug, upstream model id) of who would serve or has
             failed: switch_provider keeps its model unless told otherwise,
             switch_model its provider.
    """
    provider, model = failed
    if rule.action == SWITCH_MODEL:
        return (f"{provider}/{rule.model}",)
    if rule.model:
        return (f"{rule.provider}/{rule.model}",)
    return tuple(
        dict.fromkeys((f"{rule.provider}/{asked}", f"{rule.provider}/{model}"))
    )


def _fits(globs: tuple[str, ...], name: str) -> bool:
    return permits(ONLY if globs else ALL, globs, name)
