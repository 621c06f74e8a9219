"""Every page in every theme and width: policy, console, accessibility, weight."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Response

from poolsite import setup
from poolsite.models import User
from tests.browser.conftest import Watched
from tests.factories import make_provider

AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text()
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
CASES = [
    pytest.param(scheme, width, id=f"{scheme}-{width}")
    for scheme in ("light", "dark")
    for width in (1280, 390)
]


ROUTING = [
    "/routing/", "/routing/rules/add/", "/routing/rules/1/", "/routing/draft/",
    "/routing/draft/replay/", "/routing/history/", "/routing/history/1/",
    "/routing/aliases/", "/routing/aliases/add/", "/routing/default-model/",
    "/routing/simulate/?model=fast&down=openai",
    "/routing/cooldowns/", "/routing/cooldowns/clear-all/", "/routing/health/",
    "/routing/health/?models=all",
]  # fmt: skip


def pages(world: dict[str, Any]) -> list[str]:
    key = world["key"].pk
    kinds = ("fallback", "failed", "refused", "cut", "unpriced")
    return [
        "/", "/?range=7d", "/providers/", "/providers/?state=healthy&q=zzz",
        "/providers/add/", "/providers/add/?catalogue=openai", "/providers/openai/",
        "/providers/openrouter/", "/providers/mistral/", "/providers/openai/edit/",
        "/providers/openai/keys/add/", "/providers/openai/models/add/",
        "/providers/openai/remove/", "/keys/", "/keys/?show=ended", "/keys/add/",
        f"/keys/{key}/", f"/keys/{key}/edit/", f"/keys/{key}/rotate/",
        f"/keys/{key}/revoke/", f"/keys/{key}/use/", "/keys/budgets/",
        "/keys/budgets/add/", "/requests/", "/requests/?live=1",
        "/requests/?key=nobody", *(f"/requests/{world[kind]}/" for kind in kinds),
        *ROUTING,
        "/usage/", "/usage/?by=model&range=90d", "/usage/?by=agent&compare=1",
        "/usage/?by=model&agent=x", "/usage/sessions/", "/usage/difference/",
        "/usage/reconciliation/", "/usage/reconciliation/new/",
        "/usage/views/", "/usage/views/save/", "/usage/exports/", "/usage/rebuild/",
        "/settings/", "/settings/profile/", "/settings/tokens/", "/settings/secrets/",
        "/settings/alerts/", "/settings/alerts/channels/add/webhook/",
        "/settings/alerts/channels/add/mail/",
        "/settings/kept/", "/settings/kept/usage.Request/", "/models/schedule/",
        "/users/", "/users/add/", "/audit/", "/setup/provider/", "/setup/key/",
        "/setup/test/", "/setup/provider/?catalogue=custom",
    ]  # fmt: skip


EMPTY = ["/", "/usage/", "/providers/", "/keys/", "/requests/", "/users/", "/settings/"]
STRANGERS = ["/accounts/login/", "/accounts/password/reset/"]


def violations(page: Page) -> list[str]:
    """Return what axe finds, one sentence a rule."""
    page.evaluate(AXE)
    found: list[str] = page.evaluate(
        """async (rules) => (await axe.run(document, {
            runOnly: {type: 'tag', values: rules}, resultTypes: ['violations'],
        })).violations.map((v) => v.id + ': ' + v.nodes.slice(0, 3)
            .map((n) => n.html.slice(0, 200) + ' ' + (n.failureSummary || '')).join(' | '))""",
        RULES,
    )
    return found


def look_at(watched: Watched, paths: list[str], width: int) -> None:
    """Open each page; collect everything that is wrong before complaining."""
    wrong: list[str] = []
    for path in paths:
        page = watched.go(path)
        wide = page.evaluate("document.documentElement.scrollWidth")
        if wide > width:
            wrong.append(f"{path} is {wide} wide")
        wrong += [f"{path} {each}" for each in violations(page)]
        watched.check()
    assert wrong == [], "\n".join(wrong)


@pytest.mark.parametrize(("scheme", "width"), CASES)
def test_pages_with_rows(
    open_as: Callable[..., Watched],
    owner: User,
    world: dict[str, Any],
    scheme: str,
    width: int,
) -> None:
    shape = {"width": width, "height": 900}
    watched = open_as(owner, color_scheme=scheme, viewport=shape)
    look_at(watched, pages(world), width)


@pytest.mark.parametrize(("scheme", "width"), CASES)
def test_pages_without_rows(
    open_as: Callable[..., Watched], owner: User, scheme: str, width: int
) -> None:
    shape = {"width": width, "height": 900}
    look_at(open_as(owner, color_scheme=scheme, viewport=shape), EMPTY, width)
    look_at(open_as(color_scheme=scheme, viewport=shape), STRANGERS, width)


@pytest.mark.parametrize(("scheme", "width"), CASES)
def test_the_door_of_a_fresh_pool(
    open_as: Callable[..., Watched],
    transactional_db: None,
    scheme: str,
    width: int,
) -> None:
    shape = {"width": width, "height": 900}
    watched = open_as(color_scheme=scheme, viewport=shape)
    token = setup.new_token()
    look_at(watched, [f"/setup/?token={token}"], width)
    answer = watched.page.goto("/setup/")
    assert answer
    assert answer.status == 403
    assert violations(watched.page) == []


@pytest.mark.parametrize("width", [1280, 390])
def test_dialogs_menus_and_mistakes_are_accessible(
    open_as: Callable[..., Watched], owner: User, width: int
) -> None:
    make_provider("acme", keys=["sk-a"], models=["m"])
    watched = open_as(owner, viewport={"width": width, "height": 900})
    page = watched.go("/providers/acme/")
    page.click("a[href='/providers/acme/remove/']")
    page.wait_for_selector("dialog#dialog[open]")
    assert violations(page) == [], "dialog"
    page.keyboard.press("Escape")
    page = watched.go("/providers/")
    page.click("td details.menu > summary")
    assert violations(page) == [], "menu"
    page = watched.go("/keys/add/")
    page.fill("#id_rpm", "0") if page.is_visible("#id_rpm") else None
    page.evaluate("document.querySelector('form.key-form').noValidate = true")
    page.click("main button.btn-primary")
    page.wait_for_selector(".form-errors")
    assert violations(page) == [], "mistakes"
    page.keyboard.press("Control+k")
    assert violations(page) == [], "palette"


def test_hostile_names_stay_text(open_as: Callable[..., Watched], owner: User) -> None:
    make_provider(
        "acme",
        name="<img src=x onerror=alert(1)>" + "w" * 80,
        keys=["sk-a"],
        models=["<b>m</b>" + "x" * 150],
    )
    watched = open_as(owner, viewport={"width": 390, "height": 900})
    look_at(watched, ["/", "/providers/", "/providers/acme/"], 390)


@pytest.mark.parametrize(
    ("path", "limit_kb"),
    [("/", 110), ("/providers/", 90), ("/keys/", 90), ("/requests/", 90),
     ("fallback", 90), ("/providers/openrouter/", 90), ("/providers/add/", 90),
     ("/keys/add/", 90), ("/audit/", 90), ("/usage/", 90), ("/settings/", 90), ("/models/", 90),
     ("/routing/", 90)],
)  # fmt: skip
def test_a_cold_page_stays_light(
    open_as: Callable[..., Watched],
    owner: User,
    world: dict[str, Any],
    path: str,
    limit_kb: int,
) -> None:
    watched = open_as(owner)
    sizes: dict[str, int] = {}

    def note(answer: Response) -> None:
        if not answer.url.startswith("data:"):
            sizes[answer.url] = len(gzip.compress(answer.body(), 9))

    watched.page.on("response", note)
    watched.go(f"/requests/{world['fallback']}/" if path == "fallback" else path)
    watched.page.wait_for_load_state("networkidle")
    assert sum(sizes.values()) / 1024 <= limit_kb, sizes
    assert len(sizes) <= 9, sizes
