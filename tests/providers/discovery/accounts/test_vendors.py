"""Prove that each vendor's account is read as it says, and nothing is made up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest

from poolsite.secret_type import Secret
from providers.catalogue import spec
from providers.discovery.accounts import plans, prepaid, readers, relays
from providers.discovery.accounts.answer import AccountError, Reader, Status, amount
from providers.discovery.accounts.ask import Asked, read_account
from tests.vendors.accounts import ROWS, SECRET, SILENT_HOSTS, Row
from tests.vendors.server import Asked as Sent
from tests.vendors.server import Reply, Vendor
from tests.vendors.sign_ins import SIGN_INS

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    with Vendor() as running:
        yield running


def reader_of(row: Row) -> Reader:
    if row.vendor:
        return readers.BY_SIGN_IN[row.vendor]
    found = readers.reader_for(row.catalogue_id, "https://relay.test", is_relay=True)
    assert found is not None
    return found


def read(vendor: Vendor, reader: Reader, secret: str = SECRET, **values: Any) -> Status:
    asked = Asked(f"{vendor.root}/v1", vendor.root, allow_private=True, **values)
    return read_account(reader, asked, Secret(secret), now=NOW)


def lay(vendor: Vendor, row: Row) -> None:
    for page, body in row.pages.items():
        method, _, path = page.partition(" ")
        vendor.on(method, path, body)
    if row.name == "openrouter key":
        vendor.on("GET", "/api/v1/credits", Reply({}, status=403))


@pytest.mark.parametrize("row", [*ROWS, *SIGN_INS], ids=lambda row: row.name)
def test_account_of_vendor_is_read(row: Row, vendor: Vendor) -> None:
    lay(vendor, row)
    status = read(vendor, reader_of(row), is_china=row.catalogue_id.endswith("-cn"))
    items = {item.key: item for item in status.items}
    assert status.kind == row.kind
    assert status.plan == row.plan
    assert status.primary == row.primary
    for key, expected in row.expects.items():
        assert (items[key].value, items[key].unit) == expected
    for key, at in row.resets.items():
        assert items[key].resets_at == at
    assert SECRET not in repr(status)


@pytest.mark.parametrize("row", [*ROWS, *SIGN_INS], ids=lambda row: row.name)
def test_key_goes_out_as_this_vendor_wants_it(row: Row, vendor: Vendor) -> None:
    lay(vendor, row)
    read(vendor, reader_of(row))
    scheme = "" if row.catalogue_id in ("zhipu-coding", "zai-coding") else "Bearer "
    assert {each.headers["authorization"] for each in vendor.asked} == {scheme + SECRET}


@pytest.mark.parametrize(
    ("page", "result", "expects"),
    [
        (
            "GetAFPUsage",
            {
                "AFPFiveHour": {"Quota": 200, "Used": 50, "ResetTime": 1795392000},
                "AFPWeekly": {"Quota": 1000, "Used": 900, "ResetTime": 1795478400},
            },
            {"window_5h": "75", "window_week": "10"},
        ),
        (
            "GetCodingPlanUsage",
            {
                "Status": "Running",
                "QuotaUsage": [
                    {"Level": "session", "Percent": 2.46, "ResetTimestamp": 1795392000},
                    {"Level": "monthly", "Percent": 16, "ResetTimestamp": 1795478400},
                ],
            },
            {"window_5h": "97.54", "window_month": "84"},
        ),
    ],
)
def test_volcengine_plan_is_asked_with_a_signature(
    page: str, result: dict[str, Any], expects: dict[str, str], vendor: Vendor
) -> None:
    def answer(sent: Sent) -> Reply:
        if sent.query["Action"] != page:
            return Reply({"ResponseMetadata": {"Error": {"Code": "X"}}}, status=400)
        return Reply({"ResponseMetadata": {"Action": page}, "Result": result})

    vendor.on("POST", "/", answer)
    status = read(vendor, plans.volcengine, "AKLTtest:c2VjcmV0")
    assert {item.key: item.value for item in status.items} == expects
    sent = vendor.last.headers
    assert sent["authorization"].startswith(
        "HMAC-SHA256 Credential=AKLTtest/20261120/cn-beijing/ark/request, "
        "SignedHeaders=host;x-date;x-content-sha256;content-type, Signature="
    )
    assert sent["x-date"] == "20261120T120000Z"
    assert "c2VjcmV0" not in repr(sent)


def test_volcengine_model_key_is_not_sent(vendor: Vendor) -> None:
    with pytest.raises(AccountError, match="api_key_not_configured"):
        read(vendor, plans.volcengine)
    assert vendor.asked == []


@pytest.mark.parametrize("name", SILENT_HOSTS)
def test_vendor_without_such_a_page_is_never_asked(name: str) -> None:
    entry = spec.entries()[name]
    assert readers.reader_for(name, entry.base_url, is_relay=True) is None


def test_every_vendor_of_the_table_is_in_the_catalogue() -> None:
    assert set(readers.BY_CATALOGUE) <= set(spec.entries())


def test_custom_provider_at_a_known_host_is_read_by_it() -> None:
    found = readers.reader_for("", "https://api.deepseek.com/v1", is_relay=True)
    assert found is prepaid.deepseek
    assert readers.reader_for("", "https://x.test/v1", is_relay=True) is relays.relay
    assert readers.reader_for("", "https://x.test/v1", is_relay=False) is None


HOSTILE = (
    b"<html>sign in</html>",
    b"",
    b"[]",
    b"null",
    b'{"balance_infos": 7}',
    b'{"balance_infos": [{"currency": "USD"}]}',
    b'{"balance_infos": [{"currency": "USD", "total_balance": "NaN"}]}',
    b'{"balance_infos": [{"currency": "USD", "total_balance": "1e400"}]}',
    b'{"balance_infos": [{"currency": "USD", "total_balance": true}]}',
    b'{"balance_infos": [{"currency": "<b>", "total_balance": "1"}]}',
    b'{"balance_infos": [{"currency": [], "total_balance": "1"}]}',
    b'{"balance_infos": []}',
    b"[" * 100_000,
)


@pytest.mark.parametrize("body", HOSTILE, ids=range(len(HOSTILE)))
def test_unreadable_answer_is_an_error_never_a_zero(
    body: bytes, vendor: Vendor
) -> None:
    vendor.on("GET", "/user/balance", Reply(body))
    with pytest.raises(AccountError) as error:
        read(vendor, prepaid.deepseek)
    assert error.value.code in ("invalid_response", "no_account_status_data")


@pytest.mark.parametrize(
    ("text", "shown"),
    [("1e-999999", "0"), ("1.4210854715202004e-14", "0"), ("0.000000123", None)],
)
def test_amount_is_no_longer_than_it_means(text: str, shown: str | None) -> None:
    assert amount(text) == (shown or text)


ODD = (
    {"quota_snapshots": ["premium"]},
    {"quota_snapshots": None},
    {"monthly_quotas": {"chat": 10**400}, "limited_user_quotas": {"chat": 1}},
    {"quota_snapshots": {"chat": {"percent_remaining": "1e400"}}},
)


@pytest.mark.parametrize("body", ODD, ids=range(len(ODD)))
def test_odd_answer_of_a_sign_in_ends_no_round(
    body: dict[str, Any], vendor: Vendor
) -> None:
    vendor.on("GET", "/copilot_internal/user", body)
    with suppress(AccountError):
        assert read(vendor, readers.BY_SIGN_IN["copilot"]).items == ()


def test_name_of_a_quota_fits_its_column(vendor: Vendor) -> None:
    body = {"quota_snapshots": {"q" * 500: {"percent_remaining": 7}}}
    vendor.on("GET", "/copilot_internal/user", body)
    assert len(read(vendor, readers.BY_SIGN_IN["copilot"]).primary) <= 40


@pytest.mark.parametrize("status", [301, 401, 403, 404, 429, 500])
def test_status_of_a_refusal_is_kept(status: int, vendor: Vendor) -> None:
    vendor.on("GET", "/user/balance", Reply({}, status=status))
    with pytest.raises(AccountError, match=f"http_{status}"):
        read(vendor, prepaid.deepseek)


def test_secret_bound_to_another_address_is_not_sent(vendor: Vendor) -> None:
    asked = Asked(vendor.root, "https://api.deepseek.com:443", allow_private=True)
    with pytest.raises(AccountError, match="request_failed"):
        read_account(prepaid.deepseek, asked, Secret(SECRET), now=NOW)
    assert vendor.asked == []


@pytest.mark.parametrize("url", ["", "ftp://x.test", "http://", "not a url"])
def test_unusable_base_url_is_named(url: str) -> None:
    asked = Asked(url, "https://x.test:443")
    with pytest.raises(AccountError, match="invalid_base_url"):
        read_account(prepaid.deepseek, asked, Secret(SECRET), now=NOW)


def test_vendor_that_is_away_is_a_failed_request() -> None:
    with Vendor() as gone:
        root = gone.root
    asked = Asked(root, root, allow_private=True)
    with pytest.raises(AccountError, match="request_failed"):
        read_account(prepaid.deepseek, asked, Secret(SECRET), now=NOW)
