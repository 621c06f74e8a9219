"""The grid of the catalogue, the form behind it, and the screen of a verification."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from providers.catalogue import spec
from providers.catalogue.spec import CatalogueEntry
from providers.models import Provider
from providers.snapshot.stated import stated_prices
from tests.factories import make_provider
from tests.vendors import verify as shapes
from tests.vendors.server import Vendor
from tests.vendors.verify import KEY

pytestmark = pytest.mark.django_db
ADD = "/providers/add/"


def entry(name: str, **values: Any) -> CatalogueEntry:
    known: dict[str, Any] = {
        "id": name,
        "name": name.title(),
        "type": "platform",
        "location": "cloud",
        "base_url": f"https://api.{name}.example/v1",
        "format": "openai",
        "key_url": "",
        "environment": (),
        "needs_key": True,
    }
    return CatalogueEntry(**{**known, **values})


@pytest.fixture
def shelf(monkeypatch: pytest.MonkeyPatch) -> dict[str, CatalogueEntry]:
    """A catalogue of a few, with one of each trait."""
    every = [
        entry("plain"),
        entry("chinese", region="cn", aliases=("kimi", "月之暗面")),
        entry("signed", auth=("oauth",), type="ide"),
        entry("seeing", capabilities=("vision", "tools"), free_tier=True),
        entry("home", location="local", auth=("none",), needs_key=False),
        entry("risky", terms="Accounts <b>were</b> closed for this."),
        entry("keyed", environment=("KEYED_API_KEY", "KEYED_OTHER", "POOL_SECRET_KEY")),
        entry("sited", alternates=("https://api.sited.example.cn/v1",)),
        entry("located", base_url="https://{region}.located.example/{project}/v1"),
    ]
    found = {each.id: each for each in every}
    monkeypatch.setattr(spec, "entries", lambda: found)
    return found


def values(**changes: Any) -> dict[str, Any]:
    known = {
        "catalogue": "plain",
        "slug": "mine",
        "name": "Mine",
        "base_url": "https://api.plain.example/v1",
        "secrets": KEY,
        "models": "",
        "api_format": "openai",
        "location": "cloud",
        "priority": "50",
        "save_disabled": "1",
    }
    return {**known, **changes}


def names(page: str, shelf: dict[str, CatalogueEntry]) -> set[str]:
    return {name for name in shelf if f"?catalogue={name}" in page}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=KIMI", {"chinese"}),
        ("q=月之", {"chinese"}),
        ("q=plain", {"plain"}),
        ("kind=local", {"home"}),
        ("kind=ide", {"signed"}),
        ("region=cn", {"chinese"}),
        ("auth=oauth", {"signed"}),
        ("auth=none", {"home"}),
        ("can=vision", {"seeing"}),
        ("free=1", {"seeing"}),
        ("can=vision&free=1&region=cn", set()),
    ],
)
def test_grid_is_filtered_by_a_plain_form(
    as_oskar: Client, shelf: dict[str, CatalogueEntry], query: str, found: set[str]
) -> None:
    page = as_oskar.get(f"{ADD}?{query}").content.decode()
    assert names(page, shelf) == found
    assert 'method="get"' in page


def test_no_match_leads_to_custom(
    as_oskar: Client, shelf: dict[str, CatalogueEntry]
) -> None:
    page = as_oskar.get(f"{ADD}?q=<b>nobody</b>").content.decode()
    assert "as custom" in page
    assert "<b>nobody" not in page
    form = as_oskar.get(f"{ADD}?catalogue=custom&name=My+Server").content.decode()
    assert 'value="My Server"' in form
    assert 'value="my-server"' in form


def test_added_ones_are_marked(
    as_oskar: Client, shelf: dict[str, CatalogueEntry]
) -> None:
    make_provider("mine", catalogue_id="plain")
    page = as_oskar.get(f"{ADD}?q=plain").content.decode()
    assert ">added<" in page


def test_grid_of_two_hundred_stays_within_its_budgets(
    as_oskar: Client,
    monkeypatch: pytest.MonkeyPatch,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    many = {f"vendor-{n}": entry(f"vendor-{n}") for n in range(200)}
    monkeypatch.setattr(spec, "entries", lambda: many)
    with django_assert_max_num_queries(12):
        body = as_oskar.get(ADD).content
    assert len(body) < 90_000


def test_grid_of_the_shipped_catalogue_stays_within_its_budget(
    as_oskar: Client,
) -> None:
    page = as_oskar.get(ADD).content
    assert len(page) < 90_000
    assert page.count(b"?catalogue=") >= len(spec.entries())


def test_anthropic_compatible_tile_starts_from_that_format(
    as_oskar: Client, shelf: dict[str, CatalogueEntry]
) -> None:
    answer = as_oskar.get(f"{ADD}?catalogue=custom-anthropic")
    assert answer.context["form"]["api_format"].value() == "anthropic"


def test_terms_are_said_and_escaped(
    as_oskar: Client, shelf: dict[str, CatalogueEntry]
) -> None:
    page = as_oskar.get(f"{ADD}?catalogue=risky").content.decode()
    assert "Accounts &lt;b&gt;were" in page


# The form


def test_repeated_keys_are_named_and_added_once(
    as_oskar: Client, shelf: dict[str, CatalogueEntry]
) -> None:
    text = f"{KEY}\n\nBearer {KEY}\nsk-other-0123456789"
    answer = as_oskar.post(ADD, values(secrets=text, test_only="1"))
    page = answer.content.decode()
    assert "Line 3 repeats line 1" in page
    assert KEY not in page
    sent = values(secrets=text)
    assert as_oskar.post(ADD, sent).status_code == 302
    assert Provider.objects.get(slug="mine").api_keys.count() == 2


def test_white_space_inside_a_key_is_refused_by_line(
    as_oskar: Client, shelf: dict[str, CatalogueEntry]
) -> None:
    answer = as_oskar.post(ADD, values(secrets=f"{KEY}\nsk-a b"))
    assert answer.status_code == 422
    page = answer.content.decode()
    assert "Line 2" in page
    assert "sk-a b" not in page


def test_credential_file_is_one_key(
    as_oskar: Client, shelf: dict[str, CatalogueEntry]
) -> None:
    text = '{\n "client_email": "a@b",\n "private_key": "-----BEGIN KEY"\n}'
    sent = values(secrets=text, auth_scheme="google-sa")
    assert as_oskar.post(ADD, sent).status_code == 302
    assert Provider.objects.get(slug="mine").api_keys.count() == 1


def test_server_keys_are_offered_by_name_to_owners_only(
    as_olivia: Client,
    as_oskar: Client,
    shelf: dict[str, CatalogueEntry],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KEYED_API_KEY", KEY)
    page = as_olivia.get(f"{ADD}?catalogue=keyed").content.decode()
    assert "Use KEYED_API_KEY" in page
    assert "KEYED_OTHER" not in page
    assert "POOL_SECRET_KEY" not in page
    assert KEY not in page
    assert (
        "KEYED_API_KEY" not in as_oskar.get(f"{ADD}?catalogue=keyed").content.decode()
    )


def test_server_key_is_read_on_submit_and_never_shown(
    as_olivia: Client,
    as_oskar: Client,
    shelf: dict[str, CatalogueEntry],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KEYED_API_KEY", KEY)
    sent = values(catalogue="keyed", secrets="", environment=["KEYED_API_KEY"])
    as_oskar.post(ADD, {**sent, "slug": "theirs"})
    assert not Provider.objects.filter(slug="theirs", api_keys__isnull=False).exists()
    assert as_olivia.post(ADD, sent).status_code == 302
    key = Provider.objects.get(slug="mine").api_keys.get()
    assert key.mask.endswith(KEY[-4:])
    assert KEY not in as_olivia.get("/providers/mine/").content.decode()


@pytest.mark.parametrize("name", ["POOL_SECRET_KEY", "PATH", "KEYED_OTHER"])
def test_no_other_variable_can_be_asked_for(
    as_olivia: Client,
    shelf: dict[str, CatalogueEntry],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    monkeypatch.setenv("KEYED_API_KEY", KEY)
    monkeypatch.setenv("POOL_SECRET_KEY", "s" * 50)
    sent = values(catalogue="keyed", secrets="", environment=[name])
    assert as_olivia.post(ADD, sent).status_code == 422
    assert not Provider.objects.exists()


def test_placeholders_are_asked_for_and_filled(
    as_oskar: Client, shelf: dict[str, CatalogueEntry]
) -> None:
    page = as_oskar.get(f"{ADD}?catalogue=located").content.decode()
    assert 'name="fill_region"' in page
    url = shelf["located"].base_url
    sent = values(catalogue="located", base_url=url, fill_region="eu-1")
    assert as_oskar.post(ADD, sent).status_code == 422
    sent = {**sent, "fill_project": "p-1"}
    assert as_oskar.post(ADD, sent).status_code == 302
    made = Provider.objects.get(slug="mine")
    assert made.base_url == "https://eu-1.located.example/p-1/v1"
    assert made.options == {"region": "eu-1", "project": "p-1"}


@pytest.mark.parametrize("value", ["evil.example/", "a@b", "x#", "../y", "a b", ""])
def test_placeholder_cannot_move_the_host(
    as_oskar: Client, shelf: dict[str, CatalogueEntry], value: str
) -> None:
    url = shelf["located"].base_url
    sent = values(
        catalogue="located", base_url=url, fill_region=value, fill_project="p"
    )
    assert as_oskar.post(ADD, sent).status_code == 422


def test_another_site_can_be_chosen_and_the_others_are_named(
    as_oskar: Client, shelf: dict[str, CatalogueEntry]
) -> None:
    page = as_oskar.get(f"{ADD}?catalogue=sited").content.decode()
    assert "also tried at" in page
    other = shelf["sited"].alternates[0]
    sent = values(catalogue="sited", base_url=shelf["sited"].base_url, site=other)
    sent["secrets"] = ""
    assert as_oskar.post(ADD, sent).status_code == 302
    made = Provider.objects.get(slug="mine")
    assert made.base_url == other
    assert made.alternate_base_urls == [shelf["sited"].base_url]


def test_credential_that_signs_is_saved_untried_and_says_so(as_oskar: Client) -> None:
    text = '{"client_email": "a@b", "private_key": "-----BEGIN KEY"}'
    sent = values(
        catalogue="vertex",
        base_url="https://aiplatform.googleapis.com",
        api_format="vertex",
        auth_scheme="google-sa",
        secrets=text,
    )
    del sent["save_disabled"]
    assert as_oskar.post(ADD, sent).status_code == 422  # no project, no location
    sent |= {"fill_project": "p-1", "fill_location": "global"}
    tried = as_oskar.post(ADD, {**sent, "test_only": "1"})
    assert "cannot be tried from here" in tried.content.decode()
    assert as_oskar.post(ADD, sent).status_code == 302
    made = Provider.objects.get(slug="mine")
    assert made.enabled
    assert made.tested_at is None
    assert made.options == {"project": "p-1", "location": "global"}


def test_program_needs_no_base_url(as_oskar: Client) -> None:
    sent = values(catalogue="custom", api_format="claude-cli", base_url="", secrets="")
    assert as_oskar.post(ADD, sent).status_code == 302
    assert Provider.objects.get(slug="mine").base_url == "cli:claude"


def test_custom_without_a_base_url_is_refused(as_oskar: Client) -> None:
    answer = as_oskar.post(ADD, values(catalogue="custom", base_url=""))
    assert answer.status_code == 422
    assert "base URL is missing" in answer.content.decode()


def test_test_with_a_call_shows_every_step_and_saves_nothing(as_oskar: Client) -> None:
    with Vendor() as vendor:
        shapes.openai_shaped(vendor)
        sent = values(
            catalogue="custom",
            base_url=f"{vendor.root}/v1/chat/completions",
            allow_private="on",
            with_call="1",
        )
        del sent["save_disabled"]
        page = as_oskar.post(ADD, sent, headers={"HX-Request": "true"}).content.decode()
    for name in ("Address", "Authentication", "Call", "Streaming", "Tools"):
        assert f"<strong>{name}</strong>" in page
    assert "It works" in page
    assert KEY not in page
    assert not Provider.objects.exists()


def test_what_the_list_says_counts_from_the_first_request_on(as_oskar: Client) -> None:
    with Vendor() as vendor:
        row = {
            "id": "maker/large",
            "name": "Large",
            "context_length": 131072,
            "pricing": {"prompt": "0.000002", "completion": "0.000006"},
        }
        vendor.on("GET", "/v1/models", {"data": [row, {"id": "maker/small"}]})
        sent = values(
            catalogue="custom", base_url=f"{vendor.root}/v1", allow_private="on"
        )
        del sent["save_disabled"]
        assert as_oskar.post(ADD, sent).status_code == 302
    provider = Provider.objects.get()
    models = {row.model_id: row for row in provider.models.all()}
    assert set(models) == {"maker/large", "maker/small"}
    assert models["maker/large"].context_window == 131072
    price = stated_prices()[provider.pk]["maker/large"]
    assert (price.input, price.output) == (2_000_000_000, 6_000_000_000)
    # It was one page of a list: the next round asks for it whole.
    assert provider.model_list.checked_at is None


# Verification


def test_verification_is_shown_previewed_and_applied(
    as_oskar: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    with Vendor() as vendor:
        shapes.anthropic_shaped(vendor)
        make_provider(base_url=f"{vendor.root}/v1", allow_private=True, keys=[KEY])
        answer = as_oskar.post("/providers/acme/verify/", {"model": ""})
        assert answer["Location"] == "/providers/acme/verify/"
    with django_assert_max_num_queries(12):
        page = as_oskar.get("/providers/acme/verify/").content.decode()
    assert "responses_plain" in page
    assert "Wire format" in page
    assert Provider.objects.get().api_format == "openai"
    assert as_oskar.post("/providers/acme/verify/apply/").status_code == 302
    assert Provider.objects.get().api_format == "anthropic"
    again = as_oskar.get("/providers/acme/verify/").content.decode()
    assert "set up this way already" in again


def test_viewers_verify_nothing(as_viktor: Client) -> None:
    make_provider()
    assert as_viktor.post("/providers/acme/verify/").status_code == 403
    assert as_viktor.post("/providers/acme/verify/apply/").status_code == 403
