"""Prove that the trail is complete, chained and free of secrets."""

from __future__ import annotations

import pytest
from django.db import transaction

from poolsite import audit
from poolsite.actor import CLI
from poolsite.crypto import Secret, new_client_key
from poolsite.models import Alert, AuditEvent, Setting

pytestmark = pytest.mark.django_db
MARKER = "sk-canary-313131"


def test_event_names_actor_action_and_object() -> None:
    row = Setting.objects.create(key="smtp")
    audit.record(CLI, "setting.change", row, before={"value": 1}, after={"value": 2})
    (event,) = audit.history_of(row)
    assert (event.actor_label, event.source) == ("command line", "cli")
    assert (event.action, event.object_label) == ("setting.change", "smtp")
    assert (event.before, event.after) == ({"value": 1}, {"value": 2})


def test_event_of_a_rolled_back_change_does_not_exist() -> None:
    def fail() -> None:
        with transaction.atomic():
            audit.record(CLI, "setting.change")
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    assert not AuditEvent.objects.exists()


def test_secrets_are_hidden_wherever_they_stand() -> None:
    key = new_client_key().key.reveal()
    audit.record(
        CLI,
        "provider.change",
        after={
            "api_key": MARKER,
            "x-api-key": MARKER,
            "headers": {"Authorization": MARKER, "list": [{"password": MARKER}]},
            "tokens": [MARKER],
            "wrapped": Secret(MARKER),
            "note": f"made {key} today",
            "max_tokens": 4096,
            "name": "kept",
            "secret": "",
        },
    )
    event = AuditEvent.objects.get()
    assert MARKER not in str(event.after)
    assert key not in str(event.after)
    assert event.after["max_tokens"] == 4096
    assert event.after["name"] == "kept"


def test_untouched_chain_verifies() -> None:
    for number in range(20):
        audit.record(CLI, "setting.change", after={"n": number, "f": 0.1, "t": "ü"})
    assert audit.verify_chain() is None
    assert audit.alert_on_broken_chain() is None


@pytest.mark.parametrize(
    "change",
    [{"action": "x"}, {"after": {"n": 99}}, {"actor_label": "x"}, {"ip": "::1"}],
)
def test_edited_event_is_found(change: dict[str, object]) -> None:
    events = [audit.record(CLI, "a.b", after={"n": n}) for n in range(5)]
    AuditEvent.objects.filter(pk=events[2].pk).update(**change)
    assert audit.verify_chain() == events[2].pk
    assert audit.alert_on_broken_chain() == events[2].pk
    assert Alert.objects.get().kind == "audit_chain"


def test_removed_event_is_found_at_the_next_one() -> None:
    events = [audit.record(CLI, "a.b") for _ in range(5)]
    AuditEvent.objects.filter(pk=events[2].pk).delete()
    assert audit.verify_chain() == events[3].pk
