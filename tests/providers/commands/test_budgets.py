"""``pool budget`` and ``pool key set``: every scope, every setting."""

from __future__ import annotations

from typing import Any

import pytest

from tests.providers.commands.conftest import Pool
from usage.models import Budget, ClientKey

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("options", "stored"),
    [
        (("--agent", "*"), ("agent", "", "")),
        (("--agent", "bot"), ("agent", "one", "bot")),
        (("--session", "*"), ("session", "", "")),
        (("--session", "bot:a:1"), ("session", "one", "bot:a:1")),
        (("--sessions-of-agent", "bot"), ("session", "agent", "bot")),
        (("--sessions-of-provider", "acme"), ("session", "provider", "acme")),
        (("--session", "*", "--key", "ci"), ("session", "", "")),
    ],
)
def test_a_budget_of_agents_and_sessions_is_set(
    pool: Pool, options: tuple[str, ...], stored: tuple[str, ...]
) -> None:
    pool.ok("key", "create", "ci")
    pool.ok("budget", "set", *options, "--usd", "3", "--warn-usd", "2")
    row = Budget.objects.get()
    assert (row.scope, row.applies_to, row.scope_value) == stored
    assert row.warn_nano_usd == 2 * 10**9
    assert (row.client_key is not None) == ("--key" in options)
    assert stored[0] in pool.ok("budget", "list").out


def test_a_budget_is_raised_for_some_hours(pool: Pool) -> None:
    pool.ok("budget", "set", "--usd", "3")
    number = str(Budget.objects.get().pk)
    assert "Raised" in pool.ok("budget", "raise", number, "--usd", "2").out
    [row] = pool.ok("budget", "list", "--json").json
    assert row["limit_nano_usd"] == 5 * 10**9
    pool.ok("budget", "raise", number, "--usd", "0")
    assert Budget.objects.get().extra_until is None
    pool.refused("budget", "raise", number, "--usd", "1", "--hours", "0")
    pool.refused("budget", "raise", "9999999", "--usd", "1")


def test_a_team_and_a_key_at_once_are_refused(pool: Pool) -> None:
    pool.ok("team", "create", "core")
    pool.ok("key", "create", "ci")
    pool.refused("budget", "set", "--team", "core", "--key", "ci", "--usd", "1")


def test_every_setting_of_a_key_is_changed_and_cleared(pool: Pool) -> None:
    pool.ok("team", "create", "core")
    pool.ok("key", "create", "ci")
    pool.ok(
        "key", "set", "ci", "--models", "gpt-*", "--providers", "eu-*", "--ip",
        "10.0.0.0/8", "2001:db8::/32", "--tag", "a", "--team", "core", "--tpd", "9",
        "--window-requests", "5", "--window-s", "60", "--unpriced", "block", "--mode",
        "local", "--strategy", "cost", "--override", "mode", "prefer", "--log-level",
        "bodies", "--rename", "nightly",
    )  # fmt: skip
    told: dict[str, Any] = pool.ok("key", "show", "nightly").json
    assert told["providers_allowed"] == ["eu-*"]
    assert told["ip_allow"] == ["10.0.0.0/8", "2001:db8::/32"]
    assert (told["team"], told["tpd"], told["window_s"]) == ("core", 9, 60)
    assert (told["default_mode"], told["default_strategy"]) == ("local", "cost")
    assert told["overrides_allowed"] == ["mode", "prefer"]
    pool.ok("key", "set", "nightly", "--clear", "models", "window", "team", "mode")
    key = ClientKey.objects.get()
    assert (key.model_access, key.window_s, key.team) == ("all", None, None)
    assert (key.default_mode, key.provider_access) == ("", "only")
    pool.refused("key", "set", "nightly")
    pool.refused("key", "set", "nightly", "--ip", "nowhere")
    pool.refused("key", "set", "nightly", "--owner", "nobody@example.com")
