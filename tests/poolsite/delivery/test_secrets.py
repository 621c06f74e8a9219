"""Prove that a webhook's URL and secret leave the database only towards it."""

from __future__ import annotations

import json
import logging

import pytest
from django.core.management import call_command
from django.test import Client

from poolsite import alerts, secrets
from poolsite.actor import SYSTEM
from poolsite.clock import ManualClock
from poolsite.delivery import sending, services
from poolsite.delivery.rows import AlertChannel
from poolsite.models import AuditEvent
from providers.imports import pool
from tests.poolsite.delivery.conftest import PATH, SECRET, make_hook
from tests.providers.dump import dump
from tests.vendors.server import Reply, Vendor

pytestmark = pytest.mark.django_db
PLANTED = ("canary-8c8c8c8c", "canary-url-4d4d")


def test_url_and_secret_are_on_no_page_and_in_no_row_log_or_export(
    hook: AlertChannel,
    receiver: Vendor,
    clock: ManualClock,
    as_olivia: Client,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    receiver.on("POST", PATH, Reply(b"", status=500))
    alerts.raise_alert("k", "a", title="A", severity="error", clock=clock)
    sending.run(clock=clock)
    services.send_test(SYSTEM, hook, clock=clock)
    services.change_channel(SYSTEM, hook, services.Terms(url=receiver.root + PATH))
    pages = [
        as_olivia.get(url).content.decode()
        for url in (
            "/settings/alerts/",
            f"/settings/alerts/channels/{hook.pk}/",
            "/audit/",
            "/",
        )
    ]
    call_command("alert", "channels", "--json")
    call_command("alert", "deliveries", "--json")
    out, err = capsys.readouterr()
    trail = json.dumps(list(AuditEvent.objects.values("before", "after")))
    told = [*pages, dump(), pool.export_text(SYSTEM), out, err, trail, caplog.text]
    seen = "\n".join(told)
    assert receiver.root in seen
    for planted in PLANTED:
        assert planted not in seen
    assert any(PATH in path for path in receiver.paths())


def test_both_are_registered_bound_and_readable(hook: AlertChannel) -> None:
    hook.refresh_from_db()
    opened = secrets.open_for(hook, "target")
    assert opened.reveal().endswith(PATH)
    assert opened.origin == hook.target_origin
    assert secrets.open_for(hook, "secret").reveal() == SECRET
    names = {field.name for field in secrets.fields()}
    assert {"poolsite.AlertChannel.target", "poolsite.AlertChannel.secret"} <= names


def test_stored_url_is_not_sent_to_an_origin_put_there_by_hand(
    hook: AlertChannel, receiver: Vendor, clock: ManualClock
) -> None:
    AlertChannel.objects.update(target_origin="https://evil.example.com:443")
    row = services.send_test(SYSTEM, AlertChannel.objects.get(), clock=clock)
    assert row.state == "gave_up"
    assert receiver.asked == []


def test_secret_is_returned_once_when_it_is_made(
    receiver: Vendor, clock: ManualClock
) -> None:
    terms = services.Terms(name="N", url=receiver.root + PATH)
    row, made = services.create_channel(SYSTEM, "webhook", terms, clock=clock)
    assert made.startswith("whsec_")
    assert len(made) > 40
    again = services.rotate_secret(SYSTEM, row)
    assert again != made
    row.refresh_from_db()
    assert secrets.open_for(row, "secret").reveal() == again


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 81}, "name"),
        ({"name": "a\u202eb"}, "name"),
        ({"url": ""}, "url"),
        ({"url": "ftp://x.example.com"}, "url"),
        ({"url": "https://user:pw@x.example.com/"}, "url"),
        ({"url": "http://169.254.169.254/"}, "url"),
        ({"secret": "short"}, "secret"),
        ({"events": []}, "events"),
        ({"events": ["nope"]}, "events"),
        ({"least_severity": "king"}, "least_severity"),
        ({"digest_s": -1}, "digest_s"),
    ],
)
def test_bad_webhook_is_refused_by_field(
    terms: dict[str, object], field: str, clock: ManualClock
) -> None:
    given = {"name": "N", "url": "https://hooks.example.com/x", **terms}
    with pytest.raises(services.ChannelError) as refused:
        make_hook(str(given.pop("url")), clock=clock, **given)
    assert refused.value.field == field
    assert AlertChannel.objects.count() == 0


@pytest.mark.parametrize(
    "addresses",
    [[], ["nope"], ["a@b.co\nbcc: x@y.co"], [f"a{n}@b.co" for n in range(21)]],
)
def test_bad_addresses_are_refused(addresses: list[str]) -> None:
    terms = services.Terms(name="M", addresses=addresses)
    with pytest.raises(services.ChannelError) as refused:
        services.create_channel(SYSTEM, "mail", terms)
    assert refused.value.field == "addresses"
