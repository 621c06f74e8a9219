"""Whatever happens to Redis, a fleet spends nothing twice and forgets nothing (T46)."""

from __future__ import annotations

import pytest

from tests.rig.redis_server import RedisServer, need_redis
from tests.usage.limits.fleet_lives import Lives, live

pytestmark = pytest.mark.redis


def check_lives(lives: Lives) -> None:
    print(lives)
    assert (lives.over, lives.difference, lives.held) == (0, 0, 0)


@pytest.mark.parametrize("seed", range(1, 5))
async def test_t46_random_lives_of_a_fleet_keep_the_books(tmp_path, seed):
    need_redis()
    with RedisServer(tmp_path, is_kept=bool(seed % 2)) as server:
        check_lives(await live(server, steps=800, seed=seed))


@pytest.mark.long
async def test_t46_long_random_lives_of_a_fleet_keep_the_books(tmp_path):
    need_redis()
    for seed in range(100, 140):
        (tmp_path / str(seed)).mkdir()
        with RedisServer(tmp_path / str(seed)) as server:
            check_lives(await live(server, steps=1_500, seed=seed, nodes=4))
