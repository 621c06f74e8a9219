"""Build one data worker from its configuration, keep it fed, and end it in good order.

This is the one place where the rooms' ports meet the real parts: snapshot store,
limits, journal, health, upstream client, tokens, metrics.
"""

from __future__ import annotations

import asyncio
import logging
import resource
from collections.abc import Callable, Coroutine
from typing import Any, Final, Literal, cast

from poolsite.clock import Clock, SystemClock
from poolsite.config import Config, Roots
from poolsite.crypto import KeyRing, Peppers
from poolsite.destinations import Vetter
from poolsite.egress import UpstreamClient
from providers.formats import registry
from providers.proxy.errors import InternalError
from providers.proxy.following import FILE as FACTS_FILE
from providers.proxy.following import HealthFollower
from providers.proxy.key_check import KeyCheck
from providers.proxy.lateness import Lateness
from providers.proxy.lessons import REFUSAL_FACT
from providers.proxy.metrics import FLUSH_INTERVAL_S, DataMetrics, Gauges
from providers.proxy.paths import RouteTable
from providers.proxy.peers import Peers
from providers.proxy.pipeline import Pipeline
from providers.proxy.ports import LimitStore, Parts, Trust
from providers.proxy.relay import ConsoleRelay
from providers.proxy.spend import FILE as SPEND_FILE
from providers.proxy.spend import SpendFollower, wait_for_the_dead
from providers.proxy.token_source import KeeperTokens
from providers.routing.health import Health
from providers.snapshot.store import SnapshotStore
from providers.snapshot.types import BUDGET
from providers.snapshot.view import Snapshot
from usage.bodies.spool import DIRECTORY as BODIES_DIRECTORY
from usage.bodies.spool import Spool
from usage.journal.writer import Journal
from usage.limits.memory import MemoryLimits

METRICS_DIRECTORY: Final = "metrics"
_SWEEP_INTERVAL_S: Final = 5.0
_NEWCOMERS_S: Final = 5.0
_CONSOLE_GRACE_S: Final = 1.0
_DRAIN_STEP_S: Final = 0.02
_AFTER_CUT_S: Final = 4.0
_FINISH_S: Final = 5.0
_CANCELS: Final = 10
_CANCEL_S: Final = 0.2
_DEFAULT_DRAIN_S: Final = 30.0
_log: Final = logging.getLogger("providers.proxy")


