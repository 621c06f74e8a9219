"""What accounts have left reaches the data plane, and only what was truly reported."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from poolsite import version
from providers.models import AccountStatus
from providers.services import account_status
from providers.snapshot import types
from providers.snapshot.build import build_base, build_delta
from tests.factories import make_provider
from tests.vendors.server import Vendor

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 20, tzinfo=UTC)


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    with Vendor() as running:
        yield running


def reported(**values: Any) -> int | None:
    """Store a status and return what the snapshot makes of it."""
    provider = make_provider("acme", keys=["sk-acme-1"])
    key = provider.api_keys.get()
    plain = {"unit": "USD", "left": Decimal("7.5"), "checked_at": NOW}
    AccountStatus.objects.create(
        provider=provider, credential=f"key:{key.pk}", **{**plain, **values}
    )
    records = [
        each for kind, _, each in build_base(NOW).records if kind == types.PROVIDER
    ]
    funds: int | None = records[0].credentials[0].funds_nano_usd
    return funds


@pytest.mark.parametrize(
    ("values", "funds"),
    [
        ({}, 7_500_000_000),
        ({"left": Decimal(0)}, 0),
        ({"left": Decimal("-2.5")}, -2_500_000_000),
        ({"left": None}, None),
        ({"unit": "CNY"}, None),
        ({"unit": "percent"}, None),
        ({"error": "http_429"}, None),
        ({"left": Decimal(10) ** 18}, 4 * 10**18),
    ],
    ids=["reported", "zero is zero", "owed", "unlimited", "yuan", "quota", "unread", "huge"],
)  # fmt: skip
def test_only_what_was_reported_in_dollars_counts(
    values: dict[str, Any], funds: int | None
) -> None:
    assert reported(**values) == funds


def test_another_balance_reaches_workers_and_the_same_one_does_not(
    vendor: Vendor,
) -> None:
    provider = make_provider(
        "deep",
        base_url=f"{vendor.root}/v1",
        allow_private=True,
        catalogue_id="deepseek",
        keys=["sk-account-1-abcd"],
    )
    seen = version.current()
    for total, funds in (("7.50", 7_500_000_000), ("6", 6_000_000_000)):
        infos = {"balance_infos": [{"currency": "USD", "total_balance": total}]}
        vendor.on("GET", "/user/balance", infos)
        account_status.refresh(provider, force=True)
        built = build_delta(seen, NOW)
        assert built is not None
        changes = {kind: each for kind, _, each in built.records}
        assert changes[types.PROVIDER].credentials[0].funds_nano_usd == funds
        assert types.MODEL not in changes
        seen = version.current()
        account_status.refresh(provider, force=True)
        assert version.current() == seen
