"""What the explainer says is what the pipeline does, for pools drawn at random."""

from __future__ import annotations

from tests.providers.proxy.explained import difference
from tests.upstream.server import FaultUpstream

CASES = 200


async def test_explain_equals_the_first_hop_for_random_configurations(
    upstream: FaultUpstream,
) -> None:
    for seed in range(CASES):
        assert await difference(seed, upstream.base_url) == ""
