"""A worker whose pool process was killed ends, because its queue may be locked."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from providers.management.commands import worker


class Ended(BaseException):
    """Stands for the end of the process."""


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A pool of two, watched without waiting; the watch gives up after five looks."""
    looks = iter(range(5))

    def look(_: float) -> None:
        if next(looks, None) is None:
            raise StopIteration

    def end(status: int) -> None:
        raise Ended(status)

    monkeypatch.setattr("time.sleep", look)
    monkeypatch.setattr("os._exit", end)
    members = [SimpleNamespace(pid=pid, exitcode=None) for pid in (11, 12)]
    return SimpleNamespace(_pool=members)


def test_killed_process_ends_the_worker(pool: SimpleNamespace) -> None:
    pool._pool[1].exitcode = -9
    with pytest.raises(Ended) as ended:
        worker._watch(pool)
    assert ended.value.args[0] not in (0, None)


def test_killed_process_is_noticed_after_it_was_replaced(
    pool: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim, looks = pool._pool[1], iter(range(3))

    def replace(_: float) -> None:
        if next(looks, None) == 1:
            victim.exitcode = -9
            pool._pool = [pool._pool[0], SimpleNamespace(pid=13, exitcode=None)]

    monkeypatch.setattr("time.sleep", replace)
    with pytest.raises(Ended):
        worker._watch(pool)


@pytest.mark.parametrize("status", [None, 0, 155])
def test_living_or_recycled_processes_are_left_alone(
    pool: SimpleNamespace, status: int | None
) -> None:
    pool._pool[0].exitcode = status
    with pytest.raises(StopIteration):
        worker._watch(pool)
