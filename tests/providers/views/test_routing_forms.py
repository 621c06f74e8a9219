"""The forms of routing: what comes back when a form was overtaken, and their hints."""

from __future__ import annotations

import pytest
from django.test import Client

from poolsite.actor import CLI
from providers import selectors_routing as selectors
from providers.services import routing, routing_rules
from providers.snapshot.types import RuleRecord
from tests.factories import make_provider
from tests.providers.views.test_routing import RULE, SETTINGS, text_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def pool() -> None:
    make_provider("acme", models=["gpt-5-mini"], keys=["sk-acme-1"])


@pytest.mark.usefixtures("pool")
def test_a_stale_form_keeps_what_was_entered(as_oskar: Client) -> None:
    routing_rules.add_rule(CLI, RuleRecord("error", "switch_provider", provider="acme"))
    tag = selectors.standing().tag
    routing.change_settings(CLI, {"strategy": "latency"})
    sent = {**SETTINGS, "sticky_s": "4321", "tag": tag}
    answer = as_oskar.post("/routing/settings/", sent)
    assert answer.status_code == 422
    body = text_of(answer)
    assert "Somebody else changed the routing meanwhile." in body
    assert 'value="4321"' in body
    assert selectors.standing().edited.strategy == "latency"
    again = {**sent, "tag": answer.context["tag"]}
    assert as_oskar.post("/routing/settings/", again).status_code == 302
    assert selectors.standing().edited.strategy == "cost"
    rule = {**RULE, "name": "mine", "tag": tag}
    for _ in range(2):  # another rule may stand there now
        answer = as_oskar.post("/routing/rules/1/", rule)
        assert answer.status_code == 422
        assert "Somebody else changed the routing meanwhile." in text_of(answer)
        assert 'value="mine"' in text_of(answer)
        rule["tag"] = answer.context["tag"]
    assert selectors.standing().edited.rules[0].name == ""


@pytest.mark.usefixtures("pool")
def test_the_rule_form_says_which_action_needs_what(as_oskar: Client) -> None:
    body = text_of(as_oskar.get("/routing/rules/add/"))
    assert "Needed to ask another provider" in body
    assert "Needed to ask for another model" in body
    assert "Needed when little money is left" in body
