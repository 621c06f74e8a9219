"""The comparison itself finds what it is meant to find."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.rig.driver import Outcome
from tests.rig.ledger import AttemptRow, Ledger, RequestRow
from tests.rig.ledger_check import Price, Report, check_ledger
from tests.upstream.truth import Served

PRICES = {"m": Price(input=1_000_000_000, output=2_000_000_000)}
OUTCOME = Outcome("m", stream=True, status=200, request_id="r", complete=True)
CALL = Served(
    serial=1,
    request_id="r",
    attempt=1,
    key="k",
    dialect="openai-chat",
    path="/v1/chat/completions",
    model="m",
    scenario="ok",
    stream=True,
    status=200,
    prompt_tokens=10,
    completion_tokens=20,
    usage_sent=True,
    ended="complete",
)
COST = 50_000
ROW = AttemptRow(
    request_id="r",
    id="a",
    number=1,
    model="m",
    outcome="ok",
    status=200,
    estimated=False,
    flags="",
    input_tokens=10,
    cache_read_tokens=0,
    output_tokens=20,
    cost_nano_usd=COST,
    reservation_nano_usd=80_000,
)
REQUEST = RequestRow("r", 200, 1, 1, COST, False, 10, 20)


def check(
    *attempts: AttemptRow, calls: tuple[Served, ...] = (CALL,), requests: int = 1
) -> Report:
    return check_ledger(
        outcomes=[OUTCOME],
        truth=calls,
        ledger=Ledger([REQUEST] * requests, list(attempts)),
        prices=PRICES,
    )


def test_exact_row_is_clean() -> None:
    report = check(ROW)
    assert report.is_clean, report.findings()
    assert "LOST 0 / DOUBLE 0 / cost diff 0 nano-USD" in report.line()


def test_missing_row_is_lost() -> None:
    assert check().lost == ["call 1 of r (complete) has no row"]


def test_answer_without_request_row_is_lost() -> None:
    assert len(check(ROW, requests=0).lost) == 1


def test_repeated_row_is_double() -> None:
    assert check(ROW, ROW).double
    assert check(ROW, requests=2).double


def test_one_nano_off_is_found() -> None:
    report = check(replace(ROW, cost_nano_usd=COST + 1))
    assert report.cost_diff_nano_usd == 1
    assert not report.is_clean


@pytest.mark.parametrize(("cost", "clean"), [(56_000, True), (58_000, False)])
def test_estimates_have_a_band_of_fifteen_percent(cost: int, clean: bool) -> None:
    cut = replace(CALL, usage_sent=False, ended="client_gone")
    report = check(replace(ROW, estimated=True, cost_nano_usd=cost), calls=(cut,))
    assert report.is_clean is clean


def test_estimate_above_its_reservation_is_wrong() -> None:
    cut = replace(CALL, usage_sent=False)
    row = replace(ROW, estimated=True, reservation_nano_usd=COST - 1)
    assert check(row, calls=(cut,)).wrong


def test_estimate_although_usage_arrived_is_wrong() -> None:
    assert check(replace(ROW, estimated=True)).wrong


def test_refused_connection_before_the_served_call_pairs_up() -> None:
    refused = replace(
        ROW, id="b", number=1, status=None, output_tokens=None, cost_nano_usd=0
    )
    report = check(refused, replace(ROW, number=2))
    assert report.is_clean, report.findings()
    assert report.unserved == 1
