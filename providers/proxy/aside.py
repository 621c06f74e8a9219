"""Do what takes long for a large body beside the event loop, so that others go on.

Translating one, either way, makes objects of all it holds: some 0.4 ms for each KB of short
messages, and one client's megabytes must not hold up every other client's stream.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar

LARGE_BYTES: Final = 128 * 1024

Made = TypeVar("Made")


async def aside(size: int, work: Callable[[], Made]) -> Made:
    """Return what some work on so many bytes makes, done in a thread if they are many.

    Cost:    nothing for a small body, some 0.1 ms more for a large one.
    """
    if size < LARGE_BYTES:
        return work()
    return await asyncio.to_thread(work)
