"""The fault upstream as a pytest fixture.

    from tests.upstream.fixtures import fault_upstream

in a conftest (or a test module) makes it available below.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.upstream.server import FaultUpstream


@pytest.fixture
async def fault_upstream(tmp_path: Path) -> AsyncIterator[FaultUpstream]:
    """Yield a running upstream whose truth log is in the test's directory."""
    async with FaultUpstream(log=tmp_path / "truth.jsonl") as upstream:
        yield upstream
