"""Routing from a draft over simulator and replay to what workers do, in a browser."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import watch
from tests.browser.test_first_run import EMAIL, MODEL
from tests.factories import PASSWORD
from tests.rig.product import Product
from tests.rig.upstream import UpstreamProcess

pytestmark = pytest.mark.process
WITHIN_S = 10


@pytest.fixture
def product(tmp_path: Path, upstream: UpstreamProcess) -> Iterator[Product]:
    """The product with one model at two providers, the first preferred."""
    with Product(tmp_path) as running:
        running.pool("user", "create", EMAIL, "--role", "owner", stdin=PASSWORD + "\n")
        for name, priority in (("first", 90), ("second", 10)):
            running.add_provider(
                name, base_url=upstream.base_url, models=[MODEL], priority=priority
            )
        running.start(within_s=60)
        yield running


def provider_of(product: Product, key: str) -> str:
    """Send one request and return who served it."""
    body = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}]}
    request = urllib.request.Request(
        f"{product.url}/chat/completions",
        json.dumps(body).encode(),
        {"authorization": f"Bearer {key}", "content-type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return str(answer.headers["x-pool-provider"])
    except urllib.error.HTTPError as error:
        return f"status {error.code}"  # a key of this moment is not known everywhere


def wait_for(product: Product, key: str, wanted: str) -> None:
    """Ask until a provider serves; what is published reaches workers within 2 s."""
    end = time.monotonic() + WITHIN_S
    served = provider_of(product, key)
    while served != wanted and time.monotonic() < end:
        time.sleep(0.2)
        served = provider_of(product, key)
    assert served == wanted


def add_rule(page: Page, name: str) -> None:
    page.click("#rules a:has-text('Add rule')")
    page.select_option("#id_provider", "second")
    page.fill("#id_name", name)
    page.click("main button.btn-primary")
    page.wait_for_url("**/routing/#rules")


def first_rule(page: Page, name: str) -> None:
    expect(page.locator("#rules tbody tr").first).to_contain_text(name)


def test_a_draft_is_simulated_replayed_published_and_put_back(
    chromium: Browser, product: Product
) -> None:
    context = chromium.new_context(base_url=product.root, timezone_id="UTC")
    watched = watch(context, product.root)
    page = watched.page
    watched.go("/accounts/login/")
    page.fill("input[name=login]", EMAIL)
    page.fill("input[name=password]", PASSWORD)
    page.click("main button.btn-primary")
    page.wait_for_url("**/")
    key = product.create_key("agent")
    wait_for(product, key, "first")
    product.wait_settled(within_s=15, quiet_s=1.0)

    watched.go("/routing/")
    page.fill("#id_groups", "second\n*")
    page.click("button:has-text('Save in draft')")
    expect(page.locator("#draft")).to_contain_text("1 change not in force")
    add_rule(page, "one")
    add_rule(page, "two")
    first_rule(page, "one")
    handles = page.locator("#rules tbody td[draggable]")
    handles.nth(1).drag_to(handles.nth(0))
    first_rule(page, "two")
    page.click("button[aria-label='Move rule 2 up']")
    first_rule(page, "one")

    page.fill("#sim-model", MODEL)
    page.press("#sim-model", "Tab")
    tried = page.locator("#candidates tbody tr")
    expect(tried.first).to_contain_text("second")
    page.check("input[aria-label='Pretend that second is down']")
    expect(tried.first).to_contain_text("first")
    assert provider_of(product, key) == "first"

    page.click("#draft a")
    page.click("text=Replay last 200 requests")
    expect(page.locator("#replay")).to_contain_text("would go elsewhere")
    page.fill("#id_note", "second comes first")
    page.click("button:has-text('Publish')")
    expect(page.locator("#toasts")).to_contain_text("Routing 1 is in force")
    wait_for(product, key, "second")

    page.click("text=History")
    expect(page.locator("main")).to_contain_text("second comes first")
    page.click("a:has-text('Revert to them')")
    page.click("#dialog button:has-text('Put in force')")
    expect(page.locator("main")).to_contain_text("Back to the defaults")
    wait_for(product, key, "first")
    watched.check()
    context.close()
