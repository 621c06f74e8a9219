"""Keep a worker's health view in step: settings in force, others' news, what to tell.

What other workers of this machine learnt, and what a person cleared, comes in the
keeper's file of facts. How often models failed leaves as facts every few seconds.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from providers.proxy.ports import JournalPort
from providers.routing.health import Health
from providers.snapshot.types import PROVIDER, RoutingRecord
from providers.snapshot.view import Snapshot
from usage.journal.records import Fact

FILE: Final = "facts.json"
POLL_INTERVAL_S: Final = 0.25
_TELL_EVERY: Final = 20
_log: Final = logging.getLogger("providers.proxy.following")


class HealthFollower:
    """Feed a health view.

    Cost:  a look that finds nothing new is one ``stat``.
    """

    def __init__(
        self,
        path: Path,
        health: Health,
        *,
        snapshot: Callable[[], Snapshot | None],
        journal: JournalPort,
    ) -> None:
        self._path = path
        self._health = health
        self._snapshot = snapshot
        self._journal = journal
        self._seen: tuple[int, int] | None = None
        self._obeyed: tuple[RoutingRecord | None, int] = (None, -1)

    async def run(self, interval_s: float = POLL_INTERVAL_S) -> None:
        """Follow for ever."""
        rounds = 0
        while True:
            await asyncio.sleep(interval_s)
            rounds += 1
            self.poll()
            if rounds % _TELL_EVERY == 0:
                self.tell()

    def poll(self) -> list[Fact]:
        """Take over what is new; return what the file tells, where it changed.

        Fails:   never: a file that cannot be read is looked at again next time.
        """
        self._obey()
        for fact in self._health.take_untold():
            self._journal.append(fact)
        try:
            stat = os.stat(self._path)
            seen = (stat.st_ino, stat.st_mtime_ns)
            if seen == self._seen:
                return []
            facts = msgspec.json.decode(self._path.read_bytes(), type=list[Fact])
        except FileNotFoundError:
            return []
        except (OSError, msgspec.MsgspecError) as error:
            _log.warning("facts_unreadable", extra={"reason": str(error)})
            return []
        self._seen = seen
        self._health.merge(facts, passes_on=True)
        return facts

    def tell(self) -> None:
        """Journal how often models failed lately."""
        for fact in self._health.take_failures():
            self._journal.append(fact)

    def _obey(self) -> None:
        """Follow the numbers of the snapshot in force."""
        snapshot = self._snapshot()
        if snapshot is None:
            return
        routing = snapshot.settings.routing
        providers = snapshot.counts()[PROVIDER]
        if routing is self._obeyed[0] and providers == self._obeyed[1]:
            return
        self._obeyed = (routing, providers)
        self._health.configure(routing.cooldown, providers=providers)
