"""Which rule binds an agent or a session, and what its window is called."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import pytest

from usage.budgets import personal
from usage.budgets.personal import Rules
from usage.limits.windows import KINDS, window_at


@dataclass(frozen=True)
class Rule:
    name: str
    scope: str = "session"
    applies_to: str = ""
    scope_value: str = ""
    client_key_id: int | None = None


EVERY = Rule("default")
AGENT = Rule("agent override", applies_to="agent", scope_value="bot")
PROVIDER = Rule("provider", applies_to="provider", scope_value="acme")
ONE = Rule("one", applies_to="one", scope_value="bot:chat:7")


@pytest.mark.parametrize(
    ("session", "agent", "last", "bound"),
    [
        ("bot:chat:1", "bot", "acme", "agent override"),
        ("bot:chat:1", "bot", "", "agent override"),
        ("x:chat:1", "x", "acme", "provider"),
        ("x:chat:1", "x", "other", "default"),
        ("x:chat:1", "x", "", "default"),
        ("bot:chat:7", "bot", "acme", "one"),
    ],
)
def test_agent_override_then_last_provider_then_default(
    session: str, agent: str, last: str, bound: str
) -> None:
    rules = Rules([EVERY, AGENT, PROVIDER, ONE])
    found = rules.of_session(1, session, agent, last)
    assert [rule.name for rule in found] == [bound]
    assert rules.follows_providers


def test_who_names_no_session_has_no_session_budget() -> None:
    rules = Rules([EVERY, Rule("agents", scope="agent")])
    assert rules.of_session(1, "", "bot", "acme") == []
    assert rules.of_agent(1, "") == []
    assert not rules.follows_providers


def test_rule_of_another_key_is_passed_over() -> None:
    mine = Rule(
        "mine", scope="agent", applies_to="one", scope_value="a", client_key_id=1
    )
    rules = Rules([mine, Rule("all", scope="agent")])
    assert rules.of_agent(1, "a") == [mine]
    assert [rule.name for rule in rules.of_agent(2, "a")] == ["all"]


@pytest.mark.parametrize("kind", KINDS)
def test_window_of_a_session_fits_its_column(kind: str, moment: datetime) -> None:
    window = window_at(kind, "Asia/Kathmandu", moment)
    name = personal.window_id(window.id, EVERY, key_id=1, name="ü" * 200)
    assert len(name) <= 32
    assert name.startswith(f"{window.id}@")
    assert personal.is_personal(name)
    assert not personal.is_personal(window.id)


def test_windows_differ_by_session_key_and_scope() -> None:
    agent = Rule("agents", scope="agent")
    own = Rule("own", scope="agent", client_key_id=1)
    names = [
        personal.window_id("total", EVERY, key_id=1, name="a"),
        personal.window_id("total", EVERY, key_id=2, name="a"),
        personal.window_id("total", EVERY, key_id=1, name="b"),
        personal.window_id("total", agent, key_id=1, name="a"),
        personal.window_id("total", own, key_id=1, name="a"),
    ]
    assert len(set(names)) == len(names)
    shared = personal.window_id("total", agent, key_id=2, name="a")
    assert shared == names[3], "an agent is the same for all keys"
