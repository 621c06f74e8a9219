"""The kit in a real browser: no policy violation, no overflow, scripts that work.

Chromium is the distribution's; ``POOL_TEST_CHROMIUM`` names another one.
"""

from __future__ import annotations

import gc
import os
import shutil
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from pytest_django.live_server_helper import LiveServer

from poolsite.models import User

CHROMIUM = os.environ.get("POOL_TEST_CHROMIUM") or shutil.which("chromium") or ""
QUIET = (
    "--no-sandbox --disable-gpu --disable-background-networking "
    "--disable-component-update --disable-sync --no-first-run"
)
WATCH = """
window.violations = [];
document.addEventListener('securitypolicyviolation', (e) => {
  window.violations.push(e.violatedDirective + ' ' + e.blockedURI);
});
"""
pytestmark = [
    pytest.mark.browser,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.skipif(
        not CHROMIUM and os.environ.get("CI") != "true",
        reason="needs Chromium: apt-get install chromium",
    ),
]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    before = os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE")
    # Playwright's own loop runs in this thread; Django must not mind it.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as tools:
        made = tools.chromium.launch(executable_path=CHROMIUM, args=QUIET.split())
        yield made
        made.close()
    if before is None:
        del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture
def served(site: Any, transactional_db: None) -> Iterator[LiveServer]:
    """The test site on a free port, through the middleware of the fixture ``site``."""
    server = LiveServer("localhost")
    yield server
    server.stop()
    # The browser keeps idle connections open; the server drops them unclosed.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture
def place(chromium: Browser, owner: Any, served: Any) -> Iterator[BrowserContext]:
    """A browser that is signed in as the owner and watches for violations."""
    context = chromium.new_context(base_url=served.url)
    context.add_init_script(WATCH)
    name = "pool-session"
    context.add_cookies(
        [{"name": name, "value": owner.cookies[name].value, "url": served.url}]
    )
    yield context
    context.close()


@pytest.fixture
def faults() -> list[str]:
    return []


@pytest.fixture
def tab(place: BrowserContext, faults: list[str]) -> Page:
    made = place.new_page()
    made.on("pageerror", lambda error: faults.append(str(error)))
    made.on(
        "console",
        lambda said: faults.append(said.text) if said.type == "error" else None,
    )
    return made


def assert_calm(tab: Page, faults: list[str]) -> None:
    assert tab.evaluate("window.violations") == []
    assert faults == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_the_style_guide_fits_and_trips_no_policy(
    tab: Page, faults: list[str], scheme: Any, width: int
) -> None:
    tab.emulate_media(color_scheme=scheme)
    tab.set_viewport_size({"width": width, "height": 900})
    tab.goto("/")
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    background = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    dark = "rgb(14, 16, 20)"
    assert (background == dark) == (scheme == "dark")
    assert_calm(tab, faults)


def test_the_theme_changes_at_once_and_stays(tab: Page, faults: list[str]) -> None:
    tab.goto("/")
    tab.click("details.menu > summary >> nth=0")
    with tab.expect_response("**/preferences/"):
        tab.click("button[name=theme][value=dark]")
    assert tab.evaluate("document.documentElement.dataset.theme") == "dark"
    tab.reload()
    assert tab.evaluate("document.documentElement.dataset.theme") == "dark"
    assert User.objects.get(email="owner@example.com").theme == "dark"
    assert_calm(tab, faults)


def test_delete_opens_a_dialog_and_waits_for_the_name(
    tab: Page, faults: list[str]
) -> None:
    tab.goto("/")
    tab.click("a[hx-get='/delete/']")
    tab.wait_for_selector("dialog#dialog[open]")
    button = tab.locator("#dialog button.btn-danger-solid")
    assert button.is_disabled()
    tab.fill("#confirm-name", "anthropic")
    assert button.is_enabled()
    tab.click("#dialog [data-close]")
    assert not tab.locator("dialog#dialog").is_visible()
    assert_calm(tab, faults)


