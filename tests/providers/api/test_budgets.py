"""Budgets of every scope and every setting of a key, by the admin API."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from poolsite.models import User
from tests.providers.api.conftest import Api
from usage.models import Budget, ClientKey, Team

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "place",
    [
        {"scope": "pool"},
        {"scope": "team", "team": "core"},
        {"scope": "key", "key": "ci"},
        {"scope": "agent"},
        {"scope": "agent", "applies_to": "one", "value": "bot", "key": "ci"},
        {"scope": "session", "applies_to": "provider", "value": "acme"},
    ],
)
def test_a_budget_of_every_scope_is_set_and_changed(
    operator: Api, place: dict[str, str]
) -> None:
    Team.objects.create(slug="core", name="Core", created_at=datetime.now(UTC))
    assert operator("POST", "/client-keys", {"name": "ci"})[0] == 201
    sent = {"amount_usd": "5", "warn_usd": "4", "window": "day", **place}
    status, rows = operator("PUT", "/budgets", sent)
    assert status == 200
    [row] = rows
    assert row["scope"] == place["scope"]
    assert (row["amount_nano_usd"], row["warn_nano_usd"]) == (5 * 10**9, 4 * 10**9)
    path = f"/budgets/{row['id']}"
    changed = operator("PATCH", path, {"amount_usd": "7", "hard": False})[1][0]
    assert (changed["amount_nano_usd"], changed["hard"]) == (7 * 10**9, False)
    until = datetime.now(UTC) + timedelta(hours=1)
    more = {"extra_usd": "2", "until": until.isoformat()}
    assert operator("POST", f"{path}/increase", more)[1][0]["limit_nano_usd"] == (
        9 * 10**9
    )
    assert Budget.objects.get().extra_until == until


@pytest.mark.parametrize(
    "body",
    [
        {"amount_usd": "5", "scope": "team"},
        {"amount_usd": "5", "scope": "agent", "applies_to": "provider", "value": "x"},
        {"amount_usd": "5", "scope": "session", "applies_to": "one"},
        {"amount_usd": "5", "warn_usd": "6"},
        {"amount_usd": "5", "scope": "galaxy"},
    ],
)
def test_what_is_no_budget_is_refused(operator: Api, body: dict[str, Any]) -> None:
    assert operator("PUT", "/budgets", body)[0] in (400, 422)
    assert not Budget.objects.exists()


def test_every_setting_of_a_key_goes_there_and_back(operator: Api) -> None:
    email = User.objects.order_by("pk")[0].email
    sent = {
        "provider_access": "only", "providers_allowed": ["eu-*"],
        "ip_allow": ["2001:db8::/32"], "rpm": 1, "tpm": 2, "tpd": 3,
        "concurrency": 4, "window_requests": 5, "window_s": 6,
        "assumed_output_tokens": 7, "unpriced": "block", "tags": ["a"],
        "default_mode": "cloud", "default_strategy": "latency",
        "overrides_allowed": ["prefer"], "log_level": "bodies", "owner": email,
    }  # fmt: skip
    status, made = operator("POST", "/client-keys", {"name": "ci", **sent})
    assert status == 201, made
    told = operator("GET", "/client-keys/ci")[1]
    assert {name: told[name] for name in sent} == sent
    assert operator("PATCH", "/client-keys/ci", {"owner": None})[0] == 200
    assert ClientKey.objects.get().owner is None
    bad = operator("PATCH", "/client-keys/ci", {"default_strategy": "magic"})
    assert bad[0] in (400, 422)
