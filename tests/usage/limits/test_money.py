"""The money tests of the catalogue on the stores of limits: T45, T49, T53."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from redis.asyncio import Redis

from poolsite.clock import ManualClock, SystemClock
from tests.usage.limits import trials
from tests.usage.limits.trials import AUTUMN, BERLIN, KATHMANDU, SPRING
from usage.limits.memory import MemoryLimits
from usage.limits.redis import RedisLimits
from usage.limits.windows import window_at

HOUR = timedelta(hours=1)


@pytest.fixture
def alone() -> list[MemoryLimits]:
    return [MemoryLimits(SystemClock(), origin="one")]


@pytest.fixture
async def fleet(redis_socket: str) -> AsyncIterator[list[RedisLimits]]:
    """Four nodes on one Redis, each with connections of its own."""
    prefix = f"test:{{{uuid.uuid4().hex}}}:"
    nodes = [
        RedisLimits.connect(f"unix://{redis_socket}", origin=f"n{n}", prefix=prefix)
        for n in range(4)
    ]
    yield nodes
    for node in nodes:
        await node.close()


def _check_race(seen: trials.Race, calls: int, name: str) -> None:
    print(
        f"T45 {name}: served {seen.served} of {calls}, refused {seen.refused}, "
        f"overshoot {max(0, seen.peak - trials.LIMIT)}, "
        f"unused {trials.LIMIT - seen.spent}"
    )
    assert seen.peak <= trials.LIMIT
    assert seen.spent <= trials.LIMIT
    assert seen.difference == 0
    assert seen.served >= calls * 98 // 100


async def test_t45_race_for_a_hard_budget(alone: list[MemoryLimits]) -> None:
    for seed in range(3):
        _check_race(await trials.race(alone, seed=seed), 100, "one process")


@pytest.mark.redis
async def test_t45_race_of_four_nodes(fleet: list[RedisLimits]) -> None:
    _check_race(await trials.race(fleet), 100, "four nodes")


@pytest.mark.long
@pytest.mark.redis
async def test_t45_long_race(
    alone: list[MemoryLimits], fleet: list[RedisLimits]
) -> None:
    for seed in range(100, 150):
        _check_race(await trials.race(alone, seed=seed), 100, "one process")
    for seed in range(100, 110):
        _check_race(await trials.race(fleet, seed=seed), 100, "four nodes")


def _check_replay(seen: trials.Replayed) -> None:
    print(
        f"T49: {seen.settles} settles of {seen.tickets} tickets: lost {seen.lost}, "
        f"double {seen.double}, held {seen.held}"
    )
    assert (seen.lost, seen.double, seen.held) == (0, 0, 0)


async def test_t49_settles_replayed_count_once(alone: list[MemoryLimits]) -> None:
    _check_replay(await trials.replay(alone))


@pytest.mark.redis
async def test_t49_settles_replayed_from_any_node(fleet: list[RedisLimits]) -> None:
    _check_replay(await trials.replay(fleet, tickets=60))


@pytest.mark.long
@pytest.mark.redis
async def test_t49_long_replays(
    alone: list[MemoryLimits], fleet: list[RedisLimits]
) -> None:
    for seed in range(10, 30):
        _check_replay(await trials.replay(alone, tickets=1_000, seed=seed))
    _check_replay(await trials.replay(fleet, tickets=1_000, seed=10))


PLACES = [
    (KATHMANDU, "day", SPRING),
    (KATHMANDU, "month", datetime(2026, 2, 28, 18, 15, tzinfo=UTC)),
    (BERLIN, "day", SPRING),
    (BERLIN, "day", AUTUMN),
    (BERLIN, "hour", SPRING),
    (BERLIN, "hour", AUTUMN),
    (BERLIN, "week", AUTUMN),
    ("America/New_York", "month", datetime(2026, 11, 1, 5, 59, 59, tzinfo=UTC)),
    ("UTC", "month", datetime(2027, 1, 1, tzinfo=UTC)),
]


def _check_walk(seen: trials.Walk, zone: str, kind: str) -> None:
    print(
        f"T53 {kind} in {zone}: {len(seen.windows)} windows, over the limit "
        f"{seen.over_limit}, double {seen.doubled}, negative waits "
        f"{seen.negative_waits}, wrong resets {seen.wrong_resets}"
    )
    assert len(seen.windows) >= 2
    assert (seen.lost, seen.over_limit, seen.doubled) == (0, 0, 0)
    assert (seen.negative_waits, seen.wrong_resets) == (0, 0)


@pytest.mark.parametrize(("zone", "kind", "start"), PLACES)
async def test_t53_clock_wanders_over_window_edges(
    zone: str, kind: str, start: datetime
) -> None:
    _check_walk(await trials.walk(zone, kind, start), zone, kind)


@pytest.mark.redis
@pytest.mark.parametrize(("zone", "kind", "start"), PLACES)
async def test_t53_clock_wanders_over_window_edges_in_redis(
    zone: str, kind: str, start: datetime, redis_socket: str
) -> None:
    prefix = f"test:{{{uuid.uuid4().hex}}}:"
    client = Redis(unix_socket_path=redis_socket)

    def make(clock: ManualClock) -> RedisLimits:
        return RedisLimits(client, origin="walk", prefix=prefix, clock=clock)

    _check_walk(await trials.walk(zone, kind, start, make=make), zone, kind)
    await client.aclose()


@pytest.mark.long
@pytest.mark.parametrize(("zone", "kind", "start"), PLACES)
async def test_t53_clock_wanders_for_long(
    zone: str, kind: str, start: datetime
) -> None:
    for seed in range(20):
        seen = await trials.walk(zone, kind, start, steps=2_000, seed=seed)
        _check_walk(seen, zone, kind)


@pytest.mark.parametrize(
    ("zone", "noon", "hours"),
    [
        (BERLIN, datetime(2026, 3, 29, 10, tzinfo=UTC), 23),
        (BERLIN, datetime(2026, 10, 25, 11, tzinfo=UTC), 25),
        (KATHMANDU, datetime(2026, 3, 29, 6, tzinfo=UTC), 24),
        ("Australia/Lord_Howe", datetime(2026, 4, 5, 1, tzinfo=UTC), 24.5),
    ],
)
def test_t53_days_have_their_own_length(
    zone: str, noon: datetime, hours: float
) -> None:
    day = window_at("day", zone, noon)
    assert day.starts_at is not None
    assert day.ends_at is not None
    assert (day.ends_at - day.starts_at) / HOUR == hours


def test_t53_a_quarter_to_six_ahead_of_utc() -> None:
    """Midnight in Kathmandu is 18:15 UTC, to the second."""
    before = datetime(2026, 2, 28, 18, 14, 59, 999_999, tzinfo=UTC)
    after = datetime(2026, 2, 28, 18, 15, tzinfo=UTC)
    clock = ManualClock(before)
    february = window_at("month", KATHMANDU, clock.now())
    march = window_at("month", KATHMANDU, after)
    assert february.ends_at == after == march.starts_at
    assert february.id != march.id
    hour = window_at("hour", KATHMANDU, after)
    assert hour.starts_at == after
