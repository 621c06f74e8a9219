"""From the overview to the slowest request of the day, and what made it slow."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import expect

from poolsite.models import User
from tests.browser.conftest import Watched
from tests.factories import call, make_client_key, make_provider, ship, try_at

SLOW_MS = 48_000


@pytest.fixture
def slow_id(transactional_db: None) -> str:
    """One request of forty took 48 seconds; the others a second or two."""
    provider = make_provider("acme", models=["quick", "slow"], keys=["sk-acme-1"])
    key, _ = make_client_key("ci")
    now = datetime.now(UTC)
    slow = try_at(provider, "slow", latency_ms=SLOW_MS, ttft_ms=SLOW_MS - 500)
    quick = [
        call(
            key,
            try_at(provider, "quick", latency_ms=1_000 + 25 * n, ttft_ms=200),
            at=now - timedelta(minutes=2 + n),
        )
        for n in range(39)
    ]
    # Behind everything the live list of the overview shows.
    found = ship(call(key, slow, at=now - timedelta(minutes=90)), *quick)
    return str(found[0])


def test_a_slow_request_is_found_from_the_overview_in_three_clicks(
    open_as: Callable[..., Watched], owner: User, slow_id: str
) -> None:
    watched = open_as(owner)
    page = watched.go("/")
    assert slow_id not in page.content()

    page.click("text=Slow requests")  # 1
    rows = page.locator("table.requests tbody tr")
    expect(page.locator("a.chip-on")).to_have_count(2)
    expect(page.locator(f"#r-{slow_id}")).to_contain_text("48")
    assert rows.count() < 10

    page.click(f"#r-{slow_id} th a")  # 2
    expect(page.locator("h1")).to_contain_text("slow")
    trail = page.locator("ol.trail")
    expect(trail).to_contain_text("acme")
    expect(trail).to_contain_text("47.5 s")
    watched.check()


def test_the_way_to_slow_requests_needs_no_script(
    open_as: Callable[..., Watched], owner: User, slow_id: str
) -> None:
    watched = open_as(owner, java_script_enabled=False)
    page = watched.page
    page.goto("/")
    page.click("text=Slow requests")
    page.click(f"#r-{slow_id} th a")
    expect(page.locator("ol.trail")).to_contain_text("acme")
