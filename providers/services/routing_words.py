"""Say how the pool routes in words: settings, rules, and what differs between two."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from poolsite.money import format_usd
from providers.routing.cooldowns import CooldownSettings
from providers.snapshot.types import RoutingRecord, RuleRecord


class Choice(NamedTuple):
    """A word that may be chosen, its label, and what follows from it."""

    word: str
    label: str
    consequence: str


STRATEGIES: Final = (
    Choice("priority", "Priority", "The highest priority serves; equals share by weight."),
    Choice("weighted", "Weighted", "All serve at once, in proportion to their weights."),
    Choice("cost", "Cheapest", "The lowest price serves; what is unpriced comes last."),
    Choice("latency", "Fastest", "By priority; of equals whoever answered sooner of late."),
    Choice("least_busy", "Least used", "By priority; of equals whoever has fewer calls under way."),
    Choice("quota_aware", "Quota-aware", "By priority; of equals whoever has more of its quota left."),
    Choice("round_robin", "Round robin", "Each in turn, whatever its priority or weight."),
)  # fmt: skip
MODES: Final = (
    Choice("auto", "All", "Providers in the cloud and on your own machines."),
    Choice("cloud", "Cloud only", "Nothing goes to your own machines."),
    Choice("local", "Local only", "No prompt leaves your own machines."),
)
TRIGGERS: Final = (
    Choice(
        "error", "Calls fail", "And nobody is left who serves the model; not for 429."
    ),
    Choice(
        "rate_limit", "Calls are rate limited", "429, and nobody is left who serves it."
    ),
    Choice("low_funds", "Little money is left", "Looked at before the call."),
    Choice("cost_limit", "A session reached its limit", "Looked at before the call."),
)
ACTIONS: Final = (
    Choice(
        "switch_provider",
        "Ask another provider",
        "For the same model, unless one is named.",
    ),
    Choice("switch_model", "Ask for another model", "At the same provider."),
    Choice(
        "wait_and_retry",
        "Wait and try again",
        "The same candidate; at once, then after a pause.",
    ),
)
GROUP_WORDS: Final = {
    "free": "free models",
    "paid": "paid models",
    "official": "the makers themselves",
    "other": "everybody else",
}

_COOLDOWNS: Final = {
    "attention_probe_s": "Try a refused key again after",
    "quota_first_s": "No quota: stay away at first",
    "quota_max_s": "No quota: stay away at most",
    "rate_first_s": "Rate limited: stay away at first",
    "rate_max_s": "Rate limited: stay away at most",
    "hint_max_s": "Believe a Retry-After up to",
    "transient_after": "Overloaded: after so many in a row",
    "transient_first_s": "Overloaded: stay away at first",
    "transient_max_s": "Overloaded: stay away at most",
    "failure_after": "Errors and time-outs: after so many in a row",
    "failure_first_s": "Errors and time-outs: stay away at first",
    "failure_max_s": "Errors and time-outs: stay away at most",
    "reset_after_s": "Forget failures after quiet of",
    "model_first_s": "Model not found: stay away at first",
    "model_max_s": "Model not found: stay away at most",
    "probe_s": "Time for the one call that tries again",
    "event_first_s": "A whole provider fails: stay away at first",
    "event_max_s": "A whole provider fails: stay away at most",
    "diagnosis_keys": "It is the provider: so many keys failing alike",
    "diagnosis_window_s": "It is the provider: within",
    "forgive_again_s": "All keys refused: forgive them again after",
}
_LABELS: Final = {
    "strategy": "Strategy",
    "mode": "Where",
    "format_affinity": "Prefer a provider that speaks the client's dialect",
    "sticky_s": "A session stays at its provider for",
    "groups": "Groups, one after another",
    "first_token_s": "Wait for the first token of a stream",
    "queue_length": "Calls that may wait for a free place",
    "queue_wait_s": "Wait for a free place",
    "wait_cap_s": "Wait for a vendor that says when to come back",
}
_WHEN: Final = {
    "error": "a call fails",
    "rate_limit": "a call is rate limited",
    "low_funds": "little money is left",
    "cost_limit": "a session reached its limit",
}
_SECONDS: Final = ("_s",)


class Difference(NamedTuple):
    """One thing that is not the same: what, how it is, how it would be.

    Shapes:  ``kind`` changed | added | removed | moved.
    """

    kind: str
    what: str
    before: str = ""
    after: str = ""


def cooldown_fields() -> list[tuple[str, str, float]]:
    """Return each number of the cooldowns with its label and default."""
    numbers = CooldownSettings()
    return [
        (name, cooldown_label(name), float(value))
        for name in CooldownSettings.__struct_fields__
        if isinstance(value := getattr(numbers, name), int | float)
        and not isinstance(value, bool)
    ]


def cooldown_label(name: str) -> str:
    """Name a number of the cooldowns."""
    plain = name.removesuffix("_s").replace("_", " ").capitalize()
    return _COOLDOWNS.get(name, plain)


def rule_name(rule: RuleRecord) -> str:
    """Name a rule: as it was named, else what it does."""
    return rule.name or rule_in_words(rule)


def rule_in_words(rule: RuleRecord) -> str:
    """Say what a rule does in one sentence."""
    return f"When {_when(rule)}{_scope(rule)}: {_then(rule)}."


def label_of(choices: Sequence[Choice], word: str) -> str:
    """Return the label of a word, the word itself where it is unknown."""
    return next((each.label for each in choices if each.word == word), word)


def differences(old: RoutingRecord, new: RoutingRecord) -> list[Difference]:
    """Say what differs between two routings, in words; empty = nothing."""
    found = [
        Difference("changed", label, before, after)
        for name, label in _LABELS.items()
        if (before := _setting(name, getattr(old, name)))
        != (after := _setting(name, getattr(new, name)))
    ]
    found += _cooldown_differences(old.cooldown, new.cooldown)
    return [*found, *_rule_differences(old.rules, new.rules)]


def span_in_words(seconds: float) -> str:
    """Write a number of seconds as people say it."""
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"


def _when(rule: RuleRecord) -> str:
    if rule.trigger == "low_funds" and rule.below_nano_usd is not None:
        return f"less than {format_usd(rule.below_nano_usd)} is left"
    if rule.trigger == "cost_limit":
        return f"a session reached its {rule.limit} limit"
    return _WHEN.get(rule.trigger, rule.trigger)


def _scope(rule: RuleRecord) -> str:
    parts = [
        f"{what} {' or '.join(globs)}"
        for what, globs in (
            ("for model", rule.models),
            ("of agent", rule.agents),
            ("with key", rule.keys),
        )
        if globs
    ]
    return f" {', '.join(parts)}" if parts else ""


def _then(rule: RuleRecord) -> str:
    if rule.action == "switch_provider":
        model = f" for {rule.model}" if rule.model else ""
        return f"ask provider {rule.provider}{model}"
    if rule.action == "switch_model":
        return f"ask for {rule.model} instead"
    if rule.action == "wait_and_retry":
        pause = "longer each time" if rule.backoff == "exponential" else "1 s each time"
        return f"try {rule.max_retries} more times, waiting {pause}"
    return rule.action


def _setting(name: str, value: Any) -> str:
    if name == "strategy":
        return label_of(STRATEGIES, value)
    if name == "mode":
        return label_of(MODES, value)
    if name == "groups":
        return ", then ".join(GROUP_WORDS.get(each, each) for each in value) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name == "sticky_s" and not value:
        return "not at all"
    if name == "first_token_s" and not value:
        return "as long as its provider's deadline"
    if name.endswith(_SECONDS):
        return span_in_words(value)
    return str(value)


def _cooldown_differences(
    old: dict[str, float], new: dict[str, float]
) -> Iterator[Difference]:
    for name, label, usual in cooldown_fields():
        before, after = old.get(name, usual), new.get(name, usual)
        if before != after:
            yield Difference(
                "changed", label, _cooldown(name, before), _cooldown(name, after)
            )


def _cooldown(name: str, value: float) -> str:
    return span_in_words(value) if name.endswith(_SECONDS) else f"{value:g}"


# Rules


def _rule_differences(
    old: Sequence[RuleRecord], new: Sequence[RuleRecord]
) -> list[Difference]:
    pairs = _paired(old, new)
    found = []
    stays = _in_order([pairs[place] for place in sorted(pairs)])
    for place, rule in enumerate(old):
        if place not in pairs:
            found.append(Difference("removed", f"Rule {place + 1}", rule_name(rule)))
    sources = {target: source for source, target in pairs.items()}
    for place, rule in enumerate(new):
        source = sources.get(place)
        what = f"Rule {place + 1}"
        if source is None:
            found.append(Difference("added", what, "", _with_state(rule)))
            continue
        if old[source] != rule:
            found.append(
                Difference("changed", what, _with_state(old[source]), _with_state(rule))
            )
        if place not in stays:
            found.append(
                Difference("moved", rule_name(rule), str(source + 1), str(place + 1))
            )
    return found


def _with_state(rule: RuleRecord) -> str:
    name = f"{rule.name}: " if rule.name else ""
    return f"{name}{rule_in_words(rule)}{'' if rule.enabled else ' (off)'}"


def _paired(old: Sequence[RuleRecord], new: Sequence[RuleRecord]) -> dict[int, int]:
    """Say which rule became which: the same, of the same name, or at the same place."""
    pairs: dict[int, int] = {}
    free = set(range(len(new)))
    for is_kin in (_is_equal, _is_namesake):
        for place, rule in enumerate(old):
            if place in pairs:
                continue
            match = next((i for i in sorted(free) if is_kin(rule, new[i])), None)
            if match is not None:
                pairs[place] = match
                free.discard(match)
    for place, rule in enumerate(old):
        if place in free and place not in pairs and rule.trigger == new[place].trigger:
            pairs[place] = place
            free.discard(place)
    return pairs


def _is_equal(one: RuleRecord, other: RuleRecord) -> bool:
    return one == other


def _is_namesake(one: RuleRecord, other: RuleRecord) -> bool:
    return bool(one.name) and one.name == other.name


def _in_order(targets: Sequence[int]) -> set[int]:
    """Return the longest run of places that kept their order: the rest was moved."""
    longest: list[int] = []
    runs: list[list[int]] = []
    for target in targets:
        before: list[int] = []
        for run in runs:
            if run[-1] < target and len(run) > len(before):
                before = run
        runs.append([*before, target])
        longest = max(longest, runs[-1], key=lambda run: len(run))
    return set(longest)
