"""A hard budget from its creation over its refusal to its increase, in a browser."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import watch
from tests.browser.test_first_run import EMAIL, MODEL, ask
from tests.factories import PASSWORD
from tests.rig.product import Product
from tests.rig.upstream import UpstreamProcess

pytestmark = pytest.mark.process
WITHIN_S = 10


@pytest.fixture
def product(tmp_path: Path, upstream: UpstreamProcess) -> Iterator[Product]:
    """The product with one model that costs 0.05 USD a request."""
    with Product(tmp_path) as running:
        running.pool("user", "create", EMAIL, "--role", "owner", stdin=PASSWORD + "\n")
        running.add_provider("up", base_url=upstream.base_url, models=[MODEL])
        running.pool(
            "price", "set", MODEL, "--input", "0", "--output", "0",
            "--per-request", "0.05",
        )  # fmt: skip
        running.start(within_s=60)
        yield running


def wait_for(product: Product, key: str, wanted: int) -> dict[str, Any]:
    """Ask until an answer has a status; what is set reaches workers within 2 s."""
    end = time.monotonic() + WITHIN_S
    status, answer = ask(product, key)
    while status != wanted and time.monotonic() < end:
        time.sleep(0.2)
        status, answer = ask(product, key)
    assert status == wanted, answer
    return answer


def test_a_budget_is_crossed_refused_with_its_reset_and_raised(
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

    watched.go("/keys/add/")
    page.fill("#id_name", "thrifty")
    page.fill("#id_budget_usd", "0.10")
    page.click("button:has-text('Create key')")
    page.wait_for_selector("#once-secret")
    key = page.inner_text("#once-secret")

    wait_for(product, key, 200)
    refused = wait_for(product, key, 429)
    assert "resets at" in refused["error"]["message"]
    assert refused["error"]["code"] == "insufficient_quota"
    product.wait_settled(within_s=15, quiet_s=1.0)

    watched.go("/keys/")
    page.click("#keys tbody th a")
    expect(page.locator("main")).to_contain_text("Over budget")
    expect(page.locator("main")).to_contain_text("$0.10 of $0.10")
    page.click("text=Raise for a while")
    page.fill("#id_extra_usd", "0.05")
    until = datetime.now(UTC) + timedelta(hours=1)
    page.fill("#id_until", f"{until:%Y-%m-%dT%H:%M}")
    page.click("button:has-text('Save')")
    page.wait_for_url("**/keys/budgets/")
    expect(page.locator("#budgets")).to_contain_text("of $0.15")
    wait_for(product, key, 200)
    wait_for(product, key, 429)
    watched.check()
    context.close()
