"""What a request truly used is what the ledger says, to the nano-dollar."""

from __future__ import annotations

import asyncio
import json
import random
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.endtoend.asking import MESSAGES, Asker, Town, has_request
from tests.rig.driver import Load, Shape, run_closed
from tests.rig.ledger import AttemptRow
from tests.rig.stage import open_stage

pytestmark = pytest.mark.process

HEALTHY = [
    "gpt-test",
    "fault-len-1-400",
    "fault-reasoning-50",
    "fault-tools-parallel",
    "fault-cached-30",
    "fault-usage-last-content",
    "fault-usage-every",
    "fault-refusal",
    "fault-len-200+split-3",
]
SLOW = "fault-slow-first-1500"
BLIND = ["fault-no-usage+len-60-300", "fault-len-300-600+gap-2"]
ODD = {
    "fault-usage-zero": (0, 0),
    "fault-usage-negative": None,
    "fault-usage-absurd": None,
    "fault-usage-string": None,
    "fault-usage-nan": None,
}
INPUT, OUTPUT, CACHED = 3, 15, 0.3


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    directory = tmp_path_factory.mktemp("money")
    with open_stage(directory, arguments=["--no-worker"]) as scene:
        models = [
            *HEALTHY,
            *BLIND,
            SLOW,
            "fault-vendor-cost-0.0123",
            "zork",
            "gpt-dear",
        ]
        scene.provider("up", models=models)
        scene.provider("odd", models=list(ODD), api_keys=["sk-odd-1234"])
        scene.price("gpt-test", input_usd="3", output_usd="15")
        scene.price("fault-*", input_usd="3", output_usd="15")
        scene.price("gpt-dear", input_usd="0.000001", output_usd="0.000001")
        scene.key("client", concurrency=100, budget_nano=10**13)
        scene.key("careless")
        scene.open()
        yield scene


@pytest.fixture
def asker(town: Town) -> Asker:
    return Asker(town)


def load(town: Town, mix: list[Shape], count: int, seed: int) -> Load:
    asked = Load(town.product.url, town.keys["client"], mix, seed=seed)
    asyncio.run(run_closed(asked, clients=12, count=count, seconds=30))
    return asked


def test_reported_usage_is_billed_to_the_nano_dollar(town: Town) -> None:
    mix = [
        Shape(model, stream=stream, include_usage=usage, prompt_tokens=tokens)
        for model in HEALTHY
        for stream, usage, tokens in (
            (False, False, 40),
            (True, False, 300),
            (True, True, 9),
        )
    ]
    asked = load(town, mix, 300, seed=1)
    assert {each.kind for each in asked.outcomes} == {"answered"}
    report = town.check(asked.outcomes, only=True)
    assert not report.lost, report.findings()
    assert not report.double, report.findings()
    assert report.cost_diff_nano_usd == 0, report.findings()
    mine = {each.request_id for each in asked.outcomes}
    rows = [row for row in town.product.ledger().attempts if row.request_id in mine]
    assert len(rows) == 300
    assert not any(row.estimated for row in rows)


def test_estimates_come_near_the_truth_over_a_run(town: Town) -> None:
    mix = [
        Shape("fault-no-usage+len-60-300"),
        Shape("fault-no-usage+len-60-300", stream=True),
        Shape("fault-len-300-600+gap-2", stream=True, leave_after_chunks=120),
    ]
    asked = load(town, mix, 120, seed=2)
    report = town.check(asked.outcomes, only=True)
    assert report.is_clean, report.findings()
    assert report.estimated >= 100
    assert abs(report.estimate_error or 0) < 0.15, report.line()


def test_rows_are_visible_within_two_seconds(town: Town, asker: Asker) -> None:
    waits = []
    for _ in range(5):
        reply = asker.ask("gpt-test", stream=True)
        begun = time.monotonic()
        while not has_request(town, reply.request_id):
            assert time.monotonic() - begun < 2
            time.sleep(0.01)
        waits.append(time.monotonic() - begun)
    assert max(waits) < 2


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ODD)
def test_odd_usage_neither_breaks_the_answer_nor_the_bill(
    model: str, stream: bool, asker: Asker
) -> None:
    reply = asker.ask(model, stream=stream)
    assert reply.status == 200
    assert asker.outcomes[-1].complete
    request, (attempt,) = asker.rows(reply)
    assert request.status == 200
    for count in (attempt.input_tokens, attempt.output_tokens):
        assert count is None or 0 <= count < 10**9
    assert (attempt.cost_nano_usd or 0) >= 0
    if ODD[model] is not None:
        # A reported zero is a zero, not a reason to guess.
        assert (attempt.input_tokens, attempt.output_tokens) == ODD[model]
        assert (attempt.cost_nano_usd, attempt.estimated) == (0, False)


