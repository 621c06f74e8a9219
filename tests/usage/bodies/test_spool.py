"""Bodies go to the keeper beside the path: bounded, compressed, and never waited for."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from poolsite.clock import ManualClock
from poolsite.ids import uuid7
from usage.bodies import record, ship
from usage.bodies.rows import RequestBody
from usage.bodies.spool import SUFFIX, UNFINISHED, Raw, Spool

NOW = datetime(2026, 6, 30, 12, tzinfo=UTC)
CLOCK = ManualClock(NOW)


def raw(asked: bytes | None = b"a prompt", *, keep: int = 1_000, size: int = 0) -> Raw:
    return Raw(
        str(uuid7(CLOCK)),
        CLOCK.time_ns(),
        keep,
        asked,
        size or len(asked or b""),
        b"an answer",
        9,
    )


def spooled(root: Path, *raws: Raw, **options: int) -> Spool:
    spool = Spool(root, **options)
    for each in raws:
        spool.keep(each)
    spool.close()
    return spool


def test_what_is_written_is_redacted_compressed_and_private(tmp_path: Path) -> None:
    secret = b"sk-proj-abcDEF0123456789abcDEF0123456789"
    one = raw(b"Use " + secret + b" " + b"word " * 150)
    spooled(tmp_path / "b", one)
    [path] = (tmp_path / "b").iterdir()
    assert path.name == one.request_id + SUFFIX
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.stat().st_size < 400
    body = record.decode(path.read_bytes())
    assert body.asked is not None
    assert record.plain(body.asked.data).startswith(b"Use [hidden] word")
    assert secret not in path.read_bytes()


def test_long_bodies_are_cut_and_say_so(tmp_path: Path) -> None:
    spooled(tmp_path, raw(b"word " * 1_000, keep=100), raw(b"word", size=9_999))
    found = [record.decode(p.read_bytes()) for p in sorted(tmp_path.iterdir())]
    sides = [body.asked for body in found if body.asked is not None]
    assert sorted((side.size, side.is_cut) for side in sides) == [
        (5_000, True),
        (9_999, True),
    ]
    assert max(len(record.plain(side.data)) for side in sides) == 100


def test_too_much_at_once_is_dropped_and_counted(tmp_path: Path) -> None:
    spool = Spool(tmp_path, most_waiting=20)
    spool.keep(raw(b"x" * 100))
    spool.close()
    assert (spool.dropped, list(tmp_path.iterdir())) == (1, [])


def test_full_spool_drops_bodies_until_the_keeper_took_some(tmp_path: Path) -> None:
    spooled(tmp_path, raw())
    assert spooled(tmp_path, raw(), raw(), most_spooled=0).dropped == 2
    [path] = tmp_path.iterdir()
    path.unlink()
    assert spooled(tmp_path, raw(), most_spooled=0).dropped == 0


def test_disk_that_refuses_loses_bodies_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no directory")
    assert spooled(tmp_path / "file", raw(), raw()).dropped == 2


def test_bodies_given_by_the_loop_are_written_by_a_thread(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    assert not [t for t in threading.enumerate() if t.name == "bodies"]
    spool.keep(raw())
    spool.close()
    spool.keep(raw())
    assert (len(list(tmp_path.iterdir())), spool.dropped) == (1, 1)


@pytest.mark.django_db
def test_keeper_makes_rows_of_files_once(tmp_path: Path) -> None:
    one, two = raw(), raw(None)
    spooled(tmp_path, one, two)
    copy = (tmp_path / f"{one.request_id}{SUFFIX}").read_bytes()
    assert ship.ship(tmp_path, clock=CLOCK) == 2
    assert list(tmp_path.iterdir()) == []
    (tmp_path / f"{one.request_id}{SUFFIX}").write_bytes(copy)
    ship.ship(tmp_path, clock=CLOCK)
    assert RequestBody.objects.count() == 2
    row = RequestBody.objects.get(pk=UUID(one.request_id))
    assert row.at == NOW
    assert record.plain(bytes(row.asked or b"")) == b"a prompt"
    assert (row.asked_bytes, row.answered_bytes) == (8, 9)
    assert RequestBody.objects.get(pk=UUID(two.request_id)).asked_bytes is None


@pytest.mark.django_db
def test_damaged_files_are_dropped_and_the_others_stored(tmp_path: Path) -> None:
    spooled(tmp_path, raw())
    (tmp_path / f"0{SUFFIX}").write_bytes(b"nonsense")
    assert ship.ship(tmp_path, clock=CLOCK) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.django_db
def test_file_of_a_killed_process_goes_after_a_while(tmp_path: Path) -> None:
    (tmp_path / f"0{UNFINISHED}").write_bytes(b"half")
    soon = ManualClock(datetime.now(UTC))
    ship.ship(tmp_path, clock=soon)
    assert len(list(tmp_path.iterdir())) == 1
    ship.ship(tmp_path, clock=ManualClock(datetime.now(UTC) + timedelta(hours=1)))
    assert list(tmp_path.iterdir()) == []
