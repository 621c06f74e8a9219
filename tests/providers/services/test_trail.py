"""The way of a request in one line, on its page and in its JSON."""

from __future__ import annotations

from uuid import UUID

import pytest
from django.test import Client
from msgspec.structs import replace

from providers.services.request_facts import facts
from providers.services.trail import not_a_fallback, notes, summary_line
from tests.factories import (
    Try,
    call,
    failed_at,
    make_provider,
    ship,
    try_at,
)
from usage import log
from usage.log import RequestDetail

pytestmark = pytest.mark.django_db
HOSTILE = "rule <b>‮: leads to p2/big"


def recorded(*tries: Try, told: tuple[str, ...] = (), asked: str = "") -> RequestDetail:
    made = call(None, *tries, asked=asked)
    last = made[-1].request
    assert last is not None
    made[-1] = replace(made[-1], request=replace(last, notes=told))
    found = log.detail(UUID(ship(made)[0]))
    assert found is not None
    return found


def test_a_fallback_is_told_in_one_line() -> None:
    down = make_provider("down", models=["gpt-5-mini"], keys=["sk-down-1"])
    acme = make_provider("acme", models=["gpt-5-mini"], keys=["sk-acme-1"])
    found = recorded(
        failed_at(down, "gpt-5-mini", decision="retry_same", latency_ms=12),
        failed_at(down, "gpt-5-mini", error="rate_limit", latency_ms=123),
        try_at(acme, "gpt-5-mini"),
    )
    assert summary_line(found) == (
        "down[server_error,12ms]->retry same | down[rate_limit,123ms]->acme"
        " | acme[success:gpt-5-mini]"
    )
    assert facts(found)["way"] == summary_line(found)
    assert not_a_fallback(found) == ""


@pytest.mark.parametrize(
    ("decision", "told"),
    [
        ("next_credential", "next key"),
        ("next_model", "gpt-5"),
        ("wait", "wait"),
        ("switch_model", "gpt-5"),
    ],
)
def test_each_decision_names_what_was_different(decision: str, told: str) -> None:
    both = make_provider("down", models=["gpt-5-mini", "gpt-5"], keys=["sk-down-1"])
    second = "gpt-5" if "model" in decision else "gpt-5-mini"
    found = recorded(
        failed_at(both, "gpt-5-mini", decision=decision), try_at(both, second)
    )
    assert summary_line(found).startswith(f"down[server_error,310ms]->{told} | ")


@pytest.mark.parametrize("decision", ["exhausted", "fail_fast"])
def test_the_end_of_a_failure_is_told(decision: str) -> None:
    down = make_provider("down", models=["gpt-5-mini"], keys=["sk-down-1"])
    found = recorded(failed_at(down, "gpt-5-mini", decision=decision))
    end = decision.replace("_", " ")
    assert summary_line(found) == f"down[server_error,310ms]->{end}"


def test_a_refused_request_has_no_way() -> None:
    assert summary_line(recorded()) == ""


def test_another_name_is_not_read_as_a_failure() -> None:
    acme = make_provider("acme", models=["gpt-5-mini"], keys=["sk-acme-1"])
    found = recorded(try_at(acme, "gpt-5-mini"), asked="fast")
    assert not_a_fallback(found).startswith("Not a fallback: “fast” is another name")
    found = recorded(try_at(acme, "gpt-5-mini"), asked="fast", told=("poor: x",))
    assert not_a_fallback(found).startswith("Not a fallback: a rule")
    assert notes(found) == ["poor: x"]


def test_the_page_tells_the_way_and_escapes_it(as_viktor: Client) -> None:
    down = make_provider("down", models=["gpt-5-mini"], keys=["sk-down-1"])
    acme = make_provider("acme", models=["gpt-5-mini"], keys=["sk-acme-1"])
    found = recorded(
        failed_at(down, "gpt-5-mini"), try_at(acme, "gpt-5-mini"), told=(HOSTILE,)
    )
    body = as_viktor.get(f"/requests/{found.request.id}/").content.decode()
    assert "down[server_error,310ms]-&gt;acme | acme[success:gpt-5-mini]" in body
    assert "rule &lt;b&gt;" in body
    assert "Next backend: went on to the next provider." in body
