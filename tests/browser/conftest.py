"""A browser, a server with rows to look at, and a watch for what must not happen.

Chromium is the distribution's; ``POOL_CHROMIUM`` names another one.
"""

from __future__ import annotations

import gc
import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from pytest_django.live_server_helper import LiveServer

from poolsite.models import User
from tests import factories
from tests.browser.world import build
from tests.rig.upstream import UpstreamProcess

CHROMIUM = os.environ.get("POOL_CHROMIUM") or shutil.which("chromium") or ""
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WATCH = """
window.violations = [];
document.addEventListener('securitypolicyviolation', (event) => {
  window.violations.push(event.violatedDirective + ' ' + event.blockedURI);
});
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything here, and skip it where there is no browser."""
    here = Path(__file__).parent
    for item in items:
        if here not in Path(item.fspath).parents:
            continue
        item.add_marker(pytest.mark.browser)
        item.add_marker(pytest.mark.filterwarnings("ignore::ResourceWarning"))
        if not CHROMIUM and os.environ.get("CI") != "true":
            reason = "needs Chromium: apt-get install -y chromium"
            item.add_marker(pytest.mark.skip(reason=reason))


# Not for the session: while Playwright lives its loop runs in this thread, and every
# asynchronous test in between would find one running.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    before = os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE")
    # Playwright's own loop runs in this thread; Django must not mind it.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as tools:
        made = tools.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield made
        made.close()
    if before is None:
        del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture
def server(transactional_db: None) -> Iterator[LiveServer]:
    """The console on a free port."""
    running = LiveServer("127.0.0.1")
    yield running
    running.stop()
    # The browser keeps idle connections open; the server drops them unclosed.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture
def world(transactional_db: None) -> dict[str, Any]:
    """Providers that serve, fail and cool, keys, and a day of requests."""
    return build()


@pytest.fixture(scope="session")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UpstreamProcess]:
    with UpstreamProcess(tmp_path_factory.mktemp("upstream")) as running:
        yield running


@dataclass
class Watched:
    """A page, and everything that went wrong on it or left it."""

    page: Page
    base: str
    faults: list[str] = field(default_factory=list)

    def go(self, path: str) -> Page:
        """Open a page; its answer must be one."""
        answer = self.page.goto(path)
        assert answer
        assert answer.status < 400, f"{path}: {answer.status}"
        return self.page

    def check(self) -> None:
        """No policy violation, no error in the console, no foreign request."""
        assert self.page.evaluate("window.violations") == []
        assert self.faults == []


@pytest.fixture
def open_as(chromium: Browser, server: LiveServer) -> Iterator[Callable[..., Watched]]:
    """Return a function that opens a browser as somebody, or as a stranger."""
    contexts: list[BrowserContext] = []

    def opened(user: User | None = None, **options: Any) -> Watched:
        options.setdefault("viewport", {"width": 1280, "height": 900})
        context = chromium.new_context(base_url=server.url, **options)
        contexts.append(context)
        if user is not None:
            context.add_cookies([session_of(user, server.url)])
        return watch(context, server.url)

    yield opened
    for context in contexts:
        context.close()


def session_of(user: User, url: str) -> Any:
    """Return the cookie of a signed-in person."""
    client = Client()
    client.force_login(user)
    name = "pool-session"
    return {"name": name, "value": client.cookies[name].value, "url": url}


def watch(context: BrowserContext, base: str) -> Watched:
    """Open a page that notes every fault."""
    if context.browser is not None:
        context.add_init_script(WATCH)
    page = context.new_page()
    found = Watched(page, base)
    page.on("pageerror", lambda error: found.faults.append(str(error)))
    page.on(
        "console",
        lambda said: found.faults.append(said.text) if said.type == "error" else None,
    )
    page.on("request", lambda request: _note_foreign(found, request.url))
    return found


def _note_foreign(found: Watched, url: str) -> None:
    if not url.startswith((found.base, "data:", "blob:", "about:")):
        found.faults.append(f"request to {url}")


@pytest.fixture
def owner(transactional_db: None) -> User:
    return factories.make_user("olivia@example.com", "owner", name="Olivia Meyer")
