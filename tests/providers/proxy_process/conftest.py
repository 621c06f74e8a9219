"""Real data processes and a real upstream, one of each a test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.providers.proxy_process.worker import DataProcess
from tests.rig.upstream import UpstreamProcess


@pytest.fixture(scope="session")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UpstreamProcess]:
    with UpstreamProcess(tmp_path_factory.mktemp("upstream")) as process:
        yield process


@pytest.fixture
def stopped(tmp_path: Path, upstream: UpstreamProcess) -> Iterator[DataProcess]:
    """A data process that was not started yet, with its snapshot."""
    with DataProcess(tmp_path) as process:
        process.write_snapshot(upstream.base_url)
        yield process


@pytest.fixture
def data(stopped: DataProcess) -> DataProcess:
    stopped.start()
    stopped.wait_status("/readyz", 200, within_s=5)
    return stopped
