"""A provider that got another address: what becomes of its keys, and who says so."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from poolsite.actor import CLI
from poolsite.ui import pills
from providers import selectors
from providers.models import Fact, Provider
from providers.services import credentials, providers
from providers.services.errors import ServiceError
from providers.snapshot.records import shown_mask
from tests.factories import make_api_key, make_provider

pytestmark = pytest.mark.django_db
ELSEWHERE = "https://elsewhere.example.com/v1"


def moved(*keys: str) -> Provider:
    provider = make_provider(keys=keys)
    providers.update_provider(CLI, provider, base_url=ELSEWHERE)
    return provider


def rest(subject: str) -> None:
    now = timezone.now()
    until = now + timedelta(hours=1)
    Fact.objects.create(
        kind="cooldown",
        key=subject,
        payload={"reason": "connect", "until_s": until.timestamp()},
        at=now,
        expires_at=until,
    )


def test_a_moved_provider_says_how_many_keys_to_enter_again() -> None:
    provider = make_provider(keys=["sk-a", "sk-b"])
    assert selectors.provider_facts(provider)["notice"] == ""
    providers.update_provider(CLI, provider, base_url=ELSEWHERE)
    notice = selectors.provider_facts(provider)["notice"]
    assert notice.startswith("2 keys were entered for the old address")


def test_the_console_says_on_saving_that_keys_are_for_the_old_address(
    as_oskar: Client,
) -> None:
    make_provider(keys=["sk-a"])
    sent = {
        "name": "Moved",
        "base_url": ELSEWHERE,
        "api_format": "openai",
        "location": "cloud",
        "priority": "10",
    }
    page = as_oskar.post("/providers/acme/edit/", sent, follow=True).content.decode()
    assert "1 key was entered for the old address" in page


def test_a_moved_provider_does_not_say_that_its_key_is_invalid() -> None:
    moved("sk-a")
    [row] = selectors.providers_with_counts()
    assert selectors.provider_state(row) == "origin_changed"
    assert selectors.states_of_enabled() == {"origin_changed": 1}
    pill = pills.pill("origin_changed")
    assert (pill.word, pill.tone) == ("Address changed", "error")
    assert "again" in pill.action


def test_a_moved_provider_says_on_the_overview_what_to_do(as_oskar: Client) -> None:
    moved("sk-a")
    page = as_oskar.get("/").content.decode()
    assert "Address changed: enter the keys again." in page
    assert "No usable key is left." not in page


def test_a_key_of_the_old_address_cannot_be_switched_on(as_oskar: Client) -> None:
    key = moved("sk-a").api_keys.get()
    with pytest.raises(ServiceError, match="entered for another address"):
        credentials.set_key_enabled(CLI, key, enabled=True)
    url = f"/providers/acme/keys/{key.pk}/enable/"
    page = as_oskar.post(url, follow=True).content.decode()
    assert "entered for another address" in page
    assert "is enabled" not in page
    assert ">Enable</button>" not in page


def test_a_new_address_is_not_held_to_the_rest_of_the_old_one() -> None:
    provider, other = make_provider(), make_provider("other")
    rest(f"provider:{provider.pk}")
    rest(f"provider:{other.pk}")
    providers.update_provider(CLI, provider, base_url=ELSEWHERE)
    left = Fact.objects.filter(kind="cooldown").values_list("key", flat=True)
    assert list(left) == [f"provider:{other.pk}"]
    # A worker that holds it alone is told too.
    assert Fact.objects.filter(kind="recovery", key=f"provider:{provider.pk}").exists()


def test_keys_without_a_telling_mask_are_told_apart_by_their_label() -> None:
    provider = make_provider()
    bare = make_api_key(provider, "short1")
    named = make_api_key(provider, "short2", label="work")
    long = make_api_key(provider, label="home")
    assert shown_mask(bare) == bare.mask == "…"
    assert shown_mask(named) == "work"
    assert shown_mask(long) == long.mask
