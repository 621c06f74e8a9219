"""A vendor to talk to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rig.upstream import UpstreamProcess


@pytest.fixture(scope="session")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UpstreamProcess]:
    """A fault upstream in a process of its own; healthy unless told otherwise."""
    directory: Path = tmp_path_factory.mktemp("upstream")
    with UpstreamProcess(directory) as running:
        yield running
