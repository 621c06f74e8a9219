"""The short way to a cost gives what the long way gives."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pricing.cost import TIERS, UNIT_COLUMNS, PriceSpec, cost_nano_usd
from pricing.tokens import TokenUsage
from usage.recalculation.tariff import Tariff

RATES = st.none() | st.sampled_from((0, 1, 999_999, 3_000_000_001, 75_000_000_000))
COUNTS = st.none() | st.sampled_from((0, 1, 77, 200_001, 999_999_999))
SPECS = st.builds(
    PriceSpec,
    **dict.fromkeys(PriceSpec.__struct_fields__, RATES)
    | {"long_threshold": st.sampled_from((None, None, 200_000))},
)
PLAIN = st.builds(PriceSpec, input=RATES, output=RATES, cache_read=RATES)
_NAMES = ("input_tokens", "cache_read_tokens", "output_tokens", "reasoning_tokens")
TEXT = st.builds(TokenUsage, **dict.fromkeys(_NAMES, COUNTS))
ALL = st.builds(
    TokenUsage,
    **dict.fromkeys(TokenUsage.__struct_fields__, COUNTS)
    | {"unit_kind": st.none() | st.sampled_from(sorted(UNIT_COLUMNS))},
)
FLAGS = st.sampled_from(("", "odd", "PRIORITY", *sorted(TIERS)))


@given(spec=SPECS | PLAIN, usage=TEXT | ALL, flags=FLAGS)
def test_tariff_prices_everything_as_the_ledger_does(
    spec: PriceSpec, usage: TokenUsage, flags: str
) -> None:
    if usage == TokenUsage():
        return  # a run leaves what used nothing as it is
    values = [getattr(usage, name) for name in TokenUsage.__struct_fields__]
    used = (*values[:-1], values[-1] or "")
    wanted = cost_nano_usd(usage, spec, service_tier=flags or None)
    assert Tariff(spec, flags).cost(used) == wanted
