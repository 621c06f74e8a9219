"""``pool request``: list, show, replay."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from providers.management.commands import request as command
from providers.services.replay import Replayed
from tests.factories import make_client_key, make_provider, make_request, try_at
from tests.providers.commands.conftest import Pool
from tests.usage.bodies.store import store

pytestmark = pytest.mark.django_db


@pytest.fixture
def request_id() -> str:
    provider = make_provider("acme", models=["gpt-5-mini"], keys=["sk-1"])
    key, _ = make_client_key("my laptop")
    make_request(None, error_code="model_not_found")
    return make_request(key, try_at(provider, "gpt-5-mini"))


def test_list_takes_the_words_of_the_console(pool: Pool, request_id: str) -> None:
    assert request_id in pool.ok("request", "list").out
    found = pool.ok("request", "list", "key:my laptop", "status:2xx", "--json").json
    assert [row["id"] for row in found["requests"]] == [request_id]
    page = pool.ok("request", "list", "--limit", "1").out
    cursor = page.partition("--cursor ")[2].strip()
    assert request_id not in pool.ok("request", "list", "--cursor", cursor).out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["list", "colour:red"], "there is no filter colour"),
        (["list", "--limit", "0"], "--limit is 1 to 500"),
        (["list", "--cursor", "x"], "link is damaged"),
        (["show", "x"], "x is not the id"),
        (["show", "0198f2a4-77c1-7b2e-9d41-5b0c2f1e9c41"], "There is no request"),
    ],
)
def test_refusals_are_one_line(pool: Pool, arguments: list[str], said: str) -> None:
    assert said in pool.refused("request", *arguments)


def test_show_prints_every_fact(pool: Pool, request_id: str) -> None:
    shown = pool.ok("request", "show", request_id).json
    assert (shown["id"], len(shown["attempts"])) == (request_id, 1)


def test_replay_sends_the_file_and_prints_the_answer(
    pool: Pool, request_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[Any] = []

    def answer(actor: Any, original: UUID, body: bytes) -> Replayed:
        sent.append((str(original), json.loads(body)))
        return Replayed(200, '{"ok":true}', "new-id", 5)

    monkeypatch.setattr(command, "replay", answer)
    path = tmp_path / "body.json"
    path.write_text('{"model":"gpt-5-mini"}')
    ran = pool("request", "replay", request_id, "--body-file", str(path))
    assert (ran.status, ran.out) == (0, '{"ok":true}\n')
    assert sent == [(request_id, {"model": "gpt-5-mini"})]
    missing = str(tmp_path / "none")
    said = pool.refused("request", "replay", request_id, "--body-file", missing)
    assert "cannot be read" in said


def test_replay_refuses_what_is_no_json(
    pool: Pool, request_id: str, tmp_path: Path
) -> None:
    path = tmp_path / "body.json"
    path.write_text("hello")
    said = pool.refused("request", "replay", request_id, "--body-file", str(path))
    assert "not a JSON object" in said


# Prompts and answers


def test_bodies_are_printed_forgotten_and_switched(pool: Pool) -> None:
    one = UUID(int=9)
    store(one, b"a prompt", b"an answer")
    said = pool.ok("request", "bodies", str(one))
    assert said.out.splitlines() == [
        "Asked: 8 bytes", "a prompt", "Answered: 9 bytes", "an answer",
    ]  # fmt: skip
    told = pool.ok("request", "bodies", str(one), "--json").json
    assert told["asked"] == {"text": "a prompt", "bytes": 8, "is_cut": False}
    assert "1 request forgotten" in pool.ok("request", "forget", str(one)).out
    assert "Nothing is kept" in pool.refused("request", "bodies", str(one))
    assert "0 requests forgotten" in pool.ok("request", "forget", "--all").out
    assert "is off, 64 KB" in pool.ok("request", "recording").out
    assert "is on, 8 KB" in pool.ok("request", "recording", "on", "--keep-kb", "8").out
    assert "1 to 1,024 KB" in pool.refused("request", "recording", "--keep-kb", "0")
