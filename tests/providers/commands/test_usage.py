"""``pool usage``: every group adds up to the totals, and to the ledger."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import pytest

from tests.factories import (
    call,
    failed_at,
    make_client_key,
    make_provider,
    ship,
    try_at,
)
from tests.providers.commands.conftest import Pool
from usage.models import Attempt, Request, Team
from usage.selectors import GROUPS

pytestmark = pytest.mark.django_db
NAMES: Final = {
    "provider": {"cheap": 2, "dear": 1},
    "model": {"small": 2, "large": 1},
    "key": {"ci": 2, "laptop": 1},
    "team": {"core": 2},
    "user": {"olivia": 1, "viktor": 2},
    "session": {"s:a:1": 2, "s:b:2": 1},
    "agent": {"codex": 1, "claude-code": 2},
    "status": {"200": 2, "500": 1},
}
"""Requests by value; calls of a key without a team are in none."""


@pytest.fixture
def ledger() -> None:
    cheap = make_provider("cheap", models=["small"], keys=["sk-1"])
    dear = make_provider("dear", models=["large"], keys=["sk-2"])
    now = datetime.now(UTC)
    core = Team.objects.create(slug="core", name="core", created_at=now)
    ci, _ = make_client_key("ci", team=core)
    team = {"team_id": core.pk}
    laptop, _ = make_client_key("laptop")
    ship(
        call(
            ci, failed_at(dear, "large"), try_at(cheap, "small"), session="s:a:1",
            agent="claude-code", end_user="viktor", at=now - timedelta(minutes=5), **team,
        ),
        call(
            ci, try_at(cheap, "small"), session="s:a:1", agent="claude-code",
            end_user="viktor", at=now - timedelta(minutes=4), status=500, **team,
        ),
        call(
            laptop, try_at(dear, "large"), session="s:b:2", agent="codex",
            end_user="olivia", at=now - timedelta(minutes=3),
        ),
    )  # fmt: skip


@pytest.mark.usefixtures("ledger")
@pytest.mark.parametrize("by", GROUPS)
def test_every_group_adds_up_to_the_totals(pool: Pool, by: str) -> None:
    data = pool.ok("usage", "--by", by, "--json").json
    named = {group["name"]: group["requests"] for group in data["groups"]}
    named = {name: count for name, count in named.items() if name and count}
    assert named == NAMES[by]
    totals = data["totals"]
    costs = [row.cost_nano_usd or 0 for row in Attempt.objects.all()]
    assert totals["cost_nano_usd"] == sum(costs)
    assert totals["requests"] == Request.objects.count() == 3
    assert totals["attempts"] == 4
    if by != "team":
        assert sum(g["cost_nano_usd"] for g in data["groups"]) == sum(costs)
        assert sum(g["requests"] for g in data["groups"]) == 3
    said = pool.ok("usage", "--by", by).out
    assert all(name in said for name in NAMES[by])


@pytest.mark.usefixtures("ledger")
def test_a_span_and_nonsense(pool: Pool) -> None:
    tomorrow = f"{datetime.now(UTC) + timedelta(days=1):%Y-%m-%d}"
    later = pool.ok("usage", "--since", tomorrow, "--json").json
    assert later["totals"]["requests"] == 0
    assert "is not a time" in pool.refused("usage", "--since", "soon")
    assert "invalid choice" in pool.refused("usage", "--by", "colour")
