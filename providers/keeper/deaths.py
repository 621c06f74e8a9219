"""Turn what the supervisor noted about dead children into alerts."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import msgspec

from poolsite import alerts
from poolsite.clock import Clock
from poolsite.supervisor.serve import DEATHS


class Death(msgspec.Struct, frozen=True):
    """One line of the supervisor's note."""

    name: str
    status: int
    at_s: float


def report(run: Path, clock: Clock) -> int:
    """Raise an alert for each noted death; return how many there were.

    The note is moved away first, so that a death noted meanwhile is not lost; after a
    crash in between it is found under the other name.
    """
    taken = run / f"{DEATHS}.taken"
    if not taken.exists():
        try:
            os.replace(run / DEATHS, taken)
        except FileNotFoundError:
            return 0
    count = 0
    for line in taken.read_bytes().splitlines():
        with contextlib.suppress(msgspec.MsgspecError):
            death = msgspec.json.decode(line, type=Death)
            alerts.raise_alert(
                "process_died",
                death.name,
                title=f"The {death.name} process died and was started again",
                detail=f"It ended with status {death.status}.",
                clock=clock,
            )
            count += 1
    taken.unlink(missing_ok=True)
    return count
