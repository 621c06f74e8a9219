"""Prove who may be made, changed and kept out, and that an owner always stays."""

from __future__ import annotations

from typing import Any

import pytest

from poolsite import people, version
from poolsite.accounts import role_of
from poolsite.actor import CLI, person
from poolsite.models import AuditEvent, User
from tests import factories
from usage.models import ClientKey

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery"


def make(email: str = "a@b.co", role: str = "owner", **values: Any) -> User:
    return people.create_user(CLI, email=email, password=PASSWORD, role=role, **values)


def test_address_is_kept_in_lower_case_and_the_password_is_not_kept() -> None:
    user = make(" New@Example.COM ")
    assert user.email == "new@example.com"
    assert role_of(user) == "owner"
    event = AuditEvent.objects.get()
    assert event.after == {"email": "new@example.com", "role": "owner"}
    assert PASSWORD not in str(event.__dict__)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"email": "nobody"}, "email"), ({"email": ""}, "email"),
        ({"email": "x" * 260 + "@b.co"}, "email"), ({"email": "a\x00@b.co"}, "email"),
        ({"password": "short"}, "password"), ({"password": "password1234"}, "password"),
        ({"email": "somebody@b.co", "password": "somebody@b.co"}, "password"), ({"role": "king"}, "role"),
        ({"time_zone": "America"}, "time_zone"), ({"time_zone": ""}, "time_zone"),
    ],
)  # fmt: skip
def test_bad_person_is_refused_and_the_field_named(
    values: dict[str, Any], field: str
) -> None:
    good = {"email": "a@b.co", "password": PASSWORD, "role": "viewer"}
    with pytest.raises(people.PeopleError) as refusal:
        people.create_user(CLI, **{**good, **values})
    assert refusal.value.field == field
    assert not User.objects.exists()
    assert not AuditEvent.objects.exists()


def test_address_in_use_is_refused_whatever_its_case() -> None:
    make("a@b.co")
    with pytest.raises(people.PeopleError, match="exists already"):
        make("A@B.co")


def test_last_owner_keeps_role_and_access() -> None:
    owner = make()
    for change in (
        lambda: people.change_role(CLI, user=owner, role="viewer"),
        lambda: people.set_active(CLI, user=owner, active=False),
    ):
        with pytest.raises(people.PeopleError, match="last owner"):
            change()
    make("b@b.co")
    people.change_role(CLI, user=owner, role="viewer")
    assert role_of(User.objects.get(pk=owner.pk)) == "viewer"


def test_owner_who_is_kept_out_does_not_count_as_one() -> None:
    first, second = make("a@b.co"), make("b@b.co")
    people.set_active(CLI, user=second, active=False)
    with pytest.raises(people.PeopleError, match="last owner"):
        people.change_role(CLI, user=first, role="operator")


def test_role_remembered_from_before_does_not_let_the_last_owner_go() -> None:
    make("a@b.co")
    second = make("b@b.co", "viewer")
    assert role_of(second) == "viewer"  # remembered on this object
    people.change_role(CLI, user=User.objects.get(pk=second.pk), role="owner")
    people.set_active(CLI, user=User.objects.get(email="a@b.co"), active=False)
    with pytest.raises(people.PeopleError, match="last owner"):
        people.set_active(CLI, user=second, active=False)


def test_nobody_changes_themselves() -> None:
    owner = make()
    make("b@b.co")
    for change in (
        lambda: people.change_role(person(owner), user=owner, role="viewer"),
        lambda: people.set_active(person(owner), user=owner, active=False),
    ):
        with pytest.raises(people.PeopleError, match="You cannot"):
            change()


def test_keys_of_a_person_kept_out_are_told_to_the_data_plane() -> None:
    make()
    user = make("b@b.co", "operator")
    key, _ = factories.make_client_key("ci", owner=user)
    before = version.current()
    people.set_active(CLI, user=user, active=False)
    assert list(version.changed_since(ClientKey, before)) == [key]


def test_new_password_ends_the_sessions_of_the_old_one(client: Any) -> None:
    user = make()
    client.force_login(user)
    assert client.get("/providers/").status_code == 200
    people.set_password(CLI, user=user, password="another horse 9")
    assert client.get("/providers/").status_code == 302
    assert User.objects.get().check_password("another horse 9")


def test_preferences_are_checked_and_only_they_change() -> None:
    user = make()
    people.change_preferences(CLI, user=user, time_zone="Asia/Tokyo", theme="dark")
    user.refresh_from_db()
    assert (user.time_zone, user.theme) == ("Asia/Tokyo", "dark")
    for values in (
        {"time_zone": "Mars"}, {"theme": "pink"}, {"shortcuts": "yes"},
        {"name": "x" * 200}, {"is_superuser": True}, {"email": "x@y.co"},
    ):  # fmt: skip
        with pytest.raises(people.PeopleError):
            people.change_preferences(CLI, user=user, **values)
    assert not User.objects.get().is_superuser
