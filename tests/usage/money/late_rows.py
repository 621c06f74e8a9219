"""Records that come late, twice or in another order, for tests and ``make prove``.

Needs a database. What the ledger must hold is worked out here from what was written,
by plain sums.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from django.db import connection, connections
from django.db.models import Sum

from poolsite.clock import SystemClock
from tests.usage import ledger_records as make
from usage import rollups
from usage.journal.records import Settle
from usage.journal.writer import Journal, JournalOptions
from usage.limits.windows import window_at
from usage.models import Attempt, Budget, BudgetWindow, Request, RollupDay
from usage.shipper import Shipper

CLOCK = SystemClock()
NO_RESERVE = JournalOptions(reserve_bytes=0, low_disk=0.0)
LATEST_DAYS = 30
ZONES = ("Asia/Kathmandu", "Europe/Berlin", "UTC")
_NS = 1_000_000_000
Key = tuple[int, str]


@dataclass
class Rows:
    """What the ledger holds beside what was written.

    Units:  ``difference`` in nano-USD between attempts, rollups, budget windows and
            the sum worked out here, all added up.
    """

    written: int
    copies: int
    lost: int
    double: int
    difference: int
    kills: int = 0


@dataclass
class _Truth:
    settles: list[Settle]
    windows: Counter[Key]
    cost: int


def late_and_twice(root: Path, *, count: int, seed: int) -> Rows:
    """Ship records up to a month late, each up to five times, from two nodes (T49)."""
    pick = random.Random(seed)
    truth = _truth(pick, count, latest_days=LATEST_DAYS)
    told = [each for each in truth.settles for _ in range(pick.randint(1, 5))]
    pick.shuffle(told)
    journals = [Journal.open(root, clock=CLOCK, options=NO_RESERVE) for _ in range(2)]
    shipper = Shipper(root, CLOCK)
    for number, settle in enumerate(told):
        pick.choice(journals).append(settle)
        if number % 97 == 0:
            shipper.ship()
    for journal in journals:
        journal.close()
    shipper.ship()
    # Closed work is shipped, and its journal is gone.
    shipper.ship()
    shipper.close()
    return _compared(truth, len(told))


def shipper_killed(root: Path, *, count: int, kills: int, seed: int) -> Rows:
    """Kill the process that ships between any two of its steps (T34).

    Errors:  RuntimeError when it never got to its end.
    """
    pick = random.Random(seed)
    truth = _truth(pick, count, latest_days=2)
    journal = Journal.open(root, clock=CLOCK, options=NO_RESERVE)
    done = 0
    for number in range(kills):
        part = truth.settles[number * count // kills : (number + 1) * count // kills]
        for settle in part:
            journal.append(settle)
        done += not _ship_in_child(root, pick.randrange(12))
        if number % 10 == 9:
            _again(root, pick)
    journal.close()
    shipper = Shipper(root, CLOCK)
    shipper.ship()
    shipper.ship()
    shipper.close()
    rows = _compared(truth, count)
    rows.kills = done
    return rows


def _again(root: Path, pick: random.Random) -> None:
    """Bring back a journal as a restored disk would: its records are known."""
    found = [path for path in root.iterdir() if path.is_dir()]
    copy = root.parent / "copy"
    if not found:
        return
    shutil.copytree(pick.choice(found), copy)
    copied = copy.rename(root / f"{found[0].name}-again")
    shipper = Shipper(root, CLOCK)
    shipper.ship()
    shipper.close()
    if copied.exists():
        shutil.rmtree(copied)


def _truth(pick: random.Random, count: int, *, latest_days: int) -> _Truth:
    """Draw requests, each charged to the window in which it was admitted."""
    now = CLOCK.now()
    budgets = [
        (
            Budget.objects.create(
                scope="pool",
                amount_nano_usd=10**12,
                window=kind,
                time_zone=zone,
                created_at=now,
            ).pk,
            kind,
            zone,
        )
        for zone in ZONES
        for kind in ("hour", "day", "month")
    ]
    truth = _Truth([], Counter(), 0)
    for _ in range(count):
        at = now - timedelta(seconds=pick.uniform(0, latest_days * 86_400))
        at_ns = int(at.timestamp()) * _NS
        cost = pick.randint(1, 10**9)
        deltas = tuple(
            (budget, window_at(kind, zone, at).id, cost)
            for budget, kind, zone in budgets
        )
        settle = make.served(
            request_id=make.new_id(_At(at_ns)),
            head={"at_ns": at_ns},
            attempt_values={
                "started_at_ns": at_ns,
                "cost_nano": cost,
                "budget_deltas": deltas,
            },
        )
        truth.settles.append(settle)
        truth.cost += cost
        for budget, window, nano in deltas:
            truth.windows[budget, window] += nano
    return truth


class _At(SystemClock):
    """A clock that stands at one moment: ids carry the time of their request."""

    def __init__(self, at_ns: int) -> None:
        self._at_ns = at_ns

    def time_ns(self) -> int:
        """Return that moment."""
        return self._at_ns


def _compared(truth: _Truth, copies: int) -> Rows:
    written = len(truth.settles)
    requests, attempts = Request.objects.count(), Attempt.objects.count()
    cost = Attempt.objects.aggregate(cost=Sum("cost_nano_usd"))["cost"] or 0
    day = RollupDay.objects.filter(kind=rollups.TOTAL).aggregate(
        requests=Sum("requests"), cost=Sum("cost_nano_usd")
    )
    windows = {
        (row.budget_id, row.window_id): row.spent_nano_usd
        for row in BudgetWindow.objects.all()
    }
    difference = abs(cost - truth.cost) + abs((day["cost"] or 0) - truth.cost)
    for key in windows.keys() | truth.windows.keys():
        difference += abs(windows.get(key, 0) - truth.windows[key])
    counted = (requests, attempts, day["requests"] or 0)
    return Rows(
        written,
        copies,
        lost=max(0, written - min(counted)),
        double=max(0, max(counted) - written),
        difference=difference,
    )


def _ship_in_child(root: Path, step: int) -> bool:
    """Ship in a forked process that is killed at a step; True when it finished."""
    connections.close_all()
    if connection.vendor == "postgresql":
        connection.close_pool()  # a child must not share its sockets
    child = os.fork()
    if child == 0:
        try:
            Shipper(root, CLOCK, check=_die_at(step)).ship()
            connection.close()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFEXITED(status)


def _die_at(step: int) -> Callable[[str], None]:
    left = iter(range(step))

    def check(_: str) -> None:
        if next(left, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)

    return check
