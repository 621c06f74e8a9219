from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

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


@pytest.fixture
async def program_pool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Pool]:
    """A pool that may run programs and has no provider yet."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    async with Pool() as made:
        made.set(cli_providers=True)
        yield made
    assert not list(scratch.iterdir()), "a directory was left behind"
