"""Dragging over a chart narrows the range; the bar above it stays in sight."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, expect

from poolsite.models import User
from tests.browser.conftest import Watched
from tests.factories import call, make_client_key, make_provider, ship, try_at


@pytest.fixture
def traffic(transactional_db: None) -> None:
    provider = make_provider("acme", models=["m"], keys=["sk-acme-1"])
    key, _ = make_client_key("ci")
    now = datetime.now(UTC)
    ship(
        *(
            call(key, try_at(provider, "m"), at=now - timedelta(hours=n))
            for n in range(1, 24)
        )
    )


def drag(page: Page, start: float, end: float, *, drop: bool = True) -> None:
    """Drag over the first chart, from one share of its width to another."""
    chart = page.locator("[data-zoom] svg.chart").first
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    assert box
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + start * box["width"], y)
    page.mouse.down()
    page.mouse.move(box["x"] + end * box["width"], y, steps=4)
    if drop:
        page.mouse.up()


def test_dragging_over_the_chart_sets_the_range_of_the_address(
    open_as: Callable[..., Watched], owner: User, traffic: None
) -> None:
    watched = open_as(owner, timezone_id="UTC")
    page = watched.go("/usage/?range=24h&by=model&metric=requests")
    # Columns begin at 7 %: twelve of 24 hours, marked from right to left.
    drag(page, 0.99, 0.54)
    page.wait_for_url("**from=**")
    asked = parse_qs(urlsplit(page.url).query)
    assert (asked["by"], asked["metric"], "range" in asked) == (
        ["model"], ["requests"], False,
    )  # fmt: skip
    begin, end = (datetime.fromisoformat(asked[name][0]) for name in ("from", "to"))
    assert end - begin == timedelta(hours=12)
    assert page.locator("#from").input_value() == f"{begin:%Y-%m-%dT%H:%M}"
    expect(page.locator("main")).to_contain_text("An absolute range does not refresh")
    watched.check()


def test_a_click_and_escape_leave_the_range_alone(
    open_as: Callable[..., Watched], owner: User, traffic: None
) -> None:
    watched = open_as(owner)
    page = watched.go("/usage/?range=24h&metric=requests")
    drag(page, 0.5, 0.501)
    drag(page, 0.3, 0.8, drop=False)
    expect(page.locator(".zoom-mark")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(page.locator(".zoom-mark")).to_have_count(0)
    page.mouse.up()
    assert page.url.endswith("range=24h&metric=requests")
    watched.check()


def test_the_bar_stays_in_sight_where_there_is_room(
    open_as: Callable[..., Watched], owner: User, traffic: None
) -> None:
    watched = open_as(owner)
    page = watched.go("/usage/?range=24h")
    page.mouse.wheel(0, 900)
    page.wait_for_function("scrollY > 300")
    expect(page.locator(".range-bar")).to_be_in_viewport()
