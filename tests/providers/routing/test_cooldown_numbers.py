"""The numbers of cooldowns, row by row of the tables they come from."""

from __future__ import annotations

import pytest

from providers.routing.cooldowns import CooldownSettings, rules_of
from providers.routing.subjects import CREDENTIAL, LIMIT, MODEL, PROVIDER

HOUR, MINUTE = 3600.0, 60.0
RULES = rules_of(CooldownSettings())


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        pytest.param("failure_after", 3, id="failure_threshold"),
        pytest.param("failure_first_s", 30, id="initial_cooldown"),
        pytest.param("failure_max_s", 5 * MINUTE, id="max_cooldown"),
        pytest.param("reset_after_s", 5 * MINUTE, id="reset_after"),
        pytest.param("transient_after", 5, id="transient_failure_threshold"),
        pytest.param("transient_first_s", 5, id="transient_initial_cooldown"),
        pytest.param("transient_max_s", 30, id="transient_max_cooldown"),
        pytest.param("attention_probe_s", HOUR, id="authentication failure"),
        pytest.param("model_first_s", MINUTE, id="per-model base"),
        pytest.param("model_max_s", HOUR, id="per-model max"),
        pytest.param("quota_first_s", 5 * HOUR, id="billing disable 1"),
        pytest.param("quota_max_s", 24 * HOUR, id="billing disable >=4"),
        pytest.param("hint_max_s", 24 * HOUR, id="longest hint"),
        pytest.param("rate_first_s", 30, id="429 without Retry-After"),
        pytest.param("rate_max_s", 5 * MINUTE, id="429 cap"),
    ],
)
def test_defaults_are_those_of_the_table(setting: str, value: float) -> None:
    assert getattr(CooldownSettings(), setting) == value


@pytest.mark.parametrize(
    ("kind", "waits"),
    [
        pytest.param("server_error", [0, 0, 30, 60, 120, 240, 300, 300], id="normal"),
        pytest.param("unavailable", [0, 0, 0, 0, 5, 10, 20, 30, 30], id="transient"),
        pytest.param("model", [60, 300, 1500, 3600, 3600], id="standard cooldown"),
        pytest.param(
            "quota",
            [5 * HOUR, 10 * HOUR, 20 * HOUR, 24 * HOUR, 24 * HOUR],
            id="billing disable",
        ),
        pytest.param("auth", [HOUR, HOUR, HOUR], id="authentication: no counting"),
    ],
)
def test_each_failure_in_a_row_waits_as_long_as_the_table_says(
    kind: str, waits: list[float]
) -> None:
    found = [RULES[kind].wait_s(count, None) for count in range(1, len(waits) + 1)]
    assert found == pytest.approx(waits)


@pytest.mark.parametrize(
    ("kind", "subject"),
    [
        ("auth", CREDENTIAL),
        ("unreadable", CREDENTIAL),
        ("quota", CREDENTIAL),
        ("rate_limit", LIMIT),
        ("unavailable", LIMIT),
        ("server_error", LIMIT),
        ("timeout", LIMIT),
        ("connect", PROVIDER),
        ("model", MODEL),
    ],
)
def test_each_kind_condemns_as_little_as_it_can(kind: str, subject: int) -> None:
    assert RULES[kind].subject == subject


@pytest.mark.parametrize("kind", sorted(RULES))
def test_no_count_makes_a_wait_longer_than_its_cap(kind: str) -> None:
    rule = RULES[kind]
    for count in (1, 50, 10_000, 2**62):
        assert 0 <= rule.wait_s(count, None) <= rule.max_s
        assert rule.wait_s(count, 1e12) <= max(rule.max_s, rule.hint_max_s)
