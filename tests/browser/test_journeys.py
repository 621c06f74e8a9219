"""What people do in the console, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, expect

from poolsite.models import AuditEvent, User
from providers.models import Provider
from tests.browser.conftest import Watched
from tests.factories import PASSWORD, make_client_key, make_provider, make_requests
from tests.rig.upstream import UpstreamProcess
from usage.models import ClientKey

TEXT = re.compile(r"pp_[0-9A-Za-z]{8}_[0-9A-Za-z]{49}")


def sign_in(page: Page, email: str = "olivia@example.com") -> None:
    page.goto("/")
    page.fill("input[name=login]", email)
    page.fill("input[name=password]", PASSWORD)
    page.click("main button.btn-primary")
    page.wait_for_url("**/")


def fill_provider(page: Page, base_url: str, key: str) -> None:
    page.fill("#id_slug", "vendor")
    page.fill("#id_name", "Vendor")
    page.fill("#id_base_url", base_url)
    page.fill("#id_secrets", key)
    page.click("details.advanced > summary")
    page.check("#id_allow_private")


def test_sign_in_and_out(open_as: Callable[..., Watched], owner: User) -> None:
    watched = open_as()
    page = watched.page
    sign_in(page)
    assert page.locator("h1").inner_text() == "Overview"
    page.click("details.menu > summary >> nth=0")
    page.click("button:has-text('Sign out')")
    page.wait_for_url("**/accounts/login/**")
    watched.check()


def test_a_provider_is_tried_mended_and_saved_without_losing_the_form(
    open_as: Callable[..., Watched], owner: User, upstream: UpstreamProcess
) -> None:
    watched = open_as(owner)
    page = watched.go("/providers/add/")
    page.fill("input[type=search]", "zzzz")
    page.wait_for_selector("text=Nobody in the catalogue")
    page.click("a[href='/providers/add/?catalogue=custom']")
    fill_provider(page, upstream.base_url, "sk-bad-401")
    page.click("button:has-text('Test and save')")
    page.wait_for_selector("#check >> text=refused the key")
    assert page.input_value("#id_secrets") == "sk-bad-401"
    assert not Provider.objects.exists()
    page.fill("#id_secrets", "sk-good-key-of-mine")
    page.click("button[name=test_only]")
    page.wait_for_selector("#check >> text=It works")
    page.click("button:has-text('Test and save')")
    page.wait_for_url("**/providers/vendor/")
    assert page.locator(".toast-ok").inner_text().startswith("Vendor was added.")
    assert "sk-good-key-of-mine" not in page.content()
    assert page.locator("#models tbody tr").count() > 0
    watched.check()


def test_the_key_is_visible_exactly_once(
    open_as: Callable[..., Watched], owner: User
) -> None:
    watched = open_as(owner)
    page = watched.go("/keys/add/")
    assert not page.locator("#id_models_allowed").is_visible()
    page.check("input[name=model_access][value=only]")
    page.fill("#id_models_allowed", "gpt-*")
    assert not page.locator("#id_window").is_visible()
    page.fill("#id_name", "ci")
    page.fill("#id_budget_usd", "2.5")
    assert page.locator("#id_window").is_visible()
    page.click("button:has-text('Create key')")
    page.wait_for_selector("#once-secret")
    text = page.inner_text("#once-secret")
    assert TEXT.fullmatch(text)
    page.click("text=I have stored it")
    page.wait_for_selector("text=What it may do")
    key = ClientKey.objects.get()
    for url in ("/keys/", f"/keys/{key.pk}/", "/audit/", "/"):
        assert text not in watched.go(url).content(), url
    stored = page.evaluate(
        "JSON.stringify([Object.entries(localStorage), Object.entries(sessionStorage)])"
    )
    assert text not in stored
    assert text not in page.evaluate("JSON.stringify(history.state) || ''")
    watched.check()


def test_a_key_is_revoked_in_a_dialog(
    open_as: Callable[..., Watched], owner: User
) -> None:
    key, _ = make_client_key("old-laptop")
    watched = open_as(owner)
    page = watched.go(f"/keys/{key.pk}/")
    page.click("a:has-text('Revoke')")
    page.wait_for_selector("dialog#dialog[open]")
    assert page.locator("#dialog-title").inner_text() == "Revoke old-laptop?"
    page.click("#dialog [data-close]")
    assert ClientKey.objects.get().revoked_at is None
    page.click("a:has-text('Revoke')")
    page.click("#dialog button:has-text('Revoke key')")
    page.wait_for_url("**/keys/")
    page.wait_for_selector(".toast-ok >> text=old-laptop was revoked.")
    key.refresh_from_db()
    assert key.revoked_at
    assert AuditEvent.objects.filter(action="client_key.revoke").count() == 1
    watched.check()


def test_the_log_is_filtered_paged_and_opened(
    open_as: Callable[..., Watched], owner: User, world: dict[str, Any]
) -> None:
    watched = open_as(owner)
    page = watched.go("/requests/")
    assert page.locator("#rows tbody tr").count() == 50
    page.click("a[rel=next]")
    page.wait_for_url("**/requests/?cursor=*")
    assert page.locator("#rows tbody tr").count() == 15
    page.go_back()
    expect(page.locator("#rows tbody tr")).to_have_count(50)
    assert page.locator("h1").count() == 1
    page.keyboard.press("/")
    page.keyboard.type("status:502")
    page.keyboard.press("Enter")
    page.wait_for_url("**/requests/?status=502")
    assert page.locator("#rows tbody tr").count() == 1
    page.click("#rows tbody th a")
    page.wait_for_selector("text=Attempt trail")
    assert "Exhausted: no candidate was left." in page.inner_text("main")
    watched.check()


def test_three_attempts_are_told_apart(
    open_as: Callable[..., Watched], owner: User, world: dict[str, Any]
) -> None:
    watched = open_as(owner)
    page = watched.go("/requests/?model=smart-model")
    marks = page.locator("#rows .attempts > span")
    assert marks.count() == 3
    page = watched.go(f"/requests/{world['fallback']}/")
    steps = page.locator(".trail > li")
    assert steps.count() == 3
    assert "429" in steps.nth(0).inner_text()
    assert "Served the client." in steps.nth(2).inner_text()
    assert "sk-…cdef" in steps.nth(0).inner_text()
    watched.check()


def test_the_overview_shows_new_traffic_by_itself(
    open_as: Callable[..., Watched], owner: User
) -> None:
    provider = make_provider(models=["gpt-5-mini"], keys=["sk-a"])
    make_requests(provider, "gpt-5-mini", 2)
    watched = open_as(owner)
    page = watched.page
    page.clock.install()
    watched.go("/")
    assert page.locator(".requests tbody tr").count() == 2
    make_requests(provider, "gpt-5-mini", 1)
    page.clock.run_for(11_000)
    expect(page.locator(".requests tbody tr")).to_have_count(3)
    watched.check()


def test_live_tail_shows_new_rows(open_as: Callable[..., Watched], owner: User) -> None:
    provider = make_provider(models=["gpt-5-mini"], keys=["sk-a"])
    make_requests(provider, "gpt-5-mini", 1)
    watched = open_as(owner)
    page = watched.go("/requests/")
    page.click("text=Live tail")
    page.wait_for_url("**/requests/?live=1")
    make_requests(provider, "gpt-5-mini", 2)
    expect(page.locator("#rows tbody tr")).to_have_count(3)
    watched.check()


def test_everything_works_without_scripts(
    open_as: Callable[..., Watched], owner: User, upstream: UpstreamProcess
) -> None:
    page = open_as(java_script_enabled=False).page
    sign_in(page)
    page.goto("/providers/add/?catalogue=custom")
    fill_provider(page, upstream.base_url, "sk-good-key")
    page.click("button:has-text('Test and save')")
    page.wait_for_url("**/providers/vendor/")
    page.click("button:has-text('Test')")
    assert "It works" in page.inner_text("main")
    page.goto("/keys/add/")
    page.fill("#id_name", "no-scripts")
    page.click("button:has-text('Create key')")
    assert TEXT.fullmatch(page.inner_text("#once-secret"))
    page.goto("/settings/profile/")
    page.select_option("#id_theme", "dark")
    page.click("main button.btn-primary")
    assert page.locator("html[data-theme=dark]").count() == 1
    provider = Provider.objects.get()
    make_requests(provider, provider.models.all()[0].model_id, 2)
    page.goto("/requests/")
    page.click("text=4xx")
    assert "Nothing matches these filters" in page.inner_text("main")
    page.click("text=Clear the filters")
    assert page.locator("#rows tbody tr").count() == 2
    page.goto("/providers/vendor/")
    page.click("a:has-text('Delete') >> nth=0")
    page.fill("#confirm-name", "vendor")
    page.click("button:has-text('Delete provider')")
    page.wait_for_url("**/providers/")
    assert "No provider yet" in page.inner_text("main")


def test_a_session_that_ended_leads_to_sign_in_and_back(
    open_as: Callable[..., Watched], owner: User
) -> None:
    key, _ = make_client_key("mine")
    watched = open_as(owner)
    page = watched.go(f"/keys/{key.pk}/")
    page.context.clear_cookies()
    page.click("a:has-text('Revoke')")
    page.wait_for_url("**/accounts/login/**")
    page.fill("input[name=login]", "olivia@example.com")
    page.fill("input[name=password]", PASSWORD)
    page.click("main button.btn-primary")
    page.wait_for_url(f"**/keys/{key.pk}/")


def test_the_page_stays_calm_when_the_server_is_gone(
    open_as: Callable[..., Watched], owner: User
) -> None:
    watched = open_as(owner)
    page = watched.page
    page.clock.install()
    watched.go("/providers/")
    make_provider()
    watched.go("/")
    page.route("**/*", lambda route: route.abort())
    for _ in range(3):
        with page.expect_event("requestfailed"):
            page.clock.run_for(10_500)
    page.wait_for_selector("[data-live=paused]", state="attached")
    assert page.locator(".live-strip").is_visible()
    assert page.locator(".toast-error").count() == 0
    page.unroute("**/*")
    page.clock.run_for(11_000)
    page.wait_for_selector("html:not([data-live=paused])", state="attached")
