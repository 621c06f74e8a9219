"""Prove roles, the closed door of sign-up, and times in the viewer's zone."""

from __future__ import annotations

from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from poolsite.accounts import AccountAdapter, UserZoneMiddleware, role_of, set_role
from poolsite.columns import ColumnError, check_columns, check_time_zone
from poolsite.models import User
from providers.models import Provider
from usage.models import ClientKey


@pytest.mark.django_db
def test_person_has_exactly_one_role(viktor: User) -> None:
    set_role(viktor, "owner")
    set_role(viktor, "operator")
    assert viktor.groups.count() == 1
    assert role_of(User.objects.get(pk=viktor.pk)) == "operator"
    with pytest.raises(ValueError, match="must be one of"):
        set_role(viktor, "king")


@pytest.mark.django_db
def test_person_without_a_role_may_only_look() -> None:
    assert role_of(User.objects.create_user("a@b.co", "x")) == "viewer"


@pytest.mark.django_db
def test_nobody_signs_up_alone(client: Any, olivia: User) -> None:
    assert not AccountAdapter().is_open_for_signup(HttpRequest())
    form = {"email": "new@b.co", "password1": "correct horse battery"}
    client.post("/accounts/signup/", form)
    assert User.objects.count() == 1


@pytest.mark.parametrize(
    ("zone", "shown"),
    [
        ("Asia/Tokyo", "Asia/Tokyo"),
        ("nonsense", "UTC"),
        ("America", "UTC"),
        ("", "UTC"),
    ],
)
def test_times_are_in_the_viewers_zone(zone: str, shown: str) -> None:
    found = []

    def view(request: HttpRequest) -> HttpResponse:
        found.append(timezone.get_current_timezone_name())
        return HttpResponse()

    request = HttpRequest()
    request.user = User(time_zone=zone)
    UserZoneMiddleware(view)(request)
    timezone.deactivate()
    assert found == [shown]


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Asia/Kathmandu"])
def test_zones_are_known_by_name(zone: str) -> None:
    check_time_zone(zone)


@pytest.mark.parametrize("zone", ["", "America", "utc+1", "../x", "\x00", "Europe/"])
def test_what_is_no_zone_is_refused(zone: str) -> None:
    with pytest.raises(ColumnError, match="not a time zone"):
        check_time_zone(zone)


@pytest.mark.parametrize(
    ("row", "name"),
    [
        (ClientKey(name=None), "name"), (ClientKey(name=5), "name"),
        (ClientKey(name="a\ud800"), "name"), (ClientKey(rpm=2.5), "rpm"),
        (ClientKey(rpm=2**31), "rpm"), (ClientKey(tpm=2**63), "tpm"),
        (ClientKey(tags=["x"] * 5001), "tags"), (ClientKey(tags={"a": 1}), "tags"),
        (Provider(enabled="yes"), "enabled"), (Provider(priority=-40_000), "priority"),
        (Provider(description="a\x00"), "description"),
        (Provider(created_at="now"), "created_at"),
    ],
)  # fmt: skip
def test_value_no_column_holds_is_refused_on_any_database(row: Any, name: str) -> None:
    with pytest.raises(ColumnError) as refusal:
        check_columns(row, [name])
    assert refusal.value.field == name


def test_value_a_column_holds_passes() -> None:
    row = Provider(
        name="Ünïted 日本", description="two\nlines\tand a tab", rpm=None, priority=100,
        models_allowed=["a/b:*"],
    )  # fmt: skip
    check_columns(row, ["name", "description", "rpm", "priority", "models_allowed"])
