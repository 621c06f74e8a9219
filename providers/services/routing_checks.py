"""Judge a routing: what cannot be in force, and what would do nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import msgspec

from poolsite.columns import is_plain
from providers.routing.cooldowns import CooldownSettings
from providers.selectors_routing import PoolNames
from providers.services.errors import ServiceError
from providers.services.routing_words import (
    ACTIONS,
    GROUP_WORDS,
    MODES,
    STRATEGIES,
    TRIGGERS,
    Choice,
    cooldown_label,
)
from providers.snapshot.types import RoutingRecord, RuleRecord

MOST_RULES: Final = 100
MOST_RETRIES: Final = 20
_MOST_GLOBS: Final = 50
_MOST_GROUPS: Final = 20
_LONGEST_NAME: Final = 120
_LONGEST_GLOB: Final = 200
_GROUP: Final = re.compile(r"[a-z0-9*?._\-\[\]!]{1,64}")
_WEEK_S: Final = 7 * 86_400
_MOST_IN_A_ROW: Final = 1000
_MOST_NANO_USD: Final = 10**18
_RANGES: Final = {
    "sticky_s": (0.0, float(_WEEK_S)),
    "first_token_s": (0.0, 3600.0),
    "queue_length": (0, 10_000),
    "queue_wait_s": (0.0, 300.0),
    "wait_cap_s": (0.0, 120.0),
}
_BEFORE_A_CALL: Final = frozenset({"low_funds", "cost_limit"})


class Flag(NamedTuple):
    """A rule that would do nothing, or not what it seems to: its place and why."""

    place: int
    reason: str


def check(record: RoutingRecord) -> None:
    """Refuse a routing that cannot be in force.

    Errors:  ServiceError naming the field, or the rule by its place.
    """
    _check_word(STRATEGIES, record.strategy, "strategy")
    _check_word(MODES, record.mode, "mode")
    for name, (low, high) in _RANGES.items():
        value = getattr(record, name)
        if not low <= value <= high:
            raise ServiceError(f"It is between {low:g} and {high:g}.", field=name)
    _check_groups(record.groups)
    _check_cooldown(record.cooldown)
    if len(record.rules) > MOST_RULES:
        raise ServiceError(f"At most {MOST_RULES} rules.", field="rules")
    for place, rule in enumerate(record.rules, start=1):
        try:
            check_rule(rule)
        except ServiceError as exc:
            raise ServiceError(f"Rule {place}: {exc.message}", field="rules") from exc


def check_rule(rule: RuleRecord) -> None:
    """Refuse a rule that cannot do anything.

    Errors:  ServiceError naming the field.
    """
    _check_word(TRIGGERS, rule.trigger, "trigger")
    _check_word(ACTIONS, rule.action, "action")
    if rule.trigger in _BEFORE_A_CALL and rule.action == "wait_and_retry":
        raise ServiceError(
            "Before a call there is nothing to try again; ask somebody else instead.",
            field="action",
        )
    _check_action(rule)
    below = rule.below_nano_usd or 0
    if rule.trigger == "low_funds" and not 0 < below <= _MOST_NANO_USD:
        raise ServiceError("Say below which balance.", field="below_usd")
    if rule.limit not in ("soft", "hard"):
        raise ServiceError("The limit is soft or hard.", field="limit")
    _check_text("name", rule.name, _LONGEST_NAME)
    _check_text("provider", rule.provider, _LONGEST_GLOB)
    _check_text("model", rule.model, _LONGEST_GLOB)
    for field in ("models", "agents", "keys"):
        _check_globs(field, getattr(rule, field))


def flags(record: RoutingRecord, names: PoolNames) -> list[Flag]:
    """Say which rules would do nothing and why; those switched off are not judged.

    Cost:  a query for each table a rule asks about, six at most.
    """
    found = []
    seen: list[RuleRecord] = []
    names.expect(rule.model for rule in record.rules if rule.model)
    for place, rule in enumerate(record.rules, start=1):
        if not rule.enabled:
            continue
        lost = _target_problems(rule, names)
        reasons = [*lost, *_match_problems(rule, names)]
        if any(_covers(earlier, rule) for earlier in seen):
            is_first = rule.trigger in _BEFORE_A_CALL
            reasons.append(
                "An earlier rule always comes first."
                if is_first
                else "An earlier rule does the same."
            )
        if not lost:  # one that leads nowhere lets the next one through
            seen.append(rule)
        found += [Flag(place, reason) for reason in reasons]
    return found


def _check_action(rule: RuleRecord) -> None:
    if rule.action == "switch_provider" and not rule.provider:
        raise ServiceError("Name the provider to ask.", field="provider")
    if rule.action == "switch_model" and not rule.model:
        raise ServiceError("Name the model to ask for.", field="model")
    if rule.action != "wait_and_retry":
        return
    if not 1 <= rule.max_retries <= MOST_RETRIES:
        raise ServiceError(f"1 to {MOST_RETRIES} more times.", field="max_retries")
    if rule.backoff not in ("exponential", "constant"):
        raise ServiceError("It is exponential or constant.", field="backoff")


def _check_word(choices: Sequence[Choice], word: str, field: str) -> None:
    known = [each.word for each in choices]
    if word not in known:
        raise ServiceError(f"It is one of {', '.join(known)}.", field=field)


def _check_text(field: str, text: str, longest: int) -> None:
    if len(text) > longest or not is_plain(text):
        raise ServiceError(f"At most {longest} letters that can be shown.", field=field)


def _check_globs(field: str, globs: Iterable[str]) -> None:
    listed = list(globs)
    if len(listed) > _MOST_GLOBS:
        raise ServiceError(f"At most {_MOST_GLOBS} patterns.", field=field)
    for text in listed:
        if not text:
            raise ServiceError("A pattern is not empty.", field=field)
        _check_text(field, text, _LONGEST_GLOB)


def _check_groups(groups: Sequence[str]) -> None:
    if len(groups) > _MOST_GROUPS or len(set(groups)) < len(groups):
        raise ServiceError(f"At most {_MOST_GROUPS} groups, each once.", field="groups")
    for group in groups:
        if group not in GROUP_WORDS and not _GROUP.fullmatch(group):
            words = ", ".join(GROUP_WORDS)
            raise ServiceError(
                f"A group is {words}, or a pattern of provider ids.", field="groups"
            )


def _check_cooldown(numbers: dict[str, float]) -> None:
    known = CooldownSettings.__struct_fields__
    for name, value in numbers.items():
        if name not in known:
            raise ServiceError(
                f"{name[:40]!r} is no number of cooldowns.", field="cooldown"
            )
        most = _WEEK_S if name.endswith("_s") else _MOST_IN_A_ROW
        if not 1 <= value <= most:
            raise ServiceError(
                f"{cooldown_label(name)}: between 1 and {most}.", field=name
            )
    try:
        whole = msgspec.convert(numbers, CooldownSettings, strict=False)
    except msgspec.ValidationError as exc:
        raise ServiceError(
            "What is counted is a whole number.", field="cooldown"
        ) from exc
    for first in (name for name in known if name.endswith("_first_s")):
        last = first.replace("_first_s", "_max_s")
        if last in known and getattr(whole, first) > getattr(whole, last):
            raise ServiceError(
                f"{cooldown_label(first)}: not longer than at most.", field=first
            )


# What would do nothing


def _target_problems(rule: RuleRecord, names: PoolNames) -> list[str]:
    if rule.action == "switch_provider":
        if rule.provider not in names.providers:
            return [f"There is no provider {rule.provider}."]
        if not names.providers[rule.provider]:
            return [f"The provider {rule.provider} is switched off."]
        if rule.model and not names.serves(rule.model, rule.provider):
            return [f"{rule.provider} does not offer {rule.model}."]
    if rule.action != "switch_model" or names.offers_id(rule.model):
        return []
    if rule.model in names.aliases:
        return [f"{rule.model} is an alias; name a model of the same provider."]
    return [f"Nobody offers {rule.model}."]


def _match_problems(rule: RuleRecord, names: PoolNames) -> list[str]:
    found = []
    if rule.models and not any(names.may_be_asked(glob) for glob in rule.models):
        found.append("It can never match: no model or alias has such a name.")
    if rule.keys and not names.has_key(rule.keys):
        found.append("It can never match: no client key has such a name.")
    if rule.trigger == "low_funds" and not names.knows_funds:
        found.append("It can never match: no account reports what is left in USD.")
    if rule.trigger == "cost_limit" and rule.limit not in names.session_limits:
        found.append(f"It can never match: no budget of sessions is {rule.limit}.")
    return found


def _covers(earlier: RuleRecord, rule: RuleRecord) -> bool:
    """Tell whether a rule never gets its turn because of an earlier one."""
    if earlier.trigger != rule.trigger:
        return False
    if rule.trigger not in _BEFORE_A_CALL:
        # After a failure the next rule follows; only the same once more is idle.
        plain = msgspec.structs.replace(earlier, name=rule.name)
        return plain == rule
    is_wide = all(
        not getattr(earlier, field) or getattr(earlier, field) == getattr(rule, field)
        for field in ("models", "agents", "keys")
    )
    if rule.trigger == "cost_limit":
        return is_wide and earlier.limit in ("soft", rule.limit)
    return is_wide and (earlier.below_nano_usd or 0) >= (rule.below_nano_usd or 0)
