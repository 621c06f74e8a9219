"""The short way to a cost gives what the long way gives."""

from __future__ import annotations

import random
from typing import Any

import pytest

from pricing.cost import TIERS, UNIT_COLUMNS, PriceSpec, cost_nano_usd
from pricing.tokens import TokenUsage
from usage.recalculation.tariff import Tariff

RATES = (None, 0, 1, 999_999, 3_000_000_001, 75_000_000_000)
COUNTS = (None, 0, 1, 77, 200_001, 999_999_999)
FLAGS = ("", "", "odd", "PRIORITY", *sorted(TIERS))
TEXT = ("input_tokens", "cache_read_tokens", "output_tokens", "reasoning_tokens")
PLAIN = ("input", "output", "cache_read", "reasoning", "per_request")


def _some(rng: random.Random, names: Any, values: Any) -> dict[str, Any]:
    return {name: rng.choice(values) for name in names}


def _spec(rng: random.Random) -> PriceSpec:
    names = rng.choice((PLAIN, PLAIN[:3], PriceSpec.__struct_fields__))
    columns = _some(rng, names, RATES)
    if "long_threshold" in columns:
        columns["long_threshold"] = rng.choice((None, 200_000))
    return PriceSpec(**columns)


def _usage(rng: random.Random) -> TokenUsage:
    names = rng.choice((TEXT, TEXT, TokenUsage.__struct_fields__[:-1]))
    kind = rng.choice((None, *UNIT_COLUMNS)) if names is not TEXT else None
    return TokenUsage(**_some(rng, names, COUNTS), unit_kind=kind)


@pytest.mark.parametrize("seed", range(4))
def test_tariff_prices_everything_as_the_ledger_does(seed: int) -> None:
    rng, priced = random.Random(seed), 0
    for _ in range(1_500):
        spec, usage, flags = _spec(rng), _usage(rng), rng.choice(FLAGS)
        if usage == TokenUsage():
            continue  # a run leaves what used nothing as it is
        values = [getattr(usage, name) for name in TokenUsage.__struct_fields__]
        wanted = cost_nano_usd(usage, spec, service_tier=flags or None)
        assert Tariff(spec, flags).cost((*values[:-1], values[-1] or "")) == wanted
        priced += wanted is not None
    assert priced > 200