def test_cached_input_is_counted_apart(asker: Asker) -> None:
    messages = [{"role": "user", "content": "word " * 100}]
    reply = asker.ask("fault-cached-30", messages=messages)
    _, (attempt,) = asker.rows(reply)
    usage = reply.json()["usage"]
    assert attempt.cache_read_tokens == 30
    assert attempt.input_tokens == usage["prompt_tokens"] - 30


def test_cost_a_vendor_states_is_billed_as_stated(asker: Asker) -> None:
    reply = asker.ask("fault-vendor-cost-0.0123")
    request, (attempt,) = asker.rows(reply)
    assert attempt.cost_nano_usd == request.cost_nano_usd == 12_300_000


def test_price_nobody_knows_is_unknown_and_not_zero(town: Town) -> None:
    asker = Asker(town, "careless")
    reply = asker.ask("zork")
    assert reply.status == 200
    assert reply.headers["x-pool-unpriced"] == "true"
    request, (attempt,) = asker.rows(reply)
    assert (request.cost_nano_usd, attempt.cost_nano_usd) == (None, None)
    assert attempt.output_tokens == 40


def test_hard_budget_pays_only_for_what_has_a_price(town: Town, asker: Asker) -> None:
    before = town.upstream.control.by_model["zork"]
    reply = asker.ask("zork")
    assert reply.status in (403, 404, 503), reply.body
    assert reply.error["message"]
    assert town.upstream.control.by_model["zork"] == before


def test_fraction_of_a_nano_dollar_is_rounded_up_once(asker: Asker) -> None:
    reply = asker.ask("gpt-dear")
    _, (attempt,) = asker.rows(reply)
    # 51 tokens at 0.001 nano-USD each.
    assert attempt.cost_nano_usd == 1


def test_sums_of_the_command_line_agree_with_the_rows(town: Town, asker: Asker) -> None:
    asker.ask("gpt-test")
    ledger = town.product.wait_settled(quiet_s=0.7)
    totals: dict[str, Any] = town.product.usage()["totals"]
    assert totals["requests"] == len(ledger.requests)
    assert totals["attempts"] == len(ledger.attempts)
    assert totals["cost_nano_usd"] == ledger.cost_nano_usd
    assert totals["output_tokens"] == total(ledger.attempts, "output_tokens")
    assert totals["input_tokens"] == total(ledger.attempts, "input_tokens")


def total(rows: list[AttemptRow], name: str) -> int:
    return sum(getattr(row, name) or 0 for row in rows)


def test_client_that_leaves_at_any_point_is_billed_once(town: Town) -> None:
    rng = random.Random(5)
    mix = [
        Shape(
            "fault-len-300-600+gap-2",
            stream=True,
            leave_after_chunks=rng.randint(1, 250),
        )
        for _ in range(40)
    ]
    asked = load(town, mix, 60, seed=5)
    report = town.check(asked.outcomes, only=True)
    assert not report.lost, report.findings()
    assert not report.double, report.findings()
    assert not report.wrong, report.findings()


@pytest.mark.parametrize(
    ("model", "stream", "chunks"),
    [
        (SLOW, False, 0),
        (SLOW, True, 0),
        ("fault-len-300-600+gap-2", True, 3),
    ],
)
def test_vendor_is_let_go_as_soon_as_the_client_has_left(
    model: str, stream: bool, chunks: int, town: Town
) -> None:
    body = json.dumps({"model": model, "messages": MESSAGES, "stream": stream}).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n"
        f"authorization: Bearer {town.keys['client']}\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    served = town.upstream.control.serial
    with socket.create_connection(("127.0.0.1", town.product.port), timeout=5) as link:
        link.sendall(head.encode() + body)
        received = b""
        while received.count(b"data: ") < chunks:
            received += link.recv(65_536)
        time.sleep(0.3)
    left = time.time()
    town.upstream.wait_idle(within_s=1)
    (call,) = (each for each in town.upstream.truth() if each.serial > served)
    assert call.ended == "client_gone"
    assert call.ended_at - left < 1
    deadline = time.monotonic() + 2
    while not has_request(town, call.request_id):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    ledger = town.product.ledger().only({call.request_id})
    (request,), (attempt,) = ledger.requests, ledger.attempts
    assert (request.status, attempt.estimated) == (499, True)
    assert 0 < (attempt.cost_nano_usd or 0) <= (attempt.reservation_nano_usd or 0)
