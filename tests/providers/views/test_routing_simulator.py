"""The simulator, the replay, aliases and the default model in the console."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client

from poolsite.actor import CLI
from providers.models import Alias, ProviderModel
from providers.services import models, routing, routing_rules
from providers.snapshot.types import RuleRecord
from tests.factories import (
    call,
    failed_at,
    make_client_key,
    make_provider,
    make_requests,
    ship,
    try_at,
)

pytestmark = pytest.mark.django_db
HX = {"HX-Request": "true"}


@pytest.fixture
def pool() -> dict[str, Any]:
    acme = make_provider("acme", models=["gpt-5-mini", "big"], keys=["sk-acme-1"])
    other = make_provider("beta", models=["gpt-5-mini"], keys=["sk-b"], priority=90)
    key, _ = make_client_key("ci")
    return {"acme": acme, "beta": other, "key": key}


def text_of(answer: Any) -> str:
    body: str = answer.content.decode()
    return body


# Replay


def test_a_replay_says_what_would_go_elsewhere(
    as_oskar: Client, pool: dict[str, Any]
) -> None:
    make_requests(pool["beta"], "gpt-5-mini", 4, key=pool["key"])
    make_requests(pool["acme"], "big", 2, key=pool["key"])
    routing.change_settings(CLI, {"groups": ["acme", "*"]})
    body = text_of(as_oskar.get("/routing/draft/replay/"))
    assert "4 of 6" in body
    assert "beta/gpt-5-mini" in body
    piece = text_of(as_oskar.get("/routing/draft/replay/", headers=HX))
    assert "<html" not in piece
    routing.discard(CLI)
    assert "There is no draft" in text_of(as_oskar.get("/routing/draft/replay/"))


# The simulator


@pytest.mark.usefixtures("pool")
def test_the_simulator_works_without_scripts(as_viktor: Client) -> None:
    body = text_of(as_viktor.get("/routing/simulate/?model=gpt-5-mini"))
    assert body.index("beta") < body.index("acme")
    assert "Would be asked first." in body
    body = text_of(as_viktor.get("/routing/simulate/?model=gpt-5-mini&down=beta"))
    assert "Pretended to be down" in body
    assert 'that beta is down" checked' in body
    piece = text_of(
        as_viktor.get("/routing/simulate/?model=gpt-5-mini&key=ci", headers=HX)
    )
    assert "<html" not in piece
    assert "with key" in piece


@pytest.mark.usefixtures("pool")
def test_the_simulator_shows_the_draft_or_what_is_in_force(as_oskar: Client) -> None:
    routing.change_settings(CLI, {"groups": ["acme", "*"]})
    url = "/routing/simulate/?model=gpt-5-mini"
    first = {}
    for on in ("draft", "force"):
        tried = as_oskar.get(f"{url}&on={on}").context["simulator"]["tried"]
        first[on] = tried[0]["it"].provider
    assert first == {"draft": "acme", "force": "beta"}


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("", "Name a model"),
        ("model=nope", "would be refused"),
        ("model=gpt-5-mini&key=nobody", "No live client key is named nobody"),
        ("model=gpt-5-mini&strategy=moon&mode=moon&needs=moon", "Would be asked first"),
        ("failed=1", "No request failed lately"),
        ("model=%3Cscript%3E", "&lt;script&gt;"),
    ],
)
@pytest.mark.usefixtures("pool")
def test_whatever_the_simulator_is_asked_it_answers(
    as_viktor: Client, query: str, said: str
) -> None:
    answer = as_viktor.get(f"/routing/simulate/?{query}")
    assert answer.status_code == 200
    assert said in text_of(answer)
    assert "<script>" not in text_of(answer)


def test_the_last_failed_request_fills_the_simulator_in(
    as_oskar: Client, pool: dict[str, Any]
) -> None:
    key = pool["key"]
    ship(
        call(key, failed_at(pool["beta"], "gpt-5-mini"), needs=0),
        call(key, try_at(pool["acme"], "big")),
    )
    body = text_of(as_oskar.get("/routing/simulate/?failed=1"))
    assert 'value="gpt-5-mini"' in body
    assert 'value="ci"' in body
    assert "Would be asked first." in body


# Aliases and the default model


@pytest.mark.usefixtures("pool")
def test_aliases_are_added_edited_and_deleted(as_oskar: Client) -> None:
    assert "No aliases" in text_of(as_oskar.get("/routing/aliases/"))
    sent = {"name": "fast/one", "targets": "beta/gpt-5-mini\nbig"}
    assert as_oskar.post("/routing/aliases/add/", sent).status_code == 302
    alias = Alias.objects.get()
    root = f"/routing/aliases/{alias.pk}/"
    assert [str(each) for each in models.targets_of(alias)] == [
        "beta/gpt-5-mini",
        "big",
    ]
    assert as_oskar.post("/routing/aliases/add/", sent).status_code == 422
    form = as_oskar.get(root).context["form"]
    assert form["targets"].value() == "beta/gpt-5-mini\nbig"
    wrong = as_oskar.post(root, {"targets": "nobody/x"})
    assert wrong.status_code == 422
    assert "neither provider/model nor a model" in text_of(wrong)
    models.remove_model(CLI, ProviderModel.objects.get(model_id="big"))
    assert "Nobody offers it now" in text_of(as_oskar.get("/routing/aliases/"))
    # What is there already may stay, though nobody offers it now.
    sent = {"targets": "big\nacme/gpt-5-mini", "description": "<i>"}
    assert as_oskar.post(root, sent).status_code == 302
    assert "&lt;i&gt;" in text_of(as_oskar.get("/routing/aliases/"))
    assert as_oskar.get(f"{root}remove/").status_code == 200
    assert as_oskar.post(f"{root}remove/").status_code == 302
    assert as_oskar.get(root).status_code == 404


@pytest.mark.usefixtures("pool")
def test_the_default_model_is_set(as_oskar: Client) -> None:
    assert "share such requests" in text_of(as_oskar.get("/routing/"))
    sent = {"default_model": "gpt-5-mini"}
    assert as_oskar.post("/routing/default-model/", sent).status_code == 302
    assert "gpt-5-mini" in text_of(as_oskar.get("/routing/"))
    sent = {"default_model": "nope"}
    answer = as_oskar.post("/routing/default-model/", sent, follow=True)
    assert "nobody offers nope" in text_of(answer)


@pytest.mark.parametrize(
    "name",
    [
        "<script>alert(1)</script>",
        "\"'><img src=x onerror=alert(1)>",
        "{{ 7 }}",
    ],
)
def test_hostile_names_are_shown_as_text(as_oskar: Client, name: str) -> None:
    provider = make_provider("acme", name=name, models=["m"], keys=["sk-acme-1"])
    models.add_models(CLI, provider, [name])
    make_client_key(name)
    models.set_alias(CLI, f"{name}!", ["m"], description=name)
    rule = RuleRecord(
        trigger="error", action="switch_model", model=name, name=name, keys=(name,)
    )
    routing_rules.add_rule(CLI, rule)
    routing.publish(CLI, note=name)
    routing.set_default_model(CLI, name)
    routing_rules.switch_rule(CLI, 1, enabled=False)
    query = urlencode({"model": name, "key": name, "down": name})
    for path in (
        "", "rules/1/", "rules/1/remove/", "draft/", "history/", "history/1/",
        "aliases/", "default-model/", f"simulate/?{query}",
    ):  # fmt: skip
        body = text_of(as_oskar.get(f"/routing/{path}"))
        assert "<script>alert" not in body, path
        assert "<img" not in body, path


def test_a_key_nobody_can_store_is_answered(as_viktor: Client) -> None:
    answer = as_viktor.get("/routing/simulate/?model=m&key=%00ci")
    assert answer.status_code == 200
    assert "No live client key is named ci" in answer.content.decode()
