from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.providers.proxy.pool import Pool
from tests.upstream.server import FaultUpstream


@pytest.fixture
async def upstream() -> AsyncIterator[FaultUpstream]:
    async with FaultUpstream(seed=1) as running:
        yield running


@pytest.fixture
async def pool(upstream: FaultUpstream) -> AsyncIterator[Pool]:
    """One provider with one key on one healthy upstream."""
    async with Pool(upstream.base_url) as made:
        yield made
