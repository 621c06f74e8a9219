"""The first two minutes with the real product: token, wizard, key, first request."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, expect

from tests.browser.conftest import Watched, watch
from tests.factories import PASSWORD
from tests.rig.product import Product
from tests.rig.upstream import UpstreamProcess

pytestmark = pytest.mark.process
EMAIL = "olivia@example.com"
MODEL = "gpt-5-mini"


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Product]:
    """The product as it starts for the first time."""
    with Product(tmp_path) as running:
        running.start(within_s=60)
        yield running


@pytest.fixture(scope="module")
def prepared(
    tmp_path_factory: pytest.TempPathFactory, upstream: UpstreamProcess
) -> Iterator[Product]:
    """The product set up by its command line."""
    with Product(tmp_path_factory.mktemp("product")) as running:
        running.pool("user", "create", EMAIL, "--role", "owner", stdin=PASSWORD + "\n")
        running.add_provider("up", base_url=upstream.base_url, models=[MODEL])
        running.create_key("from-here")
        running.start(within_s=60)
        yield running


@pytest.fixture
def browse(chromium: Browser) -> Iterator[Callable[[Product], Watched]]:
    """Return a function that opens a browser at a product."""
    contexts: list[BrowserContext] = []

    def opened(product: Product) -> Watched:
        shape: Any = {"width": 1280, "height": 900}
        context = chromium.new_context(base_url=product.root, viewport=shape)
        contexts.append(context)
        return watch(context, product.root)

    yield opened
    for context in contexts:
        context.close()


def ask(product: Product, key: str) -> tuple[int, dict[str, Any]]:
    """Send one chat request as a client would."""
    body = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}]}
    request = urllib.request.Request(
        f"{product.url}/chat/completions",
        json.dumps(body).encode(),
        {"authorization": f"Bearer {key}", "content-type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_from_the_token_to_the_first_priced_request(
    browse: Callable[[Product], Watched], fresh: Product, upstream: UpstreamProcess
) -> None:
    begun, product, watched = time.monotonic(), fresh, browse(fresh)
    page = watched.page
    refused = page.goto("/")
    assert refused
    assert refused.status == 403
    assert page.url.endswith("/setup/")
    watched.faults.clear()  # the browser reports every 403 of a page
    token = product.pool("setup-token").strip().rpartition("token=")[2]

    watched.go(f"/setup/?token={token}")
    page.fill("#id_email", EMAIL)
    page.fill("#id_password", PASSWORD)
    page.click("button:has-text('Create account')")
    page.wait_for_url("**/setup/provider/")

    page.click("a:has-text('Custom')")
    page.fill("#id_slug", "up")
    page.fill("#id_name", "Upstream")
    page.fill("#id_base_url", upstream.base_url)
    page.fill("#id_secrets", "sk-upstream-good")
    page.fill("#id_models", MODEL)
    page.click("details.advanced > summary")
    page.check("#id_allow_private")
    page.click("button:has-text('Test and continue')")
    page.wait_for_url("**/setup/key/")

    page.click("button:has-text('Create key')")
    page.wait_for_selector("#once-secret")
    key = page.inner_text("#once-secret")
    expect(page.locator("#first-request")).to_contain_text("Waiting for your first")

    deadline = time.monotonic() + 10
    status, answer = ask(product, key)
    while status != 200 and time.monotonic() < deadline:
        time.sleep(0.2)  # the key reaches the data plane within two seconds
        status, answer = ask(product, key)
    assert status == 200, answer
    expect(page.locator("#first-request")).to_contain_text("First request")
    assert time.monotonic() - begun < 60

    page.click("text=See its trail")
    page.wait_for_selector("text=Attempt trail")
    shown = page.inner_text("main")
    usage = answer["usage"]
    assert f"{usage['prompt_tokens']:,}" in shown
    assert "Served the client." in shown
    # $0.25 in and $2 out per million, from the price book, to the nano-dollar
    nano = usage["prompt_tokens"] * 250 + usage["completion_tokens"] * 2000
    assert f"{nano / 1e9:.9f} USD" in shown
    watched.check()

    watched.go("/")
    assert page.locator(".requests tbody tr").count() >= 1
    assert page.locator("text=First steps").count() == 0
    watched.check()

    watched.go("/keys/")
    page.click("#keys tbody th a")
    page.click("a:has-text('Revoke')")
    page.click("#dialog button:has-text('Revoke key')")
    page.wait_for_url("**/keys/")
    revoked = time.monotonic()
    while ask(product, key)[0] != 401:
        assert time.monotonic() - revoked < 2.5
        time.sleep(0.05)
    watched.check()


def test_the_console_sends_a_test_through_the_proxy(
    browse: Callable[[Product], Watched], prepared: Product
) -> None:
    watched = browse(prepared)
    page = watched.page
    watched.go("/accounts/login/")
    page.fill("input[name=login]", EMAIL)
    page.fill("input[name=password]", PASSWORD)
    page.click("main button.btn-primary")
    page.wait_for_url("**/")
    watched.go("/setup/test/")
    page.click("button:has-text('Send a test from here')")
    page.wait_for_selector("text=It works")
    watched.check()


def test_the_product_serves_compressed_files_and_a_strict_policy(
    browse: Callable[[Product], Watched], prepared: Product
) -> None:
    watched = browse(prepared)
    sizes: list[int] = []
    watched.page.on(
        "requestfinished",
        lambda request: sizes.append(request.sizes()["responseBodySize"]),
    )
    answer = watched.page.goto("/accounts/login/")
    assert answer
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    watched.page.wait_for_load_state("networkidle")
    assert 0 < sum(sizes) <= 90 * 1024
    watched.check()
