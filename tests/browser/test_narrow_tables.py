"""What can be done in a table is in sight on a small desktop."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import expect

from poolsite.models import User
from providers.models import ApiKey
from tests.browser.conftest import Watched
from tests.factories import make_provider


def test_the_actions_of_keys_are_in_sight_at_1280(
    open_as: Callable[..., Watched], owner: User, transactional_db: None
) -> None:
    provider = make_provider("acme", models=["m"], keys=["sk-acme-0123456789abcdef"])
    ApiKey.objects.filter(provider=provider).update(
        state="needs_attention",
        label="production, the second account",
        last_error="401: the key was refused by the vendor, it may have been revoked",
    )
    page = open_as(owner).go("/providers/acme/")
    table = page.locator("section[aria-labelledby=keys-title] .table-wrap")
    expect(table.get_by_text("Delete")).to_be_visible()
    hidden = table.evaluate("each => each.scrollWidth - each.clientWidth")
    assert hidden <= 0
