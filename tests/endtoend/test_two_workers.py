"""Two workers share their limits exactly, and lose nothing when Redis is killed."""

from __future__ import annotations

import pytest

from scripts.proofs import shared
from tests.rig.redis_server import need_redis

pytestmark = [pytest.mark.process, pytest.mark.redis]


def test_t36_limits_are_exact_and_survive_the_death_of_redis() -> None:
    need_redis()
    figures = shared.run(7, short=True)
    for figure in figures:
        print(f"{figure.name}: {figure.value}")
    assert [figure for figure in figures if not figure.ok] == []


@pytest.mark.long
def test_t36_long_form() -> None:
    need_redis()
    figures = shared.run(8)
    assert [figure for figure in figures if not figure.ok] == []
