"""Prompts and answers travel from a client through worker and keeper into the store."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import pytest

from tests.rig.plain import call
from tests.rig.stage import Scene, stage
from tests.rig.upstream import UpstreamProcess
from usage.bodies.record import plain

pytestmark = pytest.mark.process
PLANTED: Final = "sk-proj-plantedPLANTED0123456789planted"
ROWS: Final = "SELECT request_id, asked, answered FROM usage_requestbody"
WITHIN_S: Final = 10


def kept(scene: Scene[UpstreamProcess], count: int) -> dict[str, tuple[str, str]]:
    """Wait until so many are stored; return prompts and answers by request id."""
    end = time.monotonic() + WITHIN_S
    while True:
        with closing(sqlite3.connect(scene.product.database)) as database:
            rows = database.execute(ROWS).fetchall()
        if len(rows) >= count or time.monotonic() > end:
            break
        time.sleep(0.1)
    return {
        str(UUID(one)): (plain(asked).decode(), plain(answered).decode())
        for one, asked, answered in rows
    }


def ask(scene: Scene[UpstreamProcess], key: str, **body: Any) -> tuple[str, bytes]:
    """Make one call; return its id and the body of the answer."""
    asked = {
        "model": "gpt-test",
        "messages": [{"role": "user", "content": f"Use {PLANTED} wisely."}],
        **body,
    }
    reply = call(scene.product.url + "/chat/completions", scene.keys[key], asked)
    assert reply.status == 200, reply.body
    return reply.headers["x-pool-request-id"], reply.body


def test_bodies_are_kept_of_the_key_that_asks_without_its_secrets(
    tmp_path: Path,
) -> None:
    with stage(tmp_path, arguments=["--no-worker"]) as scene:
        scene.provider("up", models=["gpt-test"])
        scene.setting(keep_bodies=True)
        scene.key("logged", log_level="bodies")
        scene.key("plain")
        scene.open()
        whole, answer = ask(scene, "logged")
        streamed, events = ask(scene, "logged", stream=True)
        ask(scene, "plain")
        found = kept(scene, 2)
        scene.product.stop()

        assert found.keys() == {whole, streamed}
        assert "Use [hidden] wisely." in found[whole][0]
        assert found[whole][1] == answer.decode()
        assert found[streamed][1] == events.decode()
        assert not list((scene.product.data_dir / "run" / "bodies").glob("*"))
        # Not in the journal, the log, the database or any other file either.
        for path in scene.product.data_dir.rglob("*"):
            if path.is_file():
                assert PLANTED.encode() not in path.read_bytes(), path
