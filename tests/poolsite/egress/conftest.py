"""One client of the data plane for the tests of this folder."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from poolsite.egress import UpstreamClient, Vetter


@pytest.fixture
async def client() -> AsyncIterator[UpstreamClient]:
    made = UpstreamClient(Vetter())
    yield made
    await made.aclose()
