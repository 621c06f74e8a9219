"""The keeper: what one node does for its data workers, over and over.

One process a data directory, under a file lock. Two threads, because shipping the
journal must not wait for a big snapshot: the first ships, the second publishes and
does the small duties. A duty that fails (the database is away) is reported once and
tried again, more slowly, for ever; the journal keeps growing meanwhile.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec
from django.db import connection

from poolsite import nodes, secrets
from poolsite.clock import Clock
from poolsite.config import Config
from providers.keeper import deaths
from providers.keeper.facts import Facts
from providers.keeper.publisher import Publisher
from providers.keeper.spending import Spending
from providers.keeper.tokens import TokenServer
from usage import partitions
from usage.bodies import ship as bodies
from usage.bodies.spool import DIRECTORY as BODIES_DIRECTORY
from usage.failovers import Failovers
from usage.journal.directory import directories
from usage.ledger import Window
from usage.shipper import Shipper, register_sink

SHIP_S: Final = 0.15
PUBLISH_S: Final = 0.5
HEARTBEAT_S: Final = 5.0
PARTITIONS_S: Final = 3600.0
DEATHS_S: Final = 1.0
FACTS_S: Final = 1.0
BODIES_S: Final = 1.0
_SLOWEST_S: Final = 5.0
_FINISH_S: Final = 4.0
_FINISH_PAUSE_S: Final = 0.05


class Duty(msgspec.Struct):
    """Something done again and again.

    Units:   seconds; ``due`` on the monotonic clock.
    """

    name: str
    every_s: float
    run: Callable[[], object]
    due: float = 0.0
    failures: int = 0


class Schedule:
    """Run duties when they are due, one at a time; a failure never ends it."""

    def __init__(self, duties: list[Duty], clock: Clock) -> None:
        self._duties = duties
        self._clock = clock

    def round(self) -> float:
        """Run what is due; return the seconds until the next one."""
        for duty in self._duties:
            if self._clock.monotonic() >= duty.due:
                self._run(duty)
        now = self._clock.monotonic()
        return max(0.0, min(duty.due for duty in self._duties) - now)

    def _run(self, duty: Duty) -> None:
        wait = duty.every_s
        try:
            duty.run()
        except Exception as error:  # noqa: BLE001 - a keeper that ends helps nobody
            duty.failures += 1
            wait = max(wait, min(0.25 * 2**duty.failures, _SLOWEST_S))
            if duty.failures == 1:
                _say(
                    f"cannot {duty.name}: {_line(error)}; trying again until it works."
                )
            # The next try gets a new connection: this one may be broken.
            with contextlib.suppress(Exception):
                connection.close()
        else:
            if duty.failures:
                _say(f"can {duty.name} again.")
            duty.failures = 0
        duty.due = self._clock.monotonic() + wait


class Keeper:
    """Everything the keeper does, ready to run."""

    def __init__(
        self, config: Config, *, lineage: str, me: uuid.UUID, clock: Clock
    ) -> None:
        self._config = config
        self._clock = clock
        self._me = me
        self._stop = threading.Event()
        self._facts = Facts(config.run_path, clock)
        register_sink("fact", self._facts.keep)
        register_sink("settle", Failovers(clock).keep)
        self._shipper = Shipper(config.journal_path, clock, announce=self._announce)
        self._spending = Spending(config.run_path, clock)
        self._publisher = Publisher(config.snapshot_path, lineage=lineage, clock=clock)
        self._has_lease = config.plane != "console" and not config.redis_url

    def run(self) -> None:
        """Work until ``stop``; then ship what is left."""
        tokens = TokenServer(self._config.keeper_socket)
        tokens.start()
        publishing = threading.Thread(
            target=self._loop, args=(self._small_duties(),), name="publish"
        )
        publishing.start()
        self._loop([Duty("ship the journal", SHIP_S, self.ship)])
        publishing.join()
        tokens.close()
        self._finish()

    def stop(self) -> None:
        """Ask ``run`` to end."""
        self._stop.set()

    def ship(self) -> None:
        """Move the journal into the ledger and tell the workers the sums."""
        self._shipper.ship()
        self._announce(frozenset())

    def _announce(self, windows: frozenset[Window]) -> None:
        self._spending.update(windows, self._shipper.shares)

    def _small_duties(self) -> list[Duty]:
        run = self._config.run_path
        duties = [
            Duty("publish the configuration", PUBLISH_S, self._publisher.publish),
            Duty("report its heartbeat", HEARTBEAT_S, self._beat),
            Duty("write facts", FACTS_S, self._facts.write_file),
            Duty("store bodies", BODIES_S, self._store_bodies),
            Duty("report deaths", DEATHS_S, lambda: deaths.report(run, self._clock)),
        ]
        if connection.vendor == "postgresql":
            duties.append(Duty("make partitions", PARTITIONS_S, self._partition))
        return duties

    def _loop(self, duties: list[Duty]) -> None:
        schedule = Schedule(duties, self._clock)
        try:
            while not self._stop.is_set():
                self._stop.wait(schedule.round())
        finally:
            connection.close()

    def _beat(self) -> None:
        nodes.heartbeat(
            self._me,
            snapshot_version=self._publisher.version,
            key_ids=secrets.ring().kids,
            has_lease=self._has_lease,
            clock=self._clock,
        )

    def _store_bodies(self) -> None:
        bodies.ship(self._config.run_path / BODIES_DIRECTORY, clock=self._clock)

    def _partition(self) -> None:
        partitions.ensure(self._clock.now())

    def _finish(self) -> None:
        """Ship the rest: the data workers ended before the keeper was asked to."""
        end = self._clock.monotonic() + _FINISH_S
        while not self._is_shipped() and self._clock.monotonic() < end:
            # A worker that just ended may hold its directory a moment longer.
            time.sleep(_FINISH_PAUSE_S)
        left = len(directories(self._config.journal_path))
        if left:
            _say(f"{left} journals are left; the next start ships them.")
        with contextlib.suppress(Exception):
            self._store_bodies()
        with contextlib.suppress(Exception):
            nodes.release_lease(self._me)
        self._shipper.close()
        connection.close()

    def _is_shipped(self) -> bool:
        """Ship what is there; True when no journal is left."""
        try:
            while self._shipper.ship().records:
                continue
        except Exception as error:  # noqa: BLE001 - said, and tried until the time is up
            _say(f"cannot ship the journal: {_line(error)}")
            connection.close()
        return not directories(self._config.journal_path)


@contextlib.contextmanager
def only_one(run: Path) -> Iterator[bool]:
    """Hold the data directory's keeper lock; False when another keeper has it."""
    descriptor = os.open(run / "keeper.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def _say(text: str) -> None:
    sys.stderr.write(f"pool keeper: {text}\n")
    sys.stderr.flush()


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
