"""A hard budget holds to the nano-dollar under 200 parallel requests."""

from __future__ import annotations

import asyncio

from scripts.proofs.figure import Figure, at_least, at_most, equal
from scripts.proofs.setting import Stage, set_stage
from tests.rig.driver import Load, Outcome, Shape, run_burst
from tests.rig.stage import NANO

name = "budget"
FIXED = "fault-slow-first-500"
VARYING = "fault-len-300-500+slow-first-300"
REQUESTS = 200
ROUNDS = 3


def run(seed: int, *, short: bool = False) -> list[Figure]:
    """Spend 1.00 USD with requests of 0.05 USD, then with varying ones."""
    with set_stage(seed=seed, arguments=["--no-worker"]) as scene:
        scene.provider("up", models=[FIXED, VARYING])
        scene.price(FIXED, per_request_usd="0.05")
        # 500 tokens at 100 USD a million are 0.05 USD, the most a request can cost.
        scene.price(VARYING, output_usd="100")
        rounds = 1 if short else ROUNDS
        for number in range(rounds):
            scene.key(f"fixed-{number}", budget_nano=NANO, concurrency=1_000)
            scene.key(f"varying-{number}", budget_nano=NANO, concurrency=1_000)
        scene.open()
        return [
            figure
            for number in range(rounds)
            for figure in (
                *_fixed(scene, f"fixed-{number}", seed + number),
                *_varying(scene, f"varying-{number}", seed + number),
            )
        ]


def _fixed(scene: Stage, key: str, seed: int) -> list[Figure]:
    outcomes, settled = _burst(scene, key, Shape(FIXED), seed)
    served = sum(outcome.kind == "answered" for outcome in outcomes)
    refused = [outcome for outcome in outcomes if outcome.status == 429]
    told = sum(bool(outcome.retry_after) for outcome in refused)
    return [
        equal(f"{key}: 200 x 0.05 USD against 1.00 USD: served", served, 20),
        equal(f"{key}: refused with 429", len(refused), 180),
        equal(f"{key}: refusals that carry the reset time", told, 180),
        equal(f"{key}: settled, nano-USD", settled, NANO),
    ]


def _varying(scene: Stage, key: str, seed: int) -> list[Figure]:
    outcomes, settled = _burst(scene, key, Shape(VARYING, max_tokens=500), seed)
    served = sum(outcome.kind == "answered" for outcome in outcomes)
    return [
        at_least(f"{key}: 200 of varying cost against 1.00 USD: served", served, 18),
        at_most(f"{key}: settled, nano-USD", settled, NANO),
    ]


def _burst(
    scene: Stage, key: str, shape: Shape, seed: int
) -> tuple[list[Outcome], int]:
    load = Load(scene.product.url, scene.keys[key], [shape], seed=seed)
    before = scene.product.ledger().cost_nano_usd
    outcomes = asyncio.run(run_burst(load, count=REQUESTS))
    ledger = scene.product.wait_settled(within_s=15, quiet_s=1.0)
    return outcomes, ledger.cost_nano_usd - before
