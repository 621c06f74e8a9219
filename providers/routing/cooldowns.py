"""How long each kind of failure keeps its subject out: the numbers, and how they grow."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import msgspec

from providers.routing.subjects import CREDENTIAL, LIMIT, MODEL, PROVIDER

_SHORTEST_S: Final = 1.0
_LONGEST_S: Final = 366 * 24 * 3600.0
_COUNTS: Final = frozenset({"transient_after", "failure_after", "diagnosis_keys"})


class CooldownSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The numbers of design 10, and those of the diagnosis.

    Shapes:  ``event_*`` bound what many secrets failing alike bring on a provider;
             ``diagnosis_keys`` of them must fail within ``diagnosis_window_s``.
             Refusals of all secrets are forgiven once in ``forgive_again_s``.
    Units:   seconds; ``*_after`` counts failures in a row.
    """

    attention_probe_s: float = 3600.0
    quota_first_s: float = 5 * 3600.0
    quota_max_s: float = 24 * 3600.0
    rate_first_s: float = 30.0
    rate_max_s: float = 300.0
    hint_max_s: float = 24 * 3600.0
    transient_after: int = 5
    transient_first_s: float = 5.0
    transient_max_s: float = 30.0
    failure_after: int = 3
    failure_first_s: float = 30.0
    failure_max_s: float = 300.0
    reset_after_s: float = 300.0
    model_first_s: float = 60.0
    model_max_s: float = 3600.0
    probe_s: float = 10.0
    event_first_s: float = 5.0
    event_max_s: float = 60.0
    diagnosis_keys: int = 3
    diagnosis_window_s: float = 10.0
    forgive_again_s: float = 3600.0


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """How one kind of failure cools.

    Shapes:  the n-th failure waits ``first_s * factor ** (n - after)``, up to
             ``max_s``, and nothing before ``after``. ``hint_max_s`` 0 = hints are not
             listened to. ``is_transient`` counts apart from other failures.
             ``is_sticky`` = a success of a call that was already under way when it
             opened does not close it.
    Units:   seconds; counts are forgotten after ``reset_after_s`` of quiet.
    """

    subject: int
    first_s: float
    max_s: float
    reset_after_s: float
    factor: float = 2.0
    after: int = 1
    hint_max_s: float = 0.0
    is_transient: bool = False
    is_sticky: bool = False

    def wait_s(self, count: int, hint_s: float | None) -> float:
        """Return how long to stay away after the ``count``-th failure, 0 = not yet."""
        if hint_s is not None and self.hint_max_s > 0:
            return min(max(hint_s, _SHORTEST_S), self.hint_max_s)
        if count < self.after:
            return 0.0
        # Beyond 30 doublings the cap has long been reached; floats stay finite.
        return min(
            self.first_s * self.factor ** min(count - self.after, 30), self.max_s
        )


def settings_of(numbers: Mapping[str, float]) -> CooldownSettings:
    """Return the settings with single numbers replaced.

    Shapes:  names this release does not know, and what is no sensible number, change
             nothing: a bad number must not park the pool.
    """
    known: dict[str, float] = {}
    for name in CooldownSettings.__struct_fields__:
        value = numbers.get(name)
        if value is None or not math.isfinite(value) or value < 0:
            continue
        if name in _COUNTS:
            known[name] = max(1, int(value))
        else:
            known[name] = min(value, _LONGEST_S)
    return msgspec.structs.replace(CooldownSettings(), **known)


def event_rule(settings: CooldownSettings, subject: int) -> Rule:
    """Return how a shared event cools what it was diagnosed of: briefly."""
    return Rule(
        subject=subject,
        first_s=settings.event_first_s,
        max_s=settings.event_max_s,
        reset_after_s=settings.reset_after_s,
        hint_max_s=settings.event_max_s,
    )


def rules_of(settings: CooldownSettings) -> dict[str, Rule]:
    """Return the rule of each kind of failure, by the words of ``ports.Health``."""
    attention = Rule(
        subject=CREDENTIAL,
        first_s=settings.attention_probe_s,
        max_s=settings.attention_probe_s,
        reset_after_s=settings.hint_max_s,
        is_sticky=True,
    )
    return {
        "auth": attention,
        "unreadable": attention,
        **_rules_of_outages(settings),
        "quota": Rule(
            subject=CREDENTIAL,
            first_s=settings.quota_first_s,
            max_s=settings.quota_max_s,
            reset_after_s=settings.quota_max_s,
            hint_max_s=settings.hint_max_s,
            is_sticky=True,
        ),
        "rate_limit": Rule(
            subject=LIMIT,
            first_s=settings.rate_first_s,
            max_s=settings.rate_max_s,
            reset_after_s=settings.reset_after_s,
            hint_max_s=settings.hint_max_s,
            is_sticky=True,
        ),
        "model": Rule(
            subject=MODEL,
            first_s=settings.model_first_s,
            max_s=settings.model_max_s,
            reset_after_s=settings.model_max_s,
            factor=5.0,
        ),
    }


def _rules_of_outages(settings: CooldownSettings) -> dict[str, Rule]:
    """Return the rules of what may have passed by the next call: after several only."""
    failure = Rule(
        subject=LIMIT,
        first_s=settings.failure_first_s,
        max_s=settings.failure_max_s,
        reset_after_s=settings.reset_after_s,
        after=settings.failure_after,
    )
    return {
        "unavailable": Rule(
            subject=LIMIT,
            first_s=settings.transient_first_s,
            max_s=settings.transient_max_s,
            reset_after_s=settings.reset_after_s,
            after=settings.transient_after,
            is_transient=True,
        ),
        "server_error": failure,
        "timeout": failure,
        "connect": msgspec.structs.replace(failure, subject=PROVIDER),
    }
