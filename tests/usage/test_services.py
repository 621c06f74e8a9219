"""Prove what client keys and budgets may be, and what a change does to them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from poolsite import version
from poolsite.actor import CLI
from poolsite.client_keys import parse_client_key
from poolsite.clock import ManualClock
from poolsite.models import AuditEvent, Tombstone
from tests import factories
from usage import services
from usage.budgets.services import Whose, add_budget
from usage.models import Budget, ClientKey

pytestmark = pytest.mark.django_db


def test_new_key_is_stored_as_digest_only() -> None:
    key, text = services.create_key(CLI, " ci ")
    made = parse_client_key(text)
    assert made is not None
    assert (key.name, key.public_id, key.last4) == ("ci", made.public_id, text[-4:])
    secret = text.split("_")[2]
    assert secret not in str(ClientKey.objects.values())
    assert secret not in str(AuditEvent.objects.values())


def test_update_touches_only_what_is_named() -> None:
    key, _ = factories.make_client_key("ci", rpm=5)
    stale = ClientKey.objects.get()
    services.update_key(CLI, key, tpm=7)
    services.update_key(CLI, stale, concurrency=3)
    row = ClientKey.objects.get()
    assert (row.rpm, row.tpm, row.concurrency) == (5, 7, 3)
    event = AuditEvent.objects.order_by("-id")[0]
    assert (event.before, event.after) == ({"concurrency": None}, {"concurrency": 3})


def test_revoked_key_can_be_neither_changed_nor_rotated() -> None:
    key, _ = factories.make_client_key("ci")
    stale = ClientKey.objects.get()
    services.revoke_key(CLI, key)
    with pytest.raises(services.UsageError, match="revoked"):
        services.update_key(CLI, stale, rpm=1)
    with pytest.raises(services.UsageError, match="revoked"):
        services.rotate_key(CLI, stale)
    assert ClientKey.objects.get().revoked_at is not None


def test_name_is_free_again_after_a_revocation() -> None:
    key, _ = factories.make_client_key("ci")
    with pytest.raises(services.UsageError, match="exists already"):
        factories.make_client_key("ci")
    services.revoke_key(CLI, key)
    again, _ = factories.make_client_key("ci")
    assert again.pk != key.pk


def test_rotation_with_grace_keeps_the_old_text_for_that_long() -> None:
    clock = ManualClock()
    key, _ = factories.make_client_key("ci")
    old = key.public_id
    services.rotate_key(CLI, key, grace="1h", clock=clock)
    row = ClientKey.objects.get()
    assert (row.previous_public_id, row.public_id != old) == (old, True)
    assert row.grace_until == clock.now() + timedelta(hours=1)
    second = row.public_id
    services.rotate_key(CLI, row, grace="now", clock=clock)
    row.refresh_from_db()
    assert (row.previous_public_id, row.grace_until) == ("", None)
    gone = set(Tombstone.objects.values_list("key", flat=True))
    assert gone == {old, second}


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"name": ""}, "name"), ({"name": "x" * 121}, "name"), ({"name": None}, "name"),
        ({"rpm": 0}, "rpm"), ({"rpm": -1}, "rpm"), ({"rpm": 2**31}, "rpm"),
        ({"rpm": "5"}, "rpm"), ({"rpm": True}, "rpm"), ({"tpd": 0}, "tpd"),
        ({"model_access": "some"}, "model_access"), ({"tags": "x"}, "tags"),
        ({"model_access": "only"}, "models_allowed"),
        ({"provider_access": "only"}, "providers_allowed"),
        ({"models_allowed": [1]}, "models_allowed"),
        ({"ip_allow": ["10.0.0.0/33"]}, "ip_allow"), ({"window_s": 60}, "window_s"),
        ({"unpriced": "free"}, "unpriced"), ({"log_level": None}, "log_level"),
        ({"public_id": "x"}, ""), ({"digest": "x"}, ""), ({"revoked_at": None}, ""),
    ],
)  # fmt: skip
def test_bad_value_is_refused_and_its_field_named(
    values: dict[str, Any], field: str
) -> None:
    key, _ = factories.make_client_key("ci")
    before = ClientKey.objects.values().get()
    with pytest.raises(services.UsageError) as refusal:
        services.update_key(CLI, key, **values)
    assert refusal.value.field == field
    assert ClientKey.objects.values().get() == before


def test_budget_is_set_changed_and_taken_away() -> None:
    key, _ = factories.make_client_key("ci")
    first = services.set_key_budget(CLI, key, services.BudgetTerms(5))
    second = services.set_key_budget(
        CLI, key, services.BudgetTerms(6, window="day", hard=False)
    )
    assert first is not None
    assert first == second
    assert Budget.objects.get().hard is False
    before = version.current()
    assert services.set_key_budget(CLI, key, None) is None
    assert version.gone_since(before) == {"budget": [str(first.pk)]}
    assert services.set_key_budget(CLI, key, None) is None
    actions = AuditEvent.objects.filter(action__startswith="budget")
    assert [event.action for event in actions.order_by("id")] == [
        "budget.set", "budget.set", "budget.remove",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "terms",
    [
        services.BudgetTerms(-1), services.BudgetTerms(10**19),
        services.BudgetTerms(1, window="year"),
        services.BudgetTerms(1, time_zone="America"),
        services.BudgetTerms(1, time_zone="/etc/passwd"),
    ],
)  # fmt: skip
def test_bad_budget_is_refused(terms: services.BudgetTerms) -> None:
    key, _ = factories.make_client_key("ci")
    with pytest.raises(services.UsageError):
        services.set_key_budget(CLI, key, terms)
    with pytest.raises(services.UsageError):
        add_budget(CLI, Whose("pool"), terms)
    assert not Budget.objects.exists()


def test_budgets_of_pool_and_team_reach_the_keys_below_them() -> None:
    from providers.snapshot.build import client_key_records

    team = services.create_team(CLI, slug="core")
    inside, _ = factories.make_client_key("inside", team=team)
    outside, _ = factories.make_client_key("outside")
    whole = add_budget(CLI, Whose("pool"), services.BudgetTerms(9))
    part = add_budget(CLI, Whose("team", team=team), services.BudgetTerms(5))
    records = client_key_records([inside.pk, outside.pk], ManualClock().now())
    found = {each.name: each.budget_ids for each in records.values()}
    assert found == {"inside": (part.pk, whole.pk), "outside": (whole.pk,)}


@pytest.mark.parametrize("slug", ["", "a b", "ä", "x" * 65, "core"])
def test_bad_team_is_refused(slug: str) -> None:
    services.create_team(CLI, slug="core")
    with pytest.raises(services.UsageError):
        services.create_team(CLI, slug=slug)