class Runtime:
    """Everything one data worker is made of.

    Shapes:  ``start`` and ``stop`` are called once, in the worker's own loop.
    """

    def __init__(
        self, config: Config, roots: Roots, clock: Clock | None = None
    ) -> None:
        self.config = config
        self.clock = clock or SystemClock()
        self.routes = RouteTable(registry.formats().values())
        self.peers = Peers(config.trusted_proxies)
        self.peppers = Peppers(roots.peppers)
        self.ring = KeyRing(roots.encryption_keys)
        self.metrics = DataMetrics(config.run_path / METRICS_DIRECTORY, self.clock)
        self.store = SnapshotStore(config.snapshot_path, self.clock)
        self.health = Health(self.clock)
        self.bodies = Spool(config.run_path / BODIES_DIRECTORY)
        self.pipeline: Pipeline | None = None
        self.relay: ConsoleRelay | None = None
        self._lateness = Lateness(self.clock)
        self._trust = Trust(self.peppers, roots.secret_key, self.clock)
        self._tasks: list[asyncio.Task[None]] = []
        self._shared: list[Callable[[], Coroutine[Any, Any, None]]] = []
        self._journal: Journal | None = None
        self._limits: LimitStore | None = None
        self._client: UpstreamClient | None = None
        self._fetcher: UpstreamClient | None = None
        self._tokens: KeeperTokens | None = None
        self._draining_since: float | None = None
        self._drain_by = 0.0
        self._keys = KeyCheck(self.ring)

    # Life

    async def start(self) -> None:
        """Make the worker ready to serve.

        Errors:  OSError when the journal cannot be written, ValueError for a setting
                 that cannot be read.
        """
        config = self.config
        config.run_path.mkdir(mode=0o700, parents=True, exist_ok=True)
        await self.store.poll()
        if self._has_budgets():
            # Rates start from nothing; only money must be known from before.
            await wait_for_the_dead(
                config.journal_path,
                news=config.run_path / SPEND_FILE,
                is_only_one=config.workers == 1 and not config.redis_url,
            )
        journal = self._journal = await asyncio.to_thread(self._open_journal)
        limits = self._limits = await self._open_limits(journal.origin)
        spend = SpendFollower(config.run_path / SPEND_FILE, limits)
        await spend.poll()
        following = HealthFollower(
            config.run_path / FACTS_FILE,
            self.health,
            snapshot=self.store,
            journal=journal,
        )
        facts = following.poll()
        vetter = Vetter(config.allow_private, config.cloud_metadata)
        self._client = UpstreamClient(vetter)
        # What clients name by URL is public or is not fetched, whatever providers may.
        self._fetcher = UpstreamClient(Vetter((), ()))
        self._tokens = KeeperTokens(config.keeper_socket)
        if config.plane != "proxy":
            self.relay = ConsoleRelay(config.console_socket)
        self.pipeline = Pipeline(self._parts(journal, limits))
        self.pipeline.lessons.load(
            fact.payload for fact in facts if fact.kind == REFUSAL_FACT
        )
        self.metrics.watch(self._gauges)
        self.metrics.flush()
        self._keep(self.store.run)
        self._keep(spend.run)
        self._keep(following.run)
        if config.redis_url:
            self._share_cooldowns(journal.origin)
        self._keep(self._flush_metrics)
        self._keep(self._lateness.run)
        self._keep(self._sweep_limits)

    async def stop(self) -> None:
        """End in the order in which nothing is lost; the journal last."""
        if self.pipeline is not None:
            await self.pipeline.finish(_FINISH_S)
        await _ended(self._tasks)
        if self._tokens is not None:
            await self._tokens.aclose()
        if self.relay is not None:
            await self.relay.aclose()
        for client in (self._client, self._fetcher):
            if client is not None:
                await client.aclose()
        closing = getattr(self._limits, "close", None)
        for close in (*self._shared, *([closing] if closing is not None else ())):
            await close()
        self.metrics.flush()
        await asyncio.to_thread(self.bodies.close)
        if self._journal is not None:
            await asyncio.to_thread(self._journal.close)

    # State

    @property
    def snapshot(self) -> Snapshot | None:
        """The snapshot in force."""
        return self.store()

    @property
    def in_flight(self) -> int:
        """Count the calls under way, those to the console too."""
        calls = 0 if self.pipeline is None else self.pipeline.in_flight
        return calls if self.relay is None else calls + self.relay.in_flight

    @property
    def is_ready(self) -> bool:
        """Tell whether new work is taken: it can be decided, paid for and recorded."""
        if self._draining_since is not None or self.pipeline is None:
            return False
        snapshot = self.store()
        journal = self._journal
        if snapshot is None or journal is None or not journal.can_admit():
            return False
        return not self._is_stale() and self._keys.fits(snapshot)

    @property
    def metrics_tokens(self) -> tuple[str, ...]:
        """``pepper id:digest`` of each token that may read the metrics."""
        snapshot = self.store()
        return () if snapshot is None else snapshot.settings.metrics_tokens

    def refusal(self) -> InternalError | None:
        """Say why a proxy call is not taken at all, None when it is."""
        if self.store() is None or self.pipeline is None:
            return InternalError(
                "The pool is starting; try again in a moment.",
                status=503,
                code="not_ready",
                retry_after_s=1,
            )
        if self._draining_since is not None and not self._takes_newcomers():
            return InternalError(
                "The pool is shutting down; try again in a moment.",
                status=503,
                code="draining",
                retry_after_s=2,
            )
        if self._is_stale():
            return InternalError(
                "The pool's configuration is out of date; try again in a moment.",
                status=503,
                code="snapshot_stale",
                retry_after_s=5,
            )
        return None

    # The end

    async def drain(self) -> None:
        """Finish what runs, and return when nothing runs any more.

        Readiness goes at once; newcomers are served for a little while; streams still
        open at the deadline end with their dialect's own error. Calling it again makes the
        deadline near.
        """
        now = self.clock.monotonic()
        if self._draining_since is not None:
            self._draining_since = min(self._draining_since, now - _NEWCOMERS_S)
            self._drain_by = min(self._drain_by, now)
            return
        snapshot = self.store()
        drain_s = _DEFAULT_DRAIN_S if snapshot is None else snapshot.settings.drain_s
        self._draining_since = now
        self._drain_by = now + drain_s
        is_console_cut = is_cut = False
        while self.in_flight:
            now = self.clock.monotonic()
            if not is_console_cut and now > self._draining_since + _CONSOLE_GRACE_S:
                is_console_cut = True
                self._cut_console()
            if now > self._drain_by:
                if not is_cut and self.pipeline is not None:
                    self.pipeline.cut()
                is_cut = True
                self._cut_console()
                if now > self._drain_by + _AFTER_CUT_S:
                    break
            await asyncio.sleep(_DRAIN_STEP_S)

    def _takes_newcomers(self) -> bool:
        """Serve for some seconds more: balancers need time to see that we leave."""
        since = self._draining_since
        if since is None:
            return True
        now = self.clock.monotonic()
        return now < min(since + _NEWCOMERS_S, self._drain_by)

    def _cut_console(self) -> None:
        if self.relay is not None:
            self.relay.cut()

    # Parts

    def _parts(self, journal: Journal, limits: LimitStore) -> Parts:
        if self._tokens is None or self._client is None:
            raise RuntimeError("The parts are made before the pipeline.")
        return Parts(
            snapshot=self.store,
            limits=limits,
            journal=journal,
            tokens=self._tokens,
            health=self.health,
            client=self._client,
            ring=self.ring,
            trust=self._trust,
            metrics=self.metrics,
            clock=self.clock,
            fetcher=self._fetcher,
            bodies=self.bodies,
            limits_are_shared=bool(self.config.redis_url),
            snapshot_max_age_s=float(self.config.snapshot_max_age_s),
        )

    def _has_budgets(self) -> bool:
        snapshot = self.store()
        return snapshot is not None and snapshot.counts()[BUDGET] > 0

    def _open_journal(self) -> Journal:
        durability = cast("Literal['os', 'group', 'always']", self.config.durability)
        return Journal.open(
            self.config.journal_path, clock=self.clock, durability=durability
        )

    async def _open_limits(self, origin: str) -> LimitStore:
        if not self.config.redis_url:
            return MemoryLimits(self.clock, origin=origin)
        # Imported only where it is used: the client library is large.
        from usage.limits.fleet import FleetLimits
        from usage.limits.redis_fleet import RedisFleet

        redis = RedisFleet.connect(self.config.redis_url, origin=origin)
        shared = FleetLimits(redis, self.clock, nodes=self.config.workers)
        await shared.open()
        self._keep(shared.run)
        return shared

    def _share_cooldowns(self, origin: str) -> None:
        """Follow what the other processes of the fleet find out."""
        from providers.proxy.sharing import SharedCooldowns

        shared = SharedCooldowns.connect(
            self.config.redis_url, self.health, origin=origin
        )
        self._shared.append(shared.close)
        self._keep(shared.run)

    # Background

    def _keep(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run something for as long as the worker lives."""
        self._tasks.append(asyncio.ensure_future(_for_ever(work)))

    async def _flush_metrics(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_INTERVAL_S)
            self.metrics.flush()

    async def _sweep_limits(self) -> None:
        while self._limits is not None:
            await asyncio.sleep(_SWEEP_INTERVAL_S)
            await self._limits.free_expired()

    def _is_stale(self) -> bool:
        most = self.config.snapshot_max_age_s
        if most <= 0:
            return False
        age = self.store.age_s()
        return age is not None and age > most

    def _gauges(self) -> Gauges:
        store, journal, snapshot = self.store, self._journal, self.store()
        values = {
            "pool_in_flight": float(self.in_flight),
            "pool_queued": float(self.pipeline.waiting if self.pipeline else 0),
            "pool_snapshot_rejected_total": float(store.stats.rejected),
            "pool_cooling": float(len(self.health.states())),
            "pool_resident_bytes": float(_resident_bytes()),
            "pool_bodies_dropped_total": float(self.bodies.dropped),
        }
        if journal is not None:
            stats = journal.stats
            values["pool_journal_records_total"] = float(stats.records)
            errors = stats.write_errors + stats.sync_errors
            values["pool_journal_errors_total"] = float(errors)
        highest = {
            "pool_loop_late_seconds": self._lateness.worst_s,
            "pool_loop_late_own_seconds": self._lateness.worst_own_s,
        }
        gauges = Gauges(values, highest, {"pool_ready": float(self.is_ready)}, {})
        told = getattr(self._limits, "figures", None)
        if told is not None:
            is_shared, alone = told()
            gauges.lowest["pool_limits_shared"] = float(is_shared)
            values["pool_limits_share_refused_total"] = float(alone)
        if snapshot is not None:
            gauges.lowest["pool_snapshot_version"] = float(snapshot.version)
            gauges.highest["pool_snapshot_age_seconds"] = store.age_s() or 0.0
            gauges.records = {k: float(v) for k, v in snapshot.counts().items()}
        return gauges


async def _for_ever(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Start background work again when it fails: a worker without it goes blind."""
    while True:
        try:
            await work()
        except Exception:  # noqa: BLE001 - whatever it was, it is logged and tried again
            _log.exception("background_work_failed")
            await asyncio.sleep(1.0)


async def _ended(tasks: list[asyncio.Task[None]]) -> None:
    """Cancel until all have ended: Python 3.11 loses a cancellation now and then.

    One that arrives in the moment in which ``asyncio.wait_for`` has its answer does
    nothing; the Redis client uses it for each call.
    """
    for _ in range(_CANCELS if tasks else 0):
        for task in tasks:
            task.cancel()
        if not (await asyncio.wait(tasks, timeout=_CANCEL_S))[1]:
            return


def _resident_bytes() -> int:
    try:
        with open("/proc/self/statm", encoding="ascii") as stream:
            return int(stream.read().split()[1]) * resource.getpagesize()
    except (OSError, ValueError, IndexError):
        return 0
