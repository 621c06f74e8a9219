"""Prove that routing changes whole: drafted, looked at, published, put back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from django.db import IntegrityError

from poolsite import audit, version
from poolsite.actor import CLI, SYSTEM
from poolsite.models import AuditEvent
from providers import selectors_routing as selectors
from providers.models import RoutingRevision
from providers.services import routing, routing_rules
from providers.services.errors import ServiceError
from providers.snapshot.records import routing_record, settings_record
from providers.snapshot.types import RoutingRecord, RuleRecord
from tests import factories

pytestmark = pytest.mark.django_db
RULE = RuleRecord(trigger="error", action="switch_provider", provider="acme")


def strategy(word: str, **more: Any) -> selectors.Standing:
    return routing.change_settings(CLI, {"strategy": word}, **more)


def test_an_edit_is_in_force_only_once_it_is_published() -> None:
    before = version.current()
    standing = strategy("cost")
    assert standing.edited.strategy == "cost"
    assert routing_record() == RoutingRecord()
    assert version.current() == before
    row = routing.publish(CLI, note="cheap first")
    assert routing_record().strategy == "cost"
    assert settings_record().routing.revision == row.number == 1
    assert version.current() > before
    assert selectors.standing().draft is None
    assert (row.note, row.author) == ("cheap first", None)


def test_edits_gather_in_one_draft() -> None:
    strategy("cost")
    routing.change_settings(CLI, {"mode": "local", "cooldown": {"rate_first_s": 60}})
    routing_rules.add_rule(CLI, RULE)
    [draft] = RoutingRevision.objects.all()
    record = selectors.record_of(draft)
    assert (record.strategy, record.mode) == ("cost", "local")
    assert record.cooldown == {"rate_first_s": 60}
    assert record.rules == (RULE,)


def test_an_edit_that_changes_nothing_begins_no_draft() -> None:
    assert strategy("priority").draft is None
    assert not AuditEvent.objects.exists()


def test_a_stale_publish_is_refused_with_a_clear_word() -> None:
    seen = strategy("cost").tag
    strategy("latency")
    with pytest.raises(routing.StaleError, match="Somebody else changed the routing"):
        routing.publish(CLI, tag=seen)
    assert routing_record().strategy == "priority"
    routing.publish(CLI, tag=selectors.standing().tag)
    assert routing_record().strategy == "latency"


CHANGES: dict[str, Callable[[str], object]] = {
    "settings": lambda tag: strategy("latency", tag=tag),
    "rule": lambda tag: routing_rules.add_rule(CLI, RULE, tag=tag),
    "discard": lambda tag: routing.discard(CLI, tag=tag),
}


@pytest.mark.parametrize("what", CHANGES)
def test_every_change_for_an_old_state_is_refused(what: str) -> None:
    seen = selectors.standing().tag
    strategy("cost")
    with pytest.raises(routing.StaleError):
        CHANGES[what](seen)
    assert selectors.standing().edited.strategy == "cost"


def test_a_publish_in_between_makes_the_draft_stale() -> None:
    strategy("cost")
    routing.publish(CLI)
    seen = strategy("latency").tag
    # Somebody goes back to an older routing while the draft is open.
    strategy("weighted")
    routing.publish(CLI)
    strategy("latency")
    routing.revert(CLI, 1)
    standing = selectors.standing()
    assert standing.is_overtaken
    with pytest.raises(routing.StaleError):
        routing.publish(CLI, tag=seen)
    row = routing.publish(CLI, tag=standing.tag)
    assert routing_record().strategy == "latency"
    assert row.number == max(RoutingRevision.objects.values_list("number", flat=True))


def test_a_discarded_draft_leaves_what_is_in_force() -> None:
    strategy("cost")
    routing.publish(CLI)
    strategy("latency")
    routing.discard(CLI)
    assert selectors.standing().draft is None
    assert routing_record().strategy == "cost"
    routing.discard(CLI)
    with pytest.raises(ServiceError, match="no draft"):
        routing.publish(CLI)


def test_a_revert_publishes_the_old_document_under_a_new_number() -> None:
    strategy("cost")
    routing_rules.add_rule(CLI, RULE)
    first = routing.publish(CLI)
    strategy("latency")
    routing_rules.remove_rule(CLI, 1)
    routing.publish(CLI)
    strategy("weighted")
    before = version.current()
    third = routing.revert(CLI, first.number)
    assert third.number > first.number + 1
    assert (third.note, third.is_draft) == ("Back to 1", False)
    now = routing_record()
    assert (now.strategy, now.rules, now.revision) == ("cost", (RULE,), third.number)
    assert version.current() > before
    assert selectors.standing().edited.strategy == "weighted"
    assert [row.number for row in selectors.history()] == [third.number, 2, 1]


def test_a_revert_to_the_defaults_is_one_too() -> None:
    strategy("cost")
    with pytest.raises(ServiceError, match="in force already"):
        routing.revert(CLI, 0)
    routing.publish(CLI)
    row = routing.revert(CLI, 0)
    assert (row.number, row.note) == (2, "Back to the defaults")
    assert routing_record() == RoutingRecord(revision=2)


@pytest.mark.parametrize(
    ("number", "word"), [(1, "in force already"), (9, "There is no")]
)
def test_a_revert_to_nothing_is_refused(number: int, word: str) -> None:
    strategy("cost")
    routing.publish(CLI)
    with pytest.raises(ServiceError, match=word):
        routing.revert(CLI, number)


def test_every_step_is_audited() -> None:
    strategy("cost")
    routing_rules.add_rule(CLI, RULE)
    routing_rules.switch_rule(CLI, 1, enabled=False)
    routing_rules.switch_rule(CLI, 1, enabled=True)
    routing_rules.add_rule(CLI, msgspec.structs.replace(RULE, provider="b"))
    routing_rules.move_rule(CLI, 2, 1)
    routing_rules.set_rule(CLI, 1, msgspec.structs.replace(RULE, provider="c"))
    routing_rules.remove_rule(CLI, 2)
    routing.publish(CLI)
    strategy("latency")
    routing.discard(CLI)
    strategy("latency")
    routing.publish(CLI)
    routing.revert(CLI, 1)
    routing.set_default_model(CLI, "fast")
    events = AuditEvent.objects.order_by("id")
    assert [each.action for each in events] == [
        "routing.edit", "routing.rule_add", "routing.rule_disable",
        "routing.rule_enable", "routing.rule_add", "routing.rule_move",
        "routing.rule_set", "routing.rule_remove", "routing.publish", "routing.edit",
        "routing.discard", "routing.edit", "routing.publish", "routing.revert",
        "routing.default_model",
    ]  # fmt: skip
    assert events[0].before == {"Strategy": "Priority"}
    assert events[0].after == {"Strategy": "Cheapest"}
    assert "Strategy Priority Cheapest" not in str(events[0].after)
    published = events[8].after
    assert published is not None
    assert published["number"] == 1
    assert len(published["changes"]) == 2
    assert audit.verify_chain() is None


def test_an_unreadable_document_routes_by_the_defaults() -> None:
    strategy("cost")
    row = routing.publish(CLI)
    RoutingRevision.objects.filter(pk=row.pk).update(document={"strategy": 7})
    assert routing_record().strategy == "priority"
    assert selectors.standing().in_force.strategy == "priority"


def test_there_is_never_a_second_draft() -> None:
    strategy("cost")
    row = RoutingRevision.objects.get()
    with pytest.raises(IntegrityError):
        RoutingRevision.objects.create(
            number=99, created_at=row.created_at, updated_at=row.updated_at
        )


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"strategy": "best"}, "strategy"),
        ({"mode": "moon"}, "mode"),
        ({"sticky_s": -1}, "sticky_s"),
        ({"sticky_s": 10**9}, "sticky_s"),
        ({"first_token_s": 3601}, "first_token_s"),
        ({"queue_length": 10_001}, "queue_length"),
        ({"queue_wait_s": 301}, "queue_wait_s"),
        ({"wait_cap_s": 121}, "wait_cap_s"),
        ({"groups": ["free", "free"]}, "groups"),
        ({"groups": ["<b>"]}, "groups"),
        ({"cooldown": {"nope": 5}}, "cooldown"),
        ({"cooldown": {"rate_first_s": 0}}, "rate_first_s"),
        ({"cooldown": {"rate_first_s": 301}}, "rate_first_s"),
        ({"cooldown": {"failure_after": 2.5}}, "cooldown"),
        ({"cooldown": {"failure_after": 1001}}, "failure_after"),
        ({"strategy": 7}, ""),
        ({"revision": 7}, ""),
        ({"rules": []}, ""),
    ],
)
def test_settings_that_cannot_be_in_force_are_refused(
    values: dict[str, Any], field: str
) -> None:
    with pytest.raises(ServiceError) as caught:
        routing.change_settings(CLI, values)
    assert caught.value.field == field
    assert not RoutingRevision.objects.exists()


@pytest.mark.parametrize("note", ["n" * 201, "a\x00b"])
def test_a_note_is_one_short_line(note: str) -> None:
    strategy("cost")
    with pytest.raises(ServiceError, match="one line"):
        routing.publish(CLI, note=note)
    assert selectors.standing().published is None


def test_the_default_provider_holds_at_once_and_must_be_there() -> None:
    factories.make_provider("acme")
    routing.set_default_provider(SYSTEM, "acme")
    assert settings_record().default_provider == "acme"
    with pytest.raises(ServiceError):
        routing.set_default_provider(SYSTEM, "nobody")
    routing.set_default_provider(SYSTEM, "")
    assert settings_record().default_provider == ""


def test_the_default_model_holds_at_once() -> None:
    before = version.current()
    routing.set_default_model(SYSTEM, " fast ")
    assert selectors.default_model() == "fast"
    assert settings_record().default_model == "fast"
    assert version.current() > before
    routing.set_default_model(SYSTEM, "")
    assert settings_record().default_model == ""
    with pytest.raises(ServiceError):
        routing.set_default_model(SYSTEM, "x\x00")
