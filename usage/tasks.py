"""The ledger's background work."""

from __future__ import annotations

from poolsite.clock import SystemClock
from poolsite.jobs import periodic_task
from usage import partitions


@periodic_task("usage.partitions", interval_s=3600)
def make_partitions() -> None:
    """Keep partitions of the ledger ahead of the clock."""
    partitions.ensure(SystemClock().now())
