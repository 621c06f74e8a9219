"""The first run: the one-time token, the four steps, and the door closed behind."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from msgspec.structs import replace

from poolsite import setup
from poolsite.models import User
from providers.models import Provider
from tests.factories import (
    PASSWORD,
    make_client_key,
    make_provider,
    make_request,
    try_at,
)
from tests.rig.ports import closed_port
from tests.rig.upstream import UpstreamProcess
from usage.models import ClientKey

pytestmark = pytest.mark.django_db
OWNER = {"email": "olivia@example.com", "password": PASSWORD, "time_zone": "UTC"}


def test_a_fresh_pool_leads_to_the_wizard(client: Client) -> None:
    assert client.get("/")["Location"] == "/setup/"
    assert client.get("/providers/")["Location"] == "/setup/"


@pytest.mark.parametrize("token", ["", "wrong", "x" * 4000])
def test_without_the_token_the_door_stays_shut(client: Client, token: str) -> None:
    setup.new_token()
    answer = client.get("/setup/", {"token": token} if token else {})
    assert answer.status_code == 403
    assert b"pool setup-token" in answer.content
    assert client.post("/setup/", {**OWNER, "token": token}).status_code == 403
    assert not User.objects.exists()


def test_a_weak_password_is_refused_with_its_reason(client: Client) -> None:
    token = setup.new_token()
    answer = client.post("/setup/", {**OWNER, "password": "short", "token": token})
    assert answer.status_code == 422
    assert "at least 12 characters" in answer.content.decode()
    assert not User.objects.exists()
    assert setup.token_is_valid(token)


def test_the_whole_wizard(client: Client, upstream: UpstreamProcess) -> None:
    token = setup.new_token()
    assert client.get(f"/setup/?token={token}").status_code == 200
    answer = client.post("/setup/", {**OWNER, "token": token})
    assert answer["Location"] == "/setup/provider/"
    assert client.get("/setup/provider/").status_code == 200
    sent = {
        "catalogue": "custom",
        "slug": "up",
        "name": "Upstream",
        "base_url": upstream.base_url,
        "secrets": "sk-good",
        "api_format": "openai",
        "location": "cloud",
        "priority": "50",
        "allow_private": "on",
    }
    assert client.post("/setup/provider/", sent)["Location"] == "/setup/key/"
    assert Provider.objects.get().models.exists()
    form = client.get("/setup/key/").context["form"]
    values = {name: form[name].value() or "" for name in form.fields}
    assert values["name"] == "my-laptop"
    shown = client.post("/setup/key/", values)
    assert shown.status_code == 200
    assert "no-store" in shown["Cache-Control"]
    body = shown.content.decode()
    assert re.search(r"pp_[0-9A-Za-z]{8}_[0-9A-Za-z]{49}", body)
    assert "Waiting for your first request" in body
    assert ClientKey.objects.get().name == "my-laptop"
    later = client.get("/setup/test/").content.decode()
    assert "$POOL_KEY" in later
    waiting = client.get("/setup/test/status/", headers={"HX-Request": "true"})
    assert waiting.status_code == 200
    make_request(ClientKey.objects.get(), try_at(Provider.objects.get(), "gpt-5-mini"))
    done = client.get("/setup/test/status/", headers={"HX-Request": "true"})
    assert done.status_code == 286
    assert "First request" in done.content.decode()


def test_after_setup_the_wizard_is_gone(client: Client) -> None:
    token = setup.new_token()
    client.post("/setup/", {**OWNER, "token": token})
    assert Client().get(f"/setup/?token={token}").status_code == 404


def test_a_provider_that_fails_can_be_saved_for_later(client: Client) -> None:
    client.post("/setup/", {**OWNER, "token": setup.new_token()})
    sent = {
        "catalogue": "openai",
        "slug": "openai",
        "name": "OpenAI",
        "base_url": "https://api.openai.invalid/v1",
        "secrets": "sk-secret-of-mine",
        "api_format": "openai",
        "location": "cloud",
        "priority": "50",
    }
    answer = client.post("/setup/provider/", sent)
    assert answer.status_code == 422
    assert "does not resolve" in answer.content.decode()
    assert "sk-secret-of-mine" not in answer.content.decode()
    answer = client.post("/setup/provider/", {**sent, "save_disabled": "1"})
    assert answer["Location"] == "/setup/key/"
    assert not Provider.objects.get().enabled


def test_the_test_step_sends_a_request_and_says_why_it_failed(
    as_olivia: Client, settings: Any
) -> None:
    settings.CONFIG = replace(settings.CONFIG, port=closed_port())
    make_provider(models=["gpt-5-mini"])
    make_client_key()
    answer = as_olivia.post("/setup/test/send/")
    assert answer.status_code == 200
    assert "The proxy does not answer" in answer.content.decode()


def test_skipping_everything_leads_to_the_checklist(client: Client) -> None:
    client.post("/setup/", {**OWNER, "token": setup.new_token()})
    assert client.get("/setup/test/")["Location"] == "/setup/key/"
    assert "First steps" in client.get("/").content.decode()
