"""Adding, testing, changing and removing providers in the console."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from poolsite.models import AuditEvent
from providers.models import ApiKey, Provider, ProviderModel
from tests.factories import make_api_key, make_models, make_provider
from tests.rig.ports import closed_port
from tests.rig.upstream import UpstreamProcess

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}
KEY = "sk-flow-0123456789abcdef"


def values(base_url: str, **changes: str) -> dict[str, str]:
    return {
        "catalogue": "custom",
        "slug": "flow",
        "name": "Flow",
        "base_url": base_url,
        "secrets": KEY,
        "models": "",
        "api_format": "openai",
        "location": "cloud",
        "priority": "50",
        "allow_private": "on",
        **changes,
    }


def test_what_works_is_saved_with_its_models(
    as_oskar: Client, upstream: UpstreamProcess
) -> None:
    answer = as_oskar.post("/providers/add/", values(upstream.base_url))
    assert answer.status_code == 302
    assert answer["Location"] == "/providers/flow/"
    provider = Provider.objects.get(slug="flow")
    assert provider.models.filter(source="discovered").exists()
    page = as_oskar.get("/providers/flow/").content.decode()
    assert "Flow was added." in page
    assert KEY not in page
    key = provider.api_keys.get()
    assert KEY not in key.secret
    assert AuditEvent.objects.filter(action="provider.create").count() == 1


def test_a_test_alone_saves_nothing(
    as_oskar: Client, upstream: UpstreamProcess
) -> None:
    sent = values(upstream.base_url, test_only="1")
    answer = as_oskar.post("/providers/add/", sent, headers=HTMX)
    assert answer.status_code == 200
    assert b"It works" in answer.content
    assert b"<html" not in answer.content
    assert not Provider.objects.exists()


@pytest.mark.parametrize(
    ("key", "said"),
    [("sk-bad-401", "refused the key"), ("sk-bad-429", "limits the rate")],
)
def test_what_fails_is_explained_and_not_saved(
    as_oskar: Client, upstream: UpstreamProcess, key: str, said: str
) -> None:
    sent = values(upstream.base_url, secrets=key)
    answer = as_oskar.post("/providers/add/", sent)
    assert answer.status_code == 422
    body = answer.content.decode()
    assert said in body
    assert key not in body
    assert not Provider.objects.exists()


def test_a_dead_address_is_explained(as_oskar: Client) -> None:
    sent = values(f"http://127.0.0.1:{closed_port()}/v1")
    body = as_oskar.post("/providers/add/", sent).content.decode()
    assert "is the server running?" in body


def test_a_private_address_needs_to_be_allowed(
    as_oskar: Client, upstream: UpstreamProcess
) -> None:
    sent = values(upstream.base_url)
    del sent["allow_private"]
    answer = as_oskar.post("/providers/add/", sent)
    assert answer.status_code == 422
    assert "private" in answer.content.decode()


def test_what_fails_may_be_saved_switched_off(as_oskar: Client) -> None:
    url = f"http://127.0.0.1:{closed_port()}/v1"
    sent = values(url, save_disabled="1", models="one\ntwo")
    assert as_oskar.post("/providers/add/", sent).status_code == 302
    provider = Provider.objects.get(slug="flow")
    assert not provider.enabled
    assert provider.last_error
    assert provider.models.count() == 2


def test_scripts_keep_the_form_and_swap_the_result(
    as_oskar: Client, upstream: UpstreamProcess
) -> None:
    sent = values(upstream.base_url, secrets="sk-bad-401")
    answer = as_oskar.post("/providers/add/", sent, headers=HTMX)
    assert answer.status_code == 200
    assert b'id="check"' in answer.content
    assert b"<form" not in answer.content
    done = as_oskar.post("/providers/add/", values(upstream.base_url), headers=HTMX)
    assert done["HX-Redirect"] == "/providers/flow/"


def test_mistakes_are_named_before_anything_is_sent(as_oskar: Client) -> None:
    make_provider("flow")
    answer = as_oskar.post("/providers/add/", values("nonsense", priority="900"))
    body = answer.content.decode()
    assert answer.status_code == 422
    assert "exists already" in body
    assert "less than or equal to 100" in body
    assert KEY not in body


def test_a_provider_is_tested_from_its_page(
    as_oskar: Client, upstream: UpstreamProcess
) -> None:
    provider = make_provider(base_url=upstream.base_url, allow_private=True)
    make_api_key(provider, "sk-good")
    body = as_oskar.post("/providers/acme/test/").content.decode()
    assert "It works" in body
    make_models(provider, "made-up")
    answer = as_oskar.post("/providers/acme/sync/", follow=True)
    assert "models listed" in answer.content.decode()
    assert ProviderModel.objects.filter(model_id="made-up", deleted_at=None).exists()


def test_a_sync_that_fails_keeps_the_list(
    as_oskar: Client, upstream: UpstreamProcess
) -> None:
    provider = make_provider(
        base_url=upstream.base_url, allow_private=True, models=["old"]
    )
    make_api_key(provider, "sk-bad-500")
    answer = as_oskar.post("/providers/acme/sync/", follow=True)
    assert "Nothing changed." in answer.content.decode()
    assert provider.models.filter(deleted_at=None).count() == 1


def test_a_new_origin_parks_the_keys(as_oskar: Client) -> None:
    make_provider(keys=["sk-a"])
    sent = {
        "name": "Moved",
        "base_url": "https://elsewhere.example.com/v1",
        "api_format": "openai",
        "location": "cloud",
        "priority": "10",
    }
    assert as_oskar.post("/providers/acme/edit/", sent).status_code == 302
    assert ApiKey.objects.get().state == "origin_changed"
    assert "Moved" in as_oskar.get("/providers/acme/").content.decode()


def test_every_value_of_a_provider_is_there_to_edit(as_oskar: Client) -> None:
    make_provider(name="Acme & Co", priority=77, concurrency=9, location="local")
    form = as_oskar.get("/providers/acme/edit/").context["form"]
    shown = {name: form[name].value() for name in form.fields}
    assert shown["name"] == "Acme & Co"
    assert shown["priority"] == 77
    assert shown["concurrency"] == 9
    assert shown["location"] == "local"


def test_a_limit_can_be_taken_away_again(as_oskar: Client) -> None:
    make_provider(concurrency=9)
    sent = {
        "name": "Acme",
        "base_url": "https://api.acme.example.com/v1",
        "api_format": "openai",
        "location": "cloud",
        "priority": "50",
        "concurrency": "",
    }
    assert as_oskar.post("/providers/acme/edit/", sent).status_code == 302
    assert Provider.objects.get().concurrency is None


def test_a_provider_is_deleted_only_by_its_name(as_oskar: Client) -> None:
    make_provider(keys=["sk-a"])
    url = "/providers/acme/remove/"
    page = as_oskar.get(url)
    assert b"Type <strong>acme</strong>" in page.content
    dialog = as_oskar.get(url, headers=HTMX)
    assert b"<html" not in dialog.content
    assert as_oskar.post(url, {"confirm_name": "other"}).status_code == 422
    assert Provider.objects.filter(deleted_at=None).exists()
    answer = as_oskar.post(url, {"confirm_name": "acme"}, follow=True)
    assert "was deleted." in answer.content.decode()
    assert not Provider.objects.filter(deleted_at=None).exists()
    assert as_oskar.get("/providers/acme/").status_code == 404
    assert ApiKey.objects.get().secret == ""


def test_switches_leave_one_event_each(as_oskar: Client) -> None:
    provider = make_provider(keys=["sk-a"], models=["m"])
    key, model = provider.api_keys.get(), provider.models.get()
    before = AuditEvent.objects.count()
    posts = (
        "/providers/acme/disable/",
        "/providers/acme/enable/",
        f"/providers/acme/keys/{key.pk}/disable/",
        f"/providers/acme/keys/{key.pk}/enable/",
        f"/providers/acme/models/{model.pk}/disable/",
        f"/providers/acme/models/{model.pk}/enable/",
        f"/providers/acme/models/{model.pk}/remove/",
        f"/providers/acme/keys/{key.pk}/remove/",
    )
    for url in posts:
        assert as_oskar.post(url).status_code == 302, url
    assert AuditEvent.objects.count() == before + len(posts)


def test_keys_are_added_line_by_line(as_oskar: Client) -> None:
    make_provider(keys=["sk-known-key"])
    sent = {"secrets": "sk-new-one\nBearer sk-new-two\nsk-known-key"}
    answer = as_oskar.post("/providers/acme/keys/add/", sent)
    assert answer.status_code == 422
    body = answer.content.decode()
    assert "in the pool already" in body
    assert "sk-new-one" not in body
    assert ApiKey.objects.count() == 3


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_switch_that_does_not_exist_is_missing(as_oskar: Client, method: str) -> None:
    provider = make_provider(keys=["sk-a"])
    url = f"/providers/acme/keys/{provider.api_keys.get().pk}/explode/"
    answer: Any = getattr(as_oskar, method)(url)
    assert answer.status_code == 404