def test_copy_says_that_it_copied(
    place: BrowserContext, tab: Page, faults: list[str]
) -> None:
    place.grant_permissions(["clipboard-read", "clipboard-write"])
    tab.goto("/")
    tab.click("button[data-copy-from='#once-secret']")
    tab.wait_for_function(
        "document.getElementById('announce').textContent === 'Copied'"
    )
    copied = tab.evaluate("navigator.clipboard.readText()")
    assert copied == tab.text_content("#once-secret")
    assert_calm(tab, faults)


def test_the_keyboard_reaches_everything(tab: Page, faults: list[str]) -> None:
    tab.goto("/")
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.className") == "skip-link"
    tab.keyboard.press("/")
    assert tab.evaluate("document.activeElement.name") == "q"
    tab.keyboard.type("?")
    assert not tab.locator("#shortcuts").is_visible()
    tab.locator("h1").click()
    tab.keyboard.press("?")
    assert tab.locator("#shortcuts").is_visible()
    tab.keyboard.press("Escape")
    tab.keyboard.press("Control+k")
    tab.keyboard.type("client")
    tab.keyboard.press("Enter")
    tab.wait_for_url("**/keys/")
    tab.keyboard.press("g")
    tab.keyboard.press("p")
    tab.wait_for_url("**/providers/")
    assert_calm(tab, faults)


def test_the_menu_of_a_row_is_not_cut_off(tab: Page, faults: list[str]) -> None:
    tab.goto("/")
    tab.locator("td details.menu > summary").last.click()
    box = tab.locator("td details.menu[open] .menu-items").bounding_box()
    assert box
    assert box["height"] > 90
    last = tab.locator("td details.menu[open] a.danger")
    last.click(trial=True)
    assert_calm(tab, faults)


def test_the_tick_reaches_the_body_while_the_tab_is_visible(
    tab: Page, faults: list[str]
) -> None:
    tab.clock.install()
    tab.goto("/")
    tab.evaluate(
        "document.body.addEventListener('pool:tick', () => { window.ticks = (window.ticks || 0) + 1; })"
    )
    tab.clock.run_for(31_000)
    assert tab.evaluate("window.ticks") == 3
    assert_calm(tab, faults)


def test_a_pasted_secret_is_cleaned_with_a_notice(tab: Page, faults: list[str]) -> None:
    tab.goto("/edit/")
    tab.fill("#id_api_key", "Bearer  sk-abc ")
    tab.locator("#id_api_key").blur()
    assert tab.input_value("#id_api_key") == "sk-abc"
    assert tab.locator("[data-stripped]").is_visible()
    assert_calm(tab, faults)


def test_the_sidebar_is_a_sheet_on_a_phone_even_without_scripts(
    chromium: Browser, place: BrowserContext, served: Any
) -> None:
    context = chromium.new_context(
        base_url=served.url,
        java_script_enabled=False,
        viewport={"width": 390, "height": 800},
        storage_state=place.storage_state(),
    )
    tab = context.new_page()
    tab.goto("/")
    assert not tab.locator("#sidebar").is_visible()
    tab.click("button[popovertarget=sidebar]")
    tab.click("#sidebar a[href='/keys/']")
    tab.wait_for_url("**/keys/")
    context.close()


def test_forms_and_confirmations_work_without_scripts(
    chromium: Browser, place: BrowserContext, served: Any
) -> None:
    context = chromium.new_context(
        base_url=served.url,
        java_script_enabled=False,
        storage_state=place.storage_state(),
    )
    tab = context.new_page()
    tab.goto("/edit/")
    tab.fill("#id_name", "Anthropic")
    tab.fill("#id_base_url", "https://api.example.com")
    tab.click("main button.btn-primary")
    assert tab.locator(".toast-ok").is_visible()
    tab.goto("/delete/")
    tab.fill("#confirm-name", "anthropic")
    tab.click("button.btn-danger-solid")
    tab.wait_for_url(f"{served.url}/")
    context.close()
