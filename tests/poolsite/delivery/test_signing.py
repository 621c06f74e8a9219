"""Prove the signature with the very code the documentation shows."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from poolsite import alerts
from poolsite.clock import ManualClock
from poolsite.delivery import sending
from poolsite.delivery.rows import AlertChannel
from tests.poolsite.delivery.conftest import SECRET
from tests.vendors.server import Vendor

DOCS = Path(__file__).parents[3] / "docs" / "operations.md"
Check = Callable[..., Any]


@pytest.fixture
def check() -> Check:
    """The example of the documentation, as its reader runs it."""
    text = DOCS.read_text(encoding="utf-8")
    found = re.search(r"```python\n(.*?def is_genuine.*?)```", text, re.DOTALL)
    assert found
    names: dict[str, Any] = {}
    exec(found[1], names)
    checker: Check = names["is_genuine"]
    return checker


@pytest.mark.django_db
def test_documented_check_takes_ours_and_nothing_else(
    hook: AlertChannel, receiver: Vendor, clock: ManualClock, check: Check
) -> None:
    alerts.raise_alert("k", "a", title="A <b>", severity="error", clock=clock)
    sending.run(clock=clock)
    asked = receiver.last
    header, now = asked.headers["x-pool-signature"], clock.now().timestamp()
    assert check(SECRET, asked.body, header, now)
    assert not check(SECRET + "x", asked.body, header, now)
    assert not check(SECRET, asked.body + b" ", header, now)
    assert not check(SECRET, asked.body, header.replace("t=1", "t=2"), now)
    assert not check(SECRET, asked.body, header, now + 301)
    assert not check(SECRET, asked.body, "v1=", now)
    assert asked.headers["content-type"] == "application/json"
