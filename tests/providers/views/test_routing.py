"""Routing in the console: settings, rules, the draft, the simulator, the history."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client

from poolsite.actor import CLI
from poolsite.models import AuditEvent
from providers import selectors_routing as selectors
from providers.models import Alias, RoutingRevision
from providers.services import models, routing, routing_rules
from providers.snapshot.records import routing_record
from providers.snapshot.types import RuleRecord
from tests.factories import (
    make_client_key,
    make_provider,
    make_requests,
)

pytestmark = pytest.mark.django_db
SETTINGS = {
    "strategy": "cost",
    "mode": "auto",
    "groups": "free\neu-*",
    "format_affinity": "on",
    "sticky_s": "600",
    "first_token_s": "20",
    "wait_cap_s": "10",
    "queue_length": "50",
    "queue_wait_s": "5",
    "cooldown_rate_first_s": "60",
}
RULE = {
    "trigger": "error",
    "action": "switch_provider",
    "provider": "acme",
    "models": "gpt-*",
}
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


def test_the_page_explains_the_defaults(as_viktor: Client) -> None:
    body = text_of(as_viktor.get("/routing/"))
    assert "The highest priority serves" in body
    assert "No rules" in body
    assert "goes to the next candidate" in body
    assert "Save in draft" not in body
    assert "Add rule" not in body
    assert 'href="/routing/"' in body


def test_settings_go_into_a_draft(as_oskar: Client) -> None:
    assert as_oskar.post("/routing/settings/", SETTINGS).status_code == 302
    record = selectors.standing().edited
    assert (record.strategy, record.groups) == ("cost", ("free", "eu-*"))
    assert record.cooldown == {"rate_first_s": 60}
    assert (record.sticky_s, record.queue_length) == (600, 50)
    assert routing_record().strategy == "priority"
    body = text_of(as_oskar.get("/routing/"))
    assert "A draft waits" in body
    assert "6 changes not in force" in body


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"strategy": "best"}, "Select a valid choice"),
        ({"sticky_s": "-1"}, "between 0 and"),
        ({"sticky_s": ""}, "required"),
        ({"groups": "<b>"}, "a pattern of provider ids"),
        ({"cooldown_rate_first_s": "9999"}, "not longer than at most"),
        ({"cooldown_failure_after": "1.5"}, "whole number"),
        ({"wait_cap_s": "nan"}, "Enter a number"),
    ],
)
def test_a_mistake_in_the_settings_is_named(
    as_oskar: Client, values: dict[str, str], said: str
) -> None:
    answer = as_oskar.post("/routing/settings/", {**SETTINGS, **values})
    assert answer.status_code == 422
    assert said in text_of(answer)
    assert not RoutingRevision.objects.exists()


def test_settings_for_an_old_state_are_refused(as_oskar: Client) -> None:
    tag = selectors.standing().tag
    routing.change_settings(CLI, {"mode": "local"})
    answer = as_oskar.post("/routing/settings/", {**SETTINGS, "tag": tag}, follow=True)
    assert "Somebody else changed the routing meanwhile" in text_of(answer)
    assert selectors.standing().edited.strategy == "priority"


# Rules


@pytest.mark.usefixtures("pool")
def test_a_rule_is_added_edited_switched_and_removed(as_oskar: Client) -> None:
    assert as_oskar.get("/routing/rules/add/").status_code == 200
    assert as_oskar.post("/routing/rules/add/", RULE).status_code == 302
    [rule] = selectors.standing().edited.rules
    assert (rule.provider, rule.models) == ("acme", ("gpt-*",))
    form = as_oskar.get("/routing/rules/1/").context["form"]
    assert form["provider"].value() == "acme"
    changed = {**RULE, "action": "wait_and_retry", "max_retries": "5", "name": "calm"}
    assert as_oskar.post("/routing/rules/1/", changed).status_code == 302
    [rule] = selectors.standing().edited.rules
    assert (rule.action, rule.max_retries, rule.name) == ("wait_and_retry", 5, "calm")
    assert as_oskar.post("/routing/rules/1/disable/").status_code == 302
    assert not selectors.standing().edited.rules[0].enabled
    assert as_oskar.post("/routing/rules/1/", changed).status_code == 302
    assert not selectors.standing().edited.rules[0].enabled
    assert as_oskar.post("/routing/rules/1/enable/").status_code == 302
    assert selectors.standing().edited.rules[0].enabled
    assert "try 5 more times" in text_of(as_oskar.get("/routing/rules/1/remove/"))
    assert as_oskar.post("/routing/rules/1/remove/").status_code == 302
    assert not selectors.standing().edited.rules


def test_rules_move_by_buttons_and_by_place(as_oskar: Client) -> None:
    for name in ("a", "b", "c"):
        rule = RuleRecord(trigger="error", action="switch_provider", provider=name)
        routing_rules.add_rule(CLI, rule)
    tag = selectors.standing().tag
    answer = as_oskar.post("/routing/rules/3/up/", {"tag": tag}, headers=HX)
    assert answer.status_code == 200
    body = text_of(answer)
    assert "<html" not in body
    assert 'hx-swap-oob="true"' in body
    # The form beside it may be sent from this very page.
    assert f'id="settings-tag" value="{selectors.standing().tag}"' in body
    sent = {"place": "1", "to": "3", "tag": selectors.standing().tag}
    assert as_oskar.post("/routing/rules/move/", sent).status_code == 302
    order = [each.provider for each in selectors.standing().edited.rules]
    assert order == ["c", "b", "a"]
    stale = as_oskar.post("/routing/rules/1/down/", {"tag": tag}, headers=HX)
    assert stale.headers["HX-Redirect"] == "/routing/"
    for wrong in ({}, {"place": "x", "to": "1"}):
        assert as_oskar.post("/routing/rules/move/", wrong).status_code == 404
    assert as_oskar.post("/routing/rules/1/sideways/").status_code == 404
    assert as_oskar.get("/routing/rules/9/").status_code == 404


@pytest.mark.usefixtures("pool")
@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"provider": ""}, "Name the provider"),
        ({"provider": "gone"}, "Select a valid choice"),
        ({"action": "switch_model"}, "Name the model"),
        ({"trigger": "low_funds"}, "below which balance"),
        (
            {"trigger": "cost_limit", "action": "wait_and_retry"},
            "nothing to try again",
        ),
        ({"action": "wait_and_retry", "max_retries": "99"}, "1 to 20"),
    ],
)
def test_a_mistake_in_a_rule_is_named(
    as_oskar: Client, values: dict[str, str], said: str
) -> None:
    answer = as_oskar.post("/routing/rules/add/", {**RULE, **values})
    assert answer.status_code == 422
    assert said in text_of(answer)
    assert not RoutingRevision.objects.exists()


def test_a_rule_to_a_deleted_provider_is_flagged_inline(as_oskar: Client) -> None:
    rule = RuleRecord(
        trigger="error", action="switch_provider", provider="gone", models=("claude-*",)
    )
    routing_rules.add_rule(CLI, rule)
    for url in ("/routing/", "/routing/draft/"):
        body = text_of(as_oskar.get(url))
        assert "There is no provider gone." in body, url
        assert "can never match" in body, url
    # It stays among the choices of its form, and may be published.
    assert "gone (deleted)" in text_of(as_oskar.get("/routing/rules/1/"))
    sent = {"tag": selectors.standing().tag}
    assert as_oskar.post("/routing/draft/publish/", sent).status_code == 302
    assert routing_record().rules == (rule,)


# The draft


@pytest.mark.usefixtures("pool")
def test_a_draft_is_looked_at_published_and_put_back(as_oskar: Client) -> None:
    assert "No draft" in text_of(as_oskar.get("/routing/draft/"))
    as_oskar.post("/routing/settings/", SETTINGS)
    as_oskar.post("/routing/rules/add/", RULE)
    body = text_of(as_oskar.get("/routing/draft/"))
    assert "Cheapest" in body
    assert "ask provider acme" in body
    assert "oskar@example.com" in body
    sent = {"tag": selectors.standing().tag, "note": "<b>cheap</b>"}
    answer = as_oskar.post("/routing/draft/publish/", sent, follow=True)
    assert "Routing 1 is in force" in text_of(answer)
    assert routing_record().strategy == "cost"
    routing.change_settings(CLI, {"strategy": "latency"})
    routing.publish(CLI)
    body = text_of(as_oskar.get("/routing/history/"))
    assert "&lt;b&gt;cheap" in body
    assert "in force" in body
    body = text_of(as_oskar.get("/routing/history/1/"))
    assert "What going back would change" in body
    assert "Fastest" in text_of(as_oskar.get("/routing/history/2/"))
    assert as_oskar.get("/routing/history/1/revert/").status_code == 200
    assert as_oskar.post("/routing/history/1/revert/").status_code == 302
    assert (routing_record().strategy, routing_record().revision) == ("cost", 3)
    assert "Go back to the defaults" in text_of(
        as_oskar.get("/routing/history/0/revert/")
    )
    assert as_oskar.get("/routing/history/99/").status_code == 404
    actions = set(AuditEvent.objects.values_list("action", flat=True))
    assert {"routing.publish", "routing.revert", "routing.rule_add"} <= actions


@pytest.mark.parametrize("tag", ["", "0123456789abcdef"])
def test_a_publish_of_what_nobody_looked_at_is_refused(
    as_oskar: Client, tag: str
) -> None:
    routing.change_settings(CLI, {"strategy": "cost"})
    answer = as_oskar.post("/routing/draft/publish/", {"tag": tag}, follow=True)
    assert "Somebody else changed the routing meanwhile" in text_of(answer)
    assert routing_record().strategy == "priority"


def test_a_draft_is_discarded_after_a_question(as_oskar: Client) -> None:
    routing.change_settings(CLI, {"strategy": "cost"})
    body = text_of(as_oskar.get("/routing/draft/discard/"))
    assert "1 change" in body
    assert selectors.standing().draft is not None
    sent = {"tag": selectors.standing().tag}
    assert as_oskar.post("/routing/draft/discard/", sent).status_code == 302
    assert selectors.standing().draft is None


def test_a_draft_that_cannot_be_in_force_is_not_published(as_oskar: Client) -> None:
    routing.change_settings(CLI, {"strategy": "cost"})
    RoutingRevision.objects.update(document={"strategy": "best"})
    body = text_of(as_oskar.get("/routing/draft/"))
    assert "It cannot be published" in body
    sent = {"tag": selectors.standing().tag}
    answer = as_oskar.post("/routing/draft/publish/", sent)
    assert answer.status_code == 422
    assert "It is one of priority" in text_of(answer)
    assert routing_record().strategy == "priority"


def test_an_overtaken_draft_says_so(as_oskar: Client) -> None:
    for word in ("cost", "latency"):
        routing.change_settings(CLI, {"strategy": word})
        routing.publish(CLI)
    routing.change_settings(CLI, {"mode": "local"})
    routing.revert(CLI, 1)
    for url in ("/routing/", "/routing/draft/"):
        assert "published meanwhile" in text_of(
            as_oskar.get(url)
        ) or "begun before" in text_of(as_oskar.get(url))


def test_the_history_goes_on_page_by_page(as_oskar: Client) -> None:
    now = datetime.now(UTC)
    RoutingRevision.objects.bulk_create(
        RoutingRevision(
            number=number,
            is_draft=False,
            created_at=now,
            updated_at=now,
            published_at=now,
        )
        for number in range(1, 54)
    )
    body = text_of(as_oskar.get("/routing/history/"))
    assert "?before=4" in body
    older = text_of(as_oskar.get("/routing/history/?before=4"))
    assert "/routing/history/3/" in older
    assert "/routing/history/5/" not in older


# Who may, and how much it costs


def test_viewers_change_nothing(as_viktor: Client, pool: dict[str, Any]) -> None:
    models.set_alias(CLI, "fast", ["big"])
    rule = RuleRecord(trigger="error", action="switch_provider", provider="acme")
    routing_rules.add_rule(CLI, rule)
    routing.publish(CLI)
    routing.change_settings(CLI, {"strategy": "cost"})
    routing.publish(CLI)
    routing.change_settings(CLI, {"mode": "local"})
    pk = Alias.objects.get().pk
    before = selectors.standing().tag
    for path in (
        "settings/", "rules/add/", "rules/1/", "rules/1/remove/", "rules/1/up/",
        "rules/1/disable/", "rules/move/", "draft/publish/", "draft/discard/",
        "history/1/revert/", "default-model/", "aliases/add/", f"aliases/{pk}/",
        f"aliases/{pk}/remove/",
    ):  # fmt: skip
        assert as_viktor.post(f"/routing/{path}", {}).status_code == 403, path
    assert selectors.standing().tag == before
    for path in ("", "draft/", "history/", "history/1/", "aliases/", "simulate/"):
        body = text_of(as_viktor.get(f"/routing/{path}"))
        assert "btn-danger" not in body, path
        assert 'method="post" action="/routing/' not in body.replace(
            'method="post" action="/routing/settings/"', ""
        ), path


def test_every_routing_page_within_twelve_queries(
    as_oskar: Client, pool: dict[str, Any], django_assert_max_num_queries: Any
) -> None:
    make_requests(pool["beta"], "gpt-5-mini", 3, key=pool["key"])
    models.set_alias(CLI, "fast", ["big", "acme/gpt-5-mini"])
    for trigger, more in (
        ("error", {"models": ("gpt-*",), "keys": ("ci",)}),
        ("rate_limit", {"model": "big"}),
        ("low_funds", {"below_nano_usd": 5}),
        ("cost_limit", {}),
    ):
        rule: Any = {"action": "switch_provider", "provider": "acme", **more}
        routing_rules.add_rule(CLI, RuleRecord(trigger=trigger, **rule))
    routing.publish(CLI)
    routing.change_settings(CLI, {"strategy": "cost"})
    as_oskar.get("/routing/simulate/?model=gpt-5-mini")  # the pool is prepared once
    for path in (
        "", "rules/add/", "rules/1/", "draft/", "draft/replay/", "history/",
        "history/1/", "aliases/", "aliases/add/", "default-model/", "simulate/",
        "simulate/?model=fast&key=ci&down=acme&needs=tools", "simulate/?failed=1",
    ):  # fmt: skip
        with django_assert_max_num_queries(12, info=path):
            answer = as_oskar.get(f"/routing/{path}")
        assert answer.status_code == 200, path
        body = text_of(answer)
        assert body.count("<h1") == 1, path
        assert " style=" not in body, path


@pytest.mark.parametrize(
    ("url", "wrong"),
    [
        ("/routing/settings/", {**SETTINGS, "sticky_s": "many"}),
        ("/routing/rules/1/", {**RULE, "provider": ""}),
    ],
)
@pytest.mark.usefixtures("pool")
def test_a_refused_form_still_belongs_to_what_it_was_filled_in_from(
    as_oskar: Client, url: str, wrong: dict[str, str]
) -> None:
    routing_rules.add_rule(CLI, RuleRecord("error", "switch_model", model="big"))
    seen = selectors.standing().tag
    routing.change_settings(CLI, {"strategy": "latency"})
    answer = as_oskar.post(url, {**wrong, "tag": seen})
    assert answer.status_code == 422
    assert f'name="tag" value="{seen}"' in text_of(answer).replace(
        'id="settings-tag" ', ""
    )
