"""Prove the API of alerts: secrets once, owners only, refusals by field."""

from __future__ import annotations

import pytest

from poolsite import alerts
from poolsite.models import User
from tests.providers.api.conftest import Api

pytestmark = pytest.mark.django_db
HOOK = {
    "kind": "webhook",
    "name": "h",
    "url": "https://hooks.example.com/canary-1",
    "events": ["alert.opened", "provider.created"],
}


def test_webhook_shows_its_secret_in_one_answer_only(owner: Api) -> None:
    status, made = owner("POST", "/alert-channels", HOOK)
    assert status == 201
    assert made["secret"].startswith("whsec_")
    [listed] = owner("GET", "/alert-channels")[1]
    assert listed["origin"] == "https://hooks.example.com:443"
    assert {"secret", "url", "target"}.isdisjoint(listed)
    assert "canary" not in str(listed)
    path = f"/alert-channels/{made['id']}"
    rotated = owner("POST", f"{path}/secret")[1]["secret"]
    assert rotated != made["secret"]
    assert owner("PATCH", path, {"digest_s": 5})[1]["digest_s"] == 5


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({**HOOK, "url": "http://127.0.0.1/"}, "url"),
        ({**HOOK, "events": ["nope"]}, "events"),
        ({**HOOK, "secret": "short"}, "secret"),
        ({"kind": "mail", "name": "m", "addresses": ["x"]}, "addresses"),
    ],
)
def test_refusal_names_its_field(body: object, field: str, owner: Api) -> None:
    status, answer = owner("POST", "/alert-channels", body)
    assert status == 422
    assert field in answer["error"]["fields"]
    assert owner("GET", "/alert-channels")[1] == []


def test_channels_are_the_owners_alone(owner: Api, operator: Api, oskar: User) -> None:
    made = owner("POST", "/alert-channels", HOOK)[1]
    path = f"/alert-channels/{made['id']}"
    for method, where in (
        ("POST", "/alert-channels"),
        ("PATCH", path),
        ("DELETE", path),
        ("POST", f"{path}/test"),
        ("POST", f"{path}/secret"),
        ("POST", f"{path}/disable"),
    ):
        body = HOOK if where == "/alert-channels" else {}
        assert operator(method, where, body)[0] == 403, where


def test_operator_closes_an_alert(operator: Api) -> None:
    alerts.raise_alert("k", "a", title="A")
    [listed] = operator("GET", "/alerts")[1]
    path = f"/alerts/{listed['id']}"
    seen = operator("POST", f"{path}/acknowledge")[1]
    assert seen["acknowledged_by"] == "oskar@example.com"
    assert operator("POST", f"{path}/resolve")[1]["resolved_at"]
    assert operator("GET", "/alerts")[1] == []
    assert len(operator("GET", "/alerts?resolved=true")[1]) == 1


def test_failed_test_is_data_and_listed(owner: Api) -> None:
    made = owner("POST", "/alert-channels", HOOK)[1]
    sent = owner("POST", f"/alert-channels/{made['id']}/test")[1]
    assert (sent["event"], sent["state"], sent["due_at"]) == ("test", "gave_up", None)
    assert sent["last_error"] == "The host name does not resolve."
    assert owner("GET", "/alert-deliveries")[1] == [sent]
