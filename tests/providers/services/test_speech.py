"""How a provider is spoken to is judged before it is stored."""

from __future__ import annotations

import pytest

from poolsite.actor import CLI
from providers.services import providers
from providers.services.errors import ServiceError

pytestmark = pytest.mark.django_db

HERE = "https://models.example.com/v1"


def test_how_a_provider_is_spoken_to_is_kept():
    made = providers.create_provider(
        CLI,
        slug="cloud",
        base_url=HERE,
        auth_scheme="bearer",
        options={"region": "eu-central-1"},
        other_formats={"openai": "https://models.example.com/other"},
    )
    made.refresh_from_db()
    assert made.options == {"region": "eu-central-1"}
    assert made.other_formats == {"openai": "https://models.example.com/other"}


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("auth_scheme", "magic", "bearer"),
        ("options", {"colour": "red"}, "region"),
        ("options", {"region": "a\nb"}, "one line"),
        ("options", ["region"], "names with texts"),
        ("other_formats", {"morse": ""}, "morse|speaks"),
        ("other_formats", {"openai": "https://elsewhere.example.com/v1"}, "host"),
        ("other_formats", {"openai": "nowhere"}, "host"),
    ],
)
def test_what_no_provider_can_be_spoken_to_with_is_refused(field, value, words):
    with pytest.raises(ServiceError, match=words) as caught:
        providers.create_provider(CLI, slug="cloud", base_url=HERE, **{field: value})
    assert caught.value.field == field


def test_own_address_takes_no_other_addresses_from_the_catalogue():
    relay = providers.create_provider(
        CLI, slug="relay", catalogue_id="deepseek", base_url=HERE
    )
    assert relay.other_formats == {}
    listed = providers.create_provider(CLI, slug="listed", catalogue_id="deepseek")
    assert "anthropic" in listed.other_formats


def test_provider_that_moves_leaves_addresses_of_its_old_host():
    made = providers.create_provider(CLI, slug="deep", catalogue_id="deepseek")
    made.other_formats = {**made.other_formats, "responses": ""}
    made.save()
    providers.update_provider(CLI, made, base_url=HERE)
    made.refresh_from_db()
    assert (made.base_url, made.other_formats) == (HERE, {"responses": ""})
