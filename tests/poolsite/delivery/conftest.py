"""A receiver on loopback, allowed for once, and channels to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from poolsite.actor import SYSTEM
from poolsite.clock import ManualClock
from poolsite.delivery import channels, services
from poolsite.delivery.rows import AlertChannel
from poolsite.destinations import Vetter
from tests.vendors.server import Reply, Vendor

SECRET = "whsec_canary-8c8c8c8c-signing"
PATH = "/hook/canary-url-4d4d"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Vendor]:
    """A webhook receiver that says 204, and may be reached."""
    monkeypatch.setattr(channels, "vetter", lambda: Vetter(["127.0.0.0/8"]))
    with Vendor() as vendor:
        vendor.on("POST", PATH, Reply(b"", status=204))
        yield vendor


@pytest.fixture
def hook(db: None, receiver: Vendor, clock: ManualClock) -> AlertChannel:
    """A webhook that is told everything."""
    return make_hook(receiver.root + PATH, clock=clock)


def make_hook(url: str, *, clock: ManualClock, **terms: Any) -> AlertChannel:
    """Add a webhook channel."""
    from poolsite.delivery.events import NAMES

    given = {"name": "Hook", "events": NAMES, "secret": SECRET, **terms}
    wanted = services.Terms(url=url, **given)
    return services.create_channel(SYSTEM, "webhook", wanted, clock=clock)[0]


def make_mail(*, clock: ManualClock, **terms: Any) -> AlertChannel:
    """Add a mail channel."""
    given = {"name": "Mail", "addresses": ["ops@example.com"], **terms}
    wanted = services.Terms(**given)
    return services.create_channel(SYSTEM, "mail", wanted, clock=clock)[0]
