"""A coding session, followed from one of its requests through its sums and back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import expect

from poolsite.models import User
from pricing.tokens import TokenUsage
from tests.browser.conftest import Watched
from tests.factories import call, make_client_key, make_provider, ship, try_at

SESSION = "claude-code:repo/<b>one</b>:7f3a"
CALLS = 4


@pytest.fixture
def ids(transactional_db: None) -> list[str]:
    """Four requests of one session at two models, among others without one."""
    provider = make_provider("acme", models=["large", "small"], keys=["sk-acme-1"])
    key, _ = make_client_key("laptop")
    now = datetime.now(UTC)
    usage = TokenUsage(input_tokens=1_000, output_tokens=100)
    theirs = [
        call(
            key,
            try_at(provider, ("large", "small")[n % 2], usage=usage),
            at=now - timedelta(minutes=30 - 5 * n),
            agent="claude-code",
            session=SESSION,
        )
        for n in range(CALLS)
    ]
    others = [
        call(key, try_at(provider, "small"), at=now - timedelta(minutes=3 + n))
        for n in range(6)
    ]
    return [str(each) for each in ship(*theirs, *others)][:CALLS]


def test_a_session_is_followed_from_one_of_its_requests(
    open_as: Callable[..., Watched], owner: User, ids: list[str]
) -> None:
    watched = open_as(owner)
    page = watched.go("/")
    page.click(f"#r-{ids[-1]} th a")
    expect(page.locator("main")).to_contain_text("claude-code")

    page.click("text=Follow it")
    page.wait_for_url("**/usage/session/**")
    main = page.locator("main")
    expect(main).to_contain_text(SESSION)
    expect(main.locator(".kpi", has_text="Requests")).to_contain_text(str(CALLS))
    expect(main.locator(".kpi", has_text="Duration")).to_contain_text("15 m")
    rows = main.locator("#requests tbody tr")
    expect(rows).to_have_count(CALLS)

    rows.nth(CALLS - 1).locator("th a").click()
    expect(page.locator("h1")).to_contain_text("large")
    page.go_back()
    page.click("text=In the log")
    expect(page.locator("table.requests tbody tr")).to_have_count(CALLS)
    expect(page.locator("a.chip-on")).to_contain_text("Session")
    watched.check()


def test_a_session_is_found_among_the_dearest(
    open_as: Callable[..., Watched], owner: User, ids: list[str]
) -> None:
    watched = open_as(owner)
    page = watched.go("/usage/")
    page.click("main >> text=Sessions")
    row = page.locator("tbody tr", has_text="claude-code")
    expect(row).to_have_count(1)
    row.locator("th a").click()
    expect(page.locator("#requests tbody tr")).to_have_count(CALLS)
    watched.check()
