"""Prove ``pool alert``: what the console does, on the command line."""

from __future__ import annotations

import pytest

from poolsite import alerts
from poolsite.delivery import channels
from poolsite.delivery.rows import AlertChannel
from poolsite.destinations import Vetter
from poolsite.models import Alert
from tests.providers.commands.conftest import Pool
from tests.vendors.server import Reply, Vendor


def test_webhook_from_adding_to_removing(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channels, "vetter", lambda: Vetter(["127.0.0.0/8"]))
    with Vendor() as vendor:
        vendor.on("POST", "/canary-5f5f", Reply(b"", status=204))
        url = f"{vendor.root}/canary-5f5f\n"
        added = pool.ok(
            "alert", "add-webhook", "ops", "--events", "alert.opened", stdin=url
        )
        assert "whsec_" in added.out
        assert pool.ok("alert", "test", "ops").out == "The test arrived.\n"
        alerts.raise_alert("k", "a", title="A")
        assert pool.ok("alert", "send").out == "Delivered 1.\n"
        assert len(vendor.asked) == 2
        vendor.on("POST", "/canary-5f5f", Reply(b"", status=500))
        assert "It answered 500." in pool.refused("alert", "test", "ops")
    assert "whsec_" in pool.ok("alert", "rotate", "ops").out
    listed = pool.ok("alert", "channels", "--json")
    assert "canary" not in listed.out
    assert listed.json[0]["events"] == ["alert.opened"]
    assert vendor.root in pool.ok("alert", "channels").out
    assert len(pool.ok("alert", "deliveries", "--json").json) == 3
    pool.ok("alert", "disable", "ops")
    assert not AlertChannel.objects.get().enabled
    pool.ok("alert", "enable", "ops")
    pool.ok("alert", "remove", "ops")
    assert not AlertChannel.objects.exists()


def test_mail_and_alerts(pool: Pool) -> None:
    pool.ok("alert", "add-mail", "desk", "--to", "a@b.co", "--severity", "error")
    assert AlertChannel.objects.get().least_severity == "error"
    alerts.raise_alert("k", "a", title="Broken")
    pk = str(Alert.objects.get().pk)
    assert "Broken" in pool.ok("alert", "list").out
    pool.ok("alert", "acknowledge", pk)
    pool.refused("alert", "acknowledge", pk)
    pool.ok("alert", "resolve", pk)
    pool.refused("alert", "resolve", pk)
    assert pool.ok("alert", "list").out == "Nothing yet.\n"
    assert len(pool.ok("alert", "list", "--resolved", "--json").json) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("resolve", "999999"),
        ("test", "nope"),
        ("add-mail", "m", "--to", "nobody"),
        ("add-mail", "m", "--to", "a@b.co", "--events", "nope"),
        ("add-webhook", "m"),
    ],
)
def test_refusals_are_one_line(pool: Pool, arguments: tuple[str, ...]) -> None:
    pool.refused("alert", *arguments)


def test_private_webhook_is_refused(pool: Pool) -> None:
    line = pool.refused("alert", "add-webhook", "m", stdin="http://10.0.0.1/x\n")
    assert "10.0.0.1/x" not in line
