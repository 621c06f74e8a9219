"""Every state has a word, an icon and an explanation."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from poolsite.ui import pills

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
WANTED = (
    "healthy",
    "degraded",
    "cooling",
    "rate_limited",
    "out_of_quota",
    "signin_expired",
    "invalid_key",
    "disabled",
    "untested",
    "not_supported",
)


@pytest.mark.parametrize("state", WANTED)
def test_the_states_of_a_credential_are_known(state: str) -> None:
    assert pills.STATES[state].explanation


@pytest.mark.parametrize("state", pills.STATES)
def test_no_state_is_told_by_colour_alone(state: str) -> None:
    made = pills.pill(state)
    assert made.word
    assert f'id="{made.icon}"' in Path("static/icons.svg").read_text()


@pytest.mark.parametrize("state", ["signin_expired", "invalid_key", "untested"])
def test_a_bad_state_names_the_next_action(state: str) -> None:
    made = pills.pill(state)
    assert made.action
    assert made.action in made.title


def test_a_cooldown_says_until_when() -> None:
    made = pills.pill("cooling", until=NOW + timedelta(seconds=65), now=NOW)
    assert made.detail == "until 12:01:05"


def test_quota_says_how_long_until_it_resets() -> None:
    made = pills.pill("out_of_quota", until=NOW + timedelta(minutes=130), now=NOW)
    assert made.detail == "resets in 2 h 10 m"


def test_a_particular_reason_replaces_the_general_one() -> None:
    assert pills.pill("down", reason="Connection refused.").explanation == (
        "Connection refused."
    )


def test_a_state_nobody_described_is_shown_by_its_name() -> None:
    made = pills.pill("half_open")
    assert (made.word, made.tone) == ("Half open", "")
