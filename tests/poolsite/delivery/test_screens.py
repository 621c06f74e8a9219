"""Prove the screen of alerts: who may do what, and what is never shown."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from poolsite import alerts
from poolsite.clock import ManualClock
from poolsite.delivery import sending
from poolsite.delivery.rows import AlertChannel, AlertDelivery
from poolsite.models import Alert, AuditEvent
from tests.poolsite.delivery.conftest import PATH, SECRET
from tests.vendors.server import Reply, Vendor

pytestmark = pytest.mark.django_db
HOME = "/settings/alerts/"
HOOK = {
    "name": "Ops",
    "url": "https://hooks.example.com/canary-url-4d4d",
    "secret": "",
    "events": ["alert.opened"],
    "least_severity": "warning",
    "digest_s": "60",
}


def text_of(answer: Any) -> str:
    return str(answer.content.decode())


def test_page_lists_everything_within_its_queries(
    hook: AlertChannel,
    receiver: Vendor,
    clock: ManualClock,
    as_olivia: Client,
    django_assert_max_num_queries: Any,
) -> None:
    hostile = "<script>alert(1)</script>\u202e"
    for number in range(120):
        alerts.raise_alert("k", str(number), title=f"{hostile}{number}", clock=clock)
    for number in range(60):
        alerts.resolve("k", str(number), clock=clock)
    clock.advance(60)
    sending.run(clock=clock)
    with django_assert_max_num_queries(12):
        text = text_of(as_olivia.get(HOME))
    assert "<script>alert(1)" not in text
    assert "Hook" in text
    assert "Delivered" in text
    assert text.count(">Seen</button>") == 60
    assert f'href="{HOME}"' in text_of(as_olivia.get("/settings/"))


def test_empty_page_says_so(as_viktor: Client) -> None:
    text = text_of(as_viktor.get(HOME))
    assert "Nothing needs attention." in text
    assert "Nobody is told" in text
    assert "Add webhook" not in text


def test_owner_adds_a_webhook_and_sees_its_secret_once(as_olivia: Client) -> None:
    answer = as_olivia.post(f"{HOME}channels/add/webhook/", HOOK)
    assert answer.headers["cache-control"] == "no-store, private"
    assert "whsec_" in text_of(answer)
    channel = AlertChannel.objects.get()
    assert (channel.events, channel.least_severity) == (["alert.opened"], "warning")
    for url in (HOME, f"{HOME}channels/{channel.pk}/"):
        text = text_of(as_olivia.get(url))
        assert "whsec_" not in text
        assert "canary-url" not in text
        assert "https://hooks.example.com:443" in text


def test_secret_of_ones_own_is_not_repeated(as_olivia: Client) -> None:
    answer = as_olivia.post(
        f"{HOME}channels/add/webhook/", {**HOOK, "secret": SECRET}, follow=True
    )
    assert "Ops was added" in text_of(answer)
    assert SECRET not in text_of(answer)


def test_bad_form_is_422_and_keeps_no_secret(as_olivia: Client) -> None:
    sent = {**HOOK, "url": "http://10.0.0.1/canary-url-4d4d", "secret": SECRET}
    answer = as_olivia.post(f"{HOME}channels/add/webhook/", sent)
    assert answer.status_code == 422
    assert "canary-url" not in text_of(answer)
    assert SECRET not in text_of(answer)
    assert not AlertChannel.objects.exists()
    assert as_olivia.get(f"{HOME}channels/add/pigeon/").status_code == 404


def test_edit_without_secrets_keeps_them(hook: AlertChannel, as_olivia: Client) -> None:
    before = (hook.target, hook.secret)
    sent = {**HOOK, "url": "", "name": "Renamed"}
    as_olivia.post(f"{HOME}channels/{hook.pk}/", sent)
    hook.refresh_from_db()
    assert hook.name == "Renamed"
    assert (hook.target, hook.secret) == before


def test_mail_takes_addresses_by_line(as_olivia: Client) -> None:
    sent = {**HOOK, "addresses": "a@b.co\nc@d.co, e@f.co"}
    as_olivia.post(f"{HOME}channels/add/mail/", sent)
    channel = AlertChannel.objects.get()
    assert channel.addresses == ["a@b.co", "c@d.co", "e@f.co"]
    assert "c@d.co" in text_of(as_olivia.get(f"{HOME}channels/{channel.pk}/"))
    assert as_olivia.post(f"{HOME}channels/{channel.pk}/secret/").status_code == 302


def test_test_button_says_how_it_ended(
    hook: AlertChannel, receiver: Vendor, as_olivia: Client
) -> None:
    url = f"{HOME}channels/{hook.pk}/test/"
    assert "The test arrived at Hook." in text_of(as_olivia.post(url, follow=True))
    receiver.on("POST", PATH, Reply(b"", status=500))
    text = text_of(as_olivia.post(url, follow=True))
    assert "The test did not reach Hook. It answered 500." in text


def test_new_secret_switch_and_removal(hook: AlertChannel, as_olivia: Client) -> None:
    url = f"{HOME}channels/{hook.pk}/"
    assert "whsec_" in text_of(as_olivia.post(f"{url}secret/"))
    as_olivia.post(f"{url}disable/")
    hook.refresh_from_db()
    assert not hook.enabled
    as_olivia.post(f"{url}enable/")
    assert "Remove Hook?" in text_of(as_olivia.get(f"{url}remove/"))
    assert AlertChannel.objects.filter(enabled=True).exists()
    as_olivia.post(f"{url}remove/")
    assert not AlertChannel.objects.exists()


def test_operator_closes_alerts_but_changes_no_channel(
    hook: AlertChannel, as_oskar: Client
) -> None:
    alerts.raise_alert("k", "a", title="A")
    pk = Alert.objects.get().pk
    as_oskar.post(f"{HOME}{pk}/acknowledge/")
    assert Alert.objects.get().acknowledged_by == "oskar@example.com"
    again = as_oskar.post(f"{HOME}{pk}/acknowledge/", follow=True)
    assert "Somebody has seen it" in text_of(again)
    as_oskar.post(f"{HOME}{pk}/resolve/")
    assert Alert.objects.get().resolved_at is not None
    assert "was over already" in text_of(
        as_oskar.post(f"{HOME}{pk}/resolve/", follow=True)
    )
    actions = set(AuditEvent.objects.values_list("action", flat=True))
    assert {"alert.acknowledge", "alert.resolve"} <= actions
    for path in ("", "test/", "secret/", "disable/", "remove/"):
        answer = as_oskar.post(f"{HOME}channels/{hook.pk}/{path}")
        assert answer.status_code == 403, path
    assert as_oskar.post(f"{HOME}channels/add/mail/").status_code == 403


def test_viewer_only_looks(as_viktor: Client) -> None:
    alerts.raise_alert("k", "a", title="A")
    pk = Alert.objects.get().pk
    assert "Close A" not in text_of(as_viktor.get(HOME))
    for path in (f"{pk}/resolve/", f"{pk}/acknowledge/", "send/"):
        assert as_viktor.post(HOME + path).status_code == 403


def test_send_now_does_not_wait(
    hook: AlertChannel, receiver: Vendor, as_oskar: Client
) -> None:
    alerts.raise_alert("k", "a", title="A")
    assert "1 message sent." in text_of(as_oskar.post(f"{HOME}send/", follow=True))
    assert AlertDelivery.objects.get().state == "delivered"
    assert "0 messages sent." in text_of(as_oskar.post(f"{HOME}send/", follow=True))
