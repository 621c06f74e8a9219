"""The stage every proof of the running product stands on."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.rig.stage import Scene, stage
from tests.rig.upstream import UpstreamProcess

Stage = Scene[UpstreamProcess]


@contextmanager
def set_stage(
    *,
    seed: int,
    arguments: list[str] | None = None,
    env: dict[str, str] | None = None,
) -> Iterator[Stage]:
    """Set the product up in a directory that is removed in the end."""
    with (
        tempfile.TemporaryDirectory(prefix="pool-proof-") as name,
        stage(Path(name), seed=seed, arguments=arguments, env=env) as scene,
    ):
        yield scene
