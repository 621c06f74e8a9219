"""Reconciliation in the console, the admin API and on the command line."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.test import Client

from poolsite import tokens
from poolsite.actor import SYSTEM
from poolsite.models import AuditEvent, User
from tests.usage.reconciliation import month
from usage.models import StatementLine, VendorStatement
from usage.reconciliation import selectors

pytestmark = pytest.mark.django_db
URL = "/usage/reconciliation/"
API = "/api/admin/v1/statements"
COLUMNS = {
    "column_day": "day",
    "column_model": "model",
    "column_cost": "cost",
    "column_input": "input",
    "column_cache_read": "cached",
    "column_output": "output",
    "column_requests": "requests",
}


@pytest.fixture
def invoice(db: None) -> bytes:
    """Three days of two models, the first one billed dearer."""
    month.make_month(models=2, days=3)
    rows = month.ledger_rows()
    rows[0]["cost"] += rows[0]["cost"] // 10
    return month.as_csv(rows)


def _sent(data: bytes, **values: str) -> dict[str, Any]:
    file = SimpleUploadedFile("invoice.csv", data)
    plain = {"provider": "acme", "threshold": "1", "floor": "0.01"}
    return {**plain, "file": file, **values}


def test_unknown_file_asks_for_its_columns_and_is_compared(
    as_oskar: Client, invoice: bytes
) -> None:
    asked = as_oskar.post(f"{URL}new/", _sent(invoice))
    assert asked.status_code == 422
    page = asked.content.decode()
    assert "choose the file again" in page
    assert '<option value="cost" selected>' in page

    answer = as_oskar.post(f"{URL}new/", _sent(invoice, time_zone="UTC", **COLUMNS))

    row = VendorStatement.objects.get()
    assert (answer.status_code, answer["Location"]) == (302, f"{URL}{row.pk}/")
    month.compared(row)
    assert [each.cause for each in selectors.named(row)] == ["price"]
    actions = set(AuditEvent.objects.values_list("action", flat=True))
    assert {"statement.upload", "statement.compare"} <= actions


def test_page_names_the_difference_and_leads_to_recalculation(
    as_viktor: Client,
    as_oskar: Client,
    invoice: bytes,
    django_assert_max_num_queries: Any,
) -> None:
    row = month.take_in(invoice)
    with django_assert_max_num_queries(12):
        page = as_viktor.get(f"{URL}{row.pk}/").content.decode()
    assert "Another price" in page
    assert "every 2s" not in page
    assert "/delete/" not in page  # a viewer may only look
    with django_assert_max_num_queries(12):
        assert f"{URL}{row.pk}/" in as_viktor.get(URL).content.decode()

    page = as_oskar.get(f"{URL}{row.pk}/").content.decode()
    link = page.split("/pricing/recalculate/new/?")[1].split('"')[0]
    form = as_oskar.get(f"/pricing/recalculate/new/?{link.replace('&amp;', '&')}")
    assert 'value="model-00"' in form.content.decode()


def test_every_line_is_in_the_csv(as_viktor: Client, invoice: bytes) -> None:
    row = month.take_in(invoice)
    answer = as_viktor.get(f"{URL}{row.pk}/lines.csv")
    lines = answer.content.decode().splitlines()
    assert len(lines) == 7
    assert lines[1].startswith("2026-04-01,model-00,yes,price,")


def test_compare_again_and_delete_with_confirmation(
    as_oskar: Client, invoice: bytes
) -> None:
    row = month.take_in(invoice)
    as_oskar.post(f"{URL}{row.pk}/compare/")
    assert "every 2s" in as_oskar.get(f"{URL}{row.pk}/").content.decode()
    assert as_oskar.post(f"{URL}{row.pk}/delete/").status_code == 302
    assert VendorStatement.objects.exists()  # not while it is being compared
    month.compared(row)
    assert "Delete statement" in as_oskar.get(f"{URL}{row.pk}/delete/").content.decode()
    as_oskar.post(f"{URL}{row.pk}/delete/")
    assert not StatementLine.objects.exists()
    assert AuditEvent.objects.filter(action="statement.delete").exists()


def test_viewer_may_not_upload_compare_or_delete(
    as_viktor: Client, invoice: bytes
) -> None:
    row = month.take_in(invoice)
    for path in ("new/", f"{row.pk}/compare/", f"{row.pk}/delete/"):
        assert as_viktor.post(f"{URL}{path}").status_code == 403
    assert VendorStatement.objects.count() == 1


def test_form_says_what_is_wrong(as_oskar: Client, invoice: bytes) -> None:
    broken = invoice.replace(b"2026-04-02,model-00,", b"2026-04-02,model-00,=1+1", 1)
    for data, words in (
        (b"", "empty"),
        (b"\x00\x01\x02\x03", "not a text file"),
        (broken, "Line 4: column cost is not an amount"),
    ):
        answer = as_oskar.post(f"{URL}new/", _sent(data, time_zone="UTC", **COLUMNS))
        assert answer.status_code == 422
        assert words in answer.content.decode()
    assert not VendorStatement.objects.exists()


def test_hostile_names_are_escaped(as_oskar: Client) -> None:
    month.make_month(models=1, days=1)
    name = "<script>x</script>"
    row = month.take_in(
        f"day,model,cost\n2026-04-01,{name},9\n2026-04-01,=2+5,7\n".encode(),
        how=month.reading(day="day", model="model", cost="cost"),
    )
    page = as_oskar.get(f"{URL}{row.pk}/").content.decode()
    assert name not in page
    assert "&lt;script&gt;" in page
    lines = as_oskar.get(f"{URL}{row.pk}/lines.csv").content.decode()
    assert ",'=2+5," in lines


def test_api_takes_in_shows_compares_and_deletes(olivia: User, invoice: bytes) -> None:
    _, text = tokens.create_token(SYSTEM, user=olivia, name="ci", scopes=["admin"])
    client = Client(headers={"Authorization": f"Bearer {text}"})
    sent = {
        "provider": "acme",
        **COLUMNS,
        "file": SimpleUploadedFile("invoice.csv", invoice),
    }
    made = client.post(API, sent)
    assert made.status_code == 201, made.content
    row = month.compared(VendorStatement.objects.get())
    shown = client.get(f"{API}/{row.pk}").json()
    assert [each["cause"] for each in shown["differences"]] == ["price"]
    assert client.post(f"{API}/{row.pk}/compare").status_code == 200
    assert client.delete(f"{API}/{row.pk}").status_code == 422
    month.compared(row)
    assert client.get(API).json()[0]["named"] == 1
    assert client.delete(f"{API}/{row.pk}").status_code == 204


def test_command_compares_without_a_worker(invoice: bytes, tmp_path: Path) -> None:
    file = tmp_path / "invoice.csv"
    file.write_bytes(invoice)
    columns = [f"--column={k[7:]}={v}" for k, v in COLUMNS.items()]
    told = _pool("add", "acme", str(file), *columns)
    assert "1 of 6 days and models are named" in told
    assert "Another price" in told
    row = VendorStatement.objects.get()
    shown = json.loads(_pool("show", str(row.pk), "--json"))
    assert shown["named"] == 1
    assert "acme" in _pool("list")
    with pytest.raises(CommandError, match="already"):
        _pool("add", "acme", str(file), *columns)
    _pool("remove", str(row.pk))
    assert not VendorStatement.objects.exists()


def _pool(*args: str) -> str:
    out = io.StringIO()
    call_command("reconcile", *args, stdout=out)
    return out.getvalue()
