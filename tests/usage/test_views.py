"""The usage screen and its export agree with the ledger."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from tests.factories import (
    call,
    failed_at,
    make_client_key,
    make_provider,
    make_request,
    ship,
    try_at,
)
from usage.dashboards import answer, question
from usage.dashboards.answer import Answer
from usage.models import Request

pytestmark = pytest.mark.django_db
RANGES = ("24h", "7d", "30d", "90d")
GROUPS = ("provider", "model", "key", "agent", "user", "session", "status")


def body_of(answer: Any) -> str:
    return b"".join(answer.streaming_content).decode()


def some_traffic() -> int:
    """Record a day's traffic and return what it cost."""
    cheap = make_provider("cheap", models=["gpt-5-mini"], keys=["sk-1"])
    dear = make_provider("dear", models=["gpt-5"], keys=["sk-2"])
    key, _ = make_client_key()
    now = datetime.now(UTC)
    small, large = try_at(cheap, "gpt-5-mini"), try_at(dear, "gpt-5")
    ship(
        call(key, small, at=now - timedelta(minutes=1)),
        call(key, small, at=now - timedelta(minutes=20)),
        call(key, failed_at(cheap, "gpt-5-mini"), large, session="s:1"),
    )
    assert small.cost_nano is not None
    assert large.cost_nano is not None
    return 2 * small.cost_nano + large.cost_nano


@pytest.mark.parametrize("name", RANGES)
@pytest.mark.parametrize("by", GROUPS)
def test_every_view_of_the_same_day_has_the_same_total(
    as_viktor: Client, by: str, name: str
) -> None:
    spent = some_traffic()
    context = as_viktor.get("/usage/", {"by": by, "range": name}).context
    assert context["total"].cost_nano_usd == spent
    assert context["total"].requests == Request.objects.count()
    if by in ("provider", "model", "key", "status"):
        assert sum(line.cost_nano_usd for line in context["lines"]) == spent


def asked(**values: str) -> Answer:
    return answer.answer(question.asked(values, now=datetime.now(UTC), zone=UTC))


def test_the_dearest_comes_first_and_errors_stay_with_their_provider() -> None:
    some_traffic()
    lines = asked(by="provider", range="24h").lines
    assert [line.name for line in lines] == ["dear", "cheap"]
    assert [line.errors for line in lines] == [0, 1]


@pytest.mark.parametrize("name", RANGES)
def test_the_course_adds_up_to_the_total(name: str) -> None:
    spent = some_traffic()
    found = asked(by="provider", range=name)
    assert sum(found.course[0]) == spent
    assert sum(sum(found.course[line.ref]) for line in found.lines) == spent
    tokens = sum(sum(row) for row in found.whole)
    assert tokens == found.total.prompt_tokens + found.total.output_tokens


def test_the_export_has_the_page_s_figures(as_viktor: Client) -> None:
    spent = some_traffic()
    sent = as_viktor.get("/usage/?by=model&range=7d&format=csv")
    assert sent["Content-Type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(body_of(sent))))
    nano = sum(round(float(row["cost_usd"]) * 1e9) for row in rows)
    assert nano == spent


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)"])
def test_a_cell_a_spreadsheet_would_run_is_text(as_viktor: Client, name: str) -> None:
    provider = make_provider(models=["gpt-5-mini"])
    key, _ = make_client_key(name)
    make_request(key, try_at(provider, "gpt-5-mini"))
    body = body_of(as_viktor.get("/usage/?by=key&format=csv"))
    assert f"'{name}" in body


def test_unpriced_usage_is_said_and_not_zero(as_viktor: Client) -> None:
    provider = make_provider(models=["nobody-knows"])
    make_request(None, try_at(provider, "nobody-knows"))
    body = as_viktor.get("/usage/").content.decode()
    main = body.partition('<main id="content"')[2].partition("</main>")[0]
    assert "unpriced" in main
    assert "$0.00" not in main
    assert "the real bill is higher" in main


@pytest.mark.parametrize("query", ["by=nonsense", "range=nonsense", "by=&range="])
def test_a_query_nobody_offered_falls_back(as_viktor: Client, query: str) -> None:
    assert as_viktor.get(f"/usage/?{query}").status_code == 200
