"""A message of the file-system broker is never seen half written."""

from __future__ import annotations

import threading
from pathlib import Path
from queue import Empty

from kombu import Connection

from poolsite import broker


def open_channel(folder: Path) -> tuple[Connection, broker.Channel]:
    options = {
        "data_folder_in": str(folder),
        "data_folder_out": str(folder),
        "control_folder": str(folder / "control"),
    }
    (folder / "control").mkdir(exist_ok=True)
    connection = Connection(f"{broker.SCHEME}://", transport_options=options)
    return connection, connection.default_channel


def test_reader_beside_a_writer_gets_whole_messages(tmp_path: Path) -> None:
    connection, channel = open_channel(tmp_path)
    assert isinstance(channel, broker.Channel)
    reading, reader = open_channel(tmp_path)
    got: list[dict[str, int]] = []

    def read() -> None:
        while len(got) < 300:
            try:
                got.append(reader._get("celery"))
            except Empty:
                continue

    thread = threading.Thread(target=read)
    thread.start()
    for number in range(300):
        channel._put("celery", {"n": number, "filler": "x" * 5_000})
    thread.join(20)
    assert sorted(each["n"] for each in got) == list(range(300))
    connection.release()
    reading.release()


def test_nothing_stays_behind(tmp_path: Path) -> None:
    connection, channel = open_channel(tmp_path)
    channel._put("celery", {"n": 1})
    assert len([each for each in tmp_path.iterdir() if each.is_file()]) == 1
    assert channel._get("celery") == {"n": 1}
    assert not [each for each in tmp_path.iterdir() if each.is_file()]
    connection.release()
