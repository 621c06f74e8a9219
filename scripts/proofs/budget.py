"""A hard budget holds to the nano-dollar under 200 parallel requests."""

from __future__ import annotations

import asyncio

from scripts.proofs.figure import Figure, at_least, at_most, equal
from scripts.proofs.setting import NANO, Stage, stage
from tests.rig.driver import Load, Outcome, Shape, run_burst

name = "budget"
FIXED = "fault-slow-first-500"
VARYING = "fault-len-300-500+slow-first-300"
REQUESTS = 200


def run(seed: int, *, short: bool = False) -> list[Figure]:
    """Spend 1.00 USD with requests of 0.05 USD, then with varying ones."""
    return [*_fixed(seed), *_varying(seed)]


def _fixed(seed: int) -> list[Figure]:
    with stage([FIXED], seed=seed) as scene:
        scene.price(FIXED, per_request_usd="0.05")
        outcomes, settled = _burst(scene, Shape(FIXED), seed)
    served = sum(outcome.kind == "answered" for outcome in outcomes)
    refused = [outcome for outcome in outcomes if outcome.status == 429]
    told = sum(bool(outcome.retry_after) for outcome in refused)
    return [
        equal("200 x 0.05 USD against 1.00 USD: served", served, 20),
        equal("refused with 429", len(refused), 180),
        equal("refusals that carry the reset time", told, 180),
        equal("settled, nano-USD", settled, NANO),
    ]


def _varying(seed: int) -> list[Figure]:
    with stage([VARYING], seed=seed) as scene:
        # 500 tokens at 100 USD a million are 0.05 USD, the most a request can cost.
        scene.price(VARYING, output_usd="100")
        outcomes, settled = _burst(scene, Shape(VARYING, max_tokens=500), seed)
    served = sum(outcome.kind == "answered" for outcome in outcomes)
    return [
        at_least("200 of varying cost against 1.00 USD: served", served, 18),
        at_most("settled, nano-USD", settled, NANO),
    ]


def _burst(scene: Stage, shape: Shape, seed: int) -> tuple[list[Outcome], int]:
    limits = ["--budget-usd", "1.00", "--window", "month", "--concurrency", "1000"]
    key = scene.product.create_key("spender", *limits)
    scene.product.start()
    load = Load(scene.product.url, key, [shape], seed=seed)
    outcomes = asyncio.run(run_burst(load, count=REQUESTS))
    ledger = scene.product.wait_settled(within_s=15)
    return outcomes, ledger.cost_nano_usd
