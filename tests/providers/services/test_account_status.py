"""Prove that what vendors report is kept, aged, and never made up."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command

from oauth import services as accounts
from poolsite.actor import SYSTEM
from poolsite.clock import ManualClock
from providers import selectors, selectors_accounts
from providers.models import AccountStatus, ApiKey, Provider
from providers.services import account_status
from tests.factories import make_api_key, make_provider
from tests.vendors.server import Reply, Vendor

pytestmark = pytest.mark.django_db
BALANCE = {
    "balance_infos": [{"currency": "USD", "total_balance": "7.50"}],
}


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    with Vendor() as running:
        running.on("GET", "/user/balance", BALANCE)
        yield running


def provider_at(vendor: Vendor, **values: Any) -> Provider:
    known: dict[str, Any] = {"catalogue_id": "deepseek", "keys": ["sk-account-1-abcd"]}
    return make_provider(
        "deep", base_url=f"{vendor.root}/v1", allow_private=True, **{**known, **values}
    )


def test_figures_of_every_key_are_kept(vendor: Vendor) -> None:
    provider = provider_at(vendor, keys=["sk-account-1-abcd", "sk-account-2-efgh"])
    rows = account_status.refresh(provider)
    assert [row.left for row in rows] == [Decimal("7.5"), Decimal("7.5")]
    assert {row.unit for row in rows} == {"USD"}
    keys = provider.api_keys.order_by("pk").values_list("pk", flat=True)
    assert [row.credential for row in rows] == [f"key:{pk}" for pk in keys]
    assert {each.headers["authorization"] for each in vendor.asked} == {
        "Bearer sk-account-1-abcd",
        "Bearer sk-account-2-efgh",
    }


def test_fresh_figures_are_not_asked_for_again(vendor: Vendor) -> None:
    provider, clock = provider_at(vendor), ManualClock()
    account_status.refresh(provider, clock=clock)
    account_status.refresh(provider, clock=clock)
    assert len(vendor.asked) == 1
    clock.advance(account_status.FRESH_S + 1)
    account_status.refresh(provider, clock=clock)
    assert len(vendor.asked) == 2
    account_status.refresh(provider, force=True, clock=clock)
    assert len(vendor.asked) == 3


def test_failed_check_keeps_the_last_figures_with_their_age(vendor: Vendor) -> None:
    provider, clock = provider_at(vendor), ManualClock()
    (before,) = account_status.refresh(provider, clock=clock)
    vendor.on("GET", "/user/balance", Reply(b"<html>", status=200))
    clock.advance(3_600)
    (row,) = account_status.refresh(provider, clock=clock)
    assert (row.left, row.error) == (Decimal("7.5"), "invalid_response")
    assert row.fetched_at == before.fetched_at
    assert row.checked_at - before.checked_at == timedelta(hours=1)


def test_vendor_that_reports_nothing_is_not_zero(vendor: Vendor) -> None:
    provider = provider_at(vendor, catalogue_id="groq")
    (row,) = account_status.refresh(provider)
    assert (row.kind, row.left, row.items, row.error) == ("unsupported", None, [], "")
    assert vendor.asked == []
    assert account_status.is_low(row.left, row.unit) is None


def test_key_that_moved_is_not_sent(vendor: Vendor) -> None:
    provider = provider_at(vendor)
    ApiKey.objects.update(origin="https://api.deepseek.com:443")
    (row,) = account_status.refresh(provider)
    assert row.error in ("request_failed", "api_key_not_configured")
    assert vendor.asked == []


def test_sign_in_is_read_at_the_address_of_its_token(vendor: Vendor) -> None:
    provider = provider_at(vendor, catalogue_id="", keys=[])
    Provider.objects.filter(pk=provider.pk).update(catalogue_id="claude-oauth")
    provider.refresh_from_db()
    usage = {"five_hour": {"utilization": 25, "resets_at": None}}
    vendor.on("GET", "/api/oauth/usage", usage)
    accounts.create_static_account(
        SYSTEM,
        accounts.Place(provider.slug, vendor.root),
        token="token-0123456789-abcd",
    )
    (row,) = account_status.refresh(provider)
    assert row.credential.startswith("account:")
    assert (row.left, row.unit) == (Decimal(75), "percent")


def test_round_begins_with_what_was_asked_longest_ago(vendor: Vendor) -> None:
    clock = ManualClock()
    first = provider_at(vendor)
    account_status.refresh(first, clock=clock)
    never = make_provider(
        "never",
        catalogue_id="deepseek",
        base_url=vendor.root,
        allow_private=True,
        keys=["sk-account-3-ijkl"],
    )
    clock.advance(600)
    assert account_status.refresh_all(clock=clock) == 2
    asked = [each.headers["authorization"] for each in vendor.asked[1:]]
    assert asked == ["Bearer sk-account-3-ijkl", "Bearer sk-account-1-abcd"]
    assert never.account_statuses.count() == 1


def test_removed_provider_is_not_asked(vendor: Vendor) -> None:
    provider = provider_at(vendor)
    Provider.objects.filter(pk=provider.pk).update(enabled=False)
    assert account_status.refresh_all() == 0


@pytest.mark.parametrize(
    ("left", "unit", "expected"),
    [
        ("0.99", "USD", True),
        ("1", "USD", False),
        ("-3", "CNY", True),
        ("5", "CNY", False),
        ("9.5", "percent", True),
        ("10", "percent", False),
        ("0.5", "DIEM", True),
    ],
)
def test_little_is_told_by_unit(left: str, unit: str, expected: bool) -> None:
    assert account_status.is_low(Decimal(left), unit) is expected


def test_lists_show_the_least_any_account_has_left(vendor: Vendor) -> None:
    provider = provider_at(vendor, keys=["sk-account-1-abcd", "sk-account-2-efgh"])
    rows = account_status.refresh(provider)
    AccountStatus.objects.filter(pk=rows[1].pk).update(left=Decimal("0.25"))
    (counted,) = selectors.providers_with_counts()
    assert counted.account_left == Decimal("0.25")  # type: ignore[attr-defined]
    keys = list(selectors.keys_with_accounts(provider))
    lefts = {key.account_left for key in keys}  # type: ignore[attr-defined]
    assert lefts == {Decimal("7.5"), Decimal("0.25")}


def test_command_asks_and_prints(vendor: Vendor) -> None:
    provider = provider_at(vendor)
    out = StringIO()
    call_command("provider", "account", provider.slug, "--check", stdout=out)
    assert "$7.50" in out.getvalue()
    assert "sk-account" not in out.getvalue()


def test_table_says_null_for_what_is_not_reported(vendor: Vendor) -> None:
    provider = provider_at(vendor)
    make_api_key(provider, "sk-account-9-zzzz")
    vendor.on("GET", "/user/balance", Reply({}, status=403))
    account_status.refresh(provider)
    rows = selectors_accounts.table(provider)
    assert [row["left"] for row in rows] == [None, None]
    assert {row["error"] for row in rows} == {"http_403"}
