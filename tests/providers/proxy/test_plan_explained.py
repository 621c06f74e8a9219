"""What the explainer says is what the pipeline does, for pools drawn at random."""

from __future__ import annotations

from tests.providers.proxy.explained import compared
from tests.upstream.server import FaultUpstream

CASES = 200


async def test_explain_equals_the_first_hop_for_random_configurations(
    upstream: FaultUpstream,
) -> None:
    asked = 0
    for seed in range(CASES):
        found = await compared(seed, upstream.base_url)
        assert found.problem == ""
        asked += found.was_asked
    assert asked > CASES / 2
