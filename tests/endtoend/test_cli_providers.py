"""Programs as providers through the real door: three clients, tools, bills, leaving."""

from __future__ import annotations

import json
import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.endtoend.asking import has_request
from tests.providers.proxy.standin import (
    CLAUDE_RESULT,
    CODEX_LINES,
    bury,
    family,
    is_alive,
    wait_for_family,
    wait_until,
    write_program,
)
from tests.rig.ledger import AttemptRow
from tests.rig.plain import Reply, call
from tests.rig.stage import Scene, open_stage
from tests.rig.thread import UpstreamThread

pytestmark = pytest.mark.process

Town = Scene[UpstreamThread]
TOOL = {"city": {"type": "string"}}
CALLED = (
    'I look. {"tool_calls":[{"id":"call_1","type":"function","function":'
    '{"name":"weather","arguments":"{\\"city\\":\\"Kiel {1}\\"}"}}]}'
)
CLAUDE = f"""
import json, os, sys
prompt = sys.stdin.read()
result = {CLAUDE_RESULT!r}
if any("## weather" in each for each in sys.argv):
    result["result"] = {CALLED!r}
if "environment" in prompt:
    result["result"] = json.dumps(sorted(os.environ))
if "fail" in prompt:
    sys.stderr.write("boom")
    sys.exit(3)
print(json.dumps(result))
"""
CODEX = f"""
import json, sys
sys.stdin.read()
for line in {list(CODEX_LINES)!r}:
    print(json.dumps(line))
"""


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("programs")


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory, places: Path) -> Iterator[Town]:
    directory = tmp_path_factory.mktemp("cli")
    env = {
        "POOL_CLI_PROVIDERS": "true",
        "ANTHROPIC_API_KEY": "secret-of-ours",
        "SOME_TOKEN": "secret-of-ours",
    }
    programs = {
        "my-claude": ("claude", CLAUDE),
        "my-codex": ("codex", CODEX),
        "my-idler": ("claude", family(places)),
    }
    with open_stage(directory, arguments=["--no-worker"], env=env) as scene:
        for slug, (program, code) in programs.items():
            path = write_program(places / slug, program, code)
            scene.product.pool(
                "provider", "add", slug, "--format", f"{program}-cli",
                "--option", f"executable={path}", "--model", f"{slug}-model",
            )  # fmt: skip
        scene.price("*", input_usd="1", output_usd="2")
        scene.key("client")
        scene.open()
        yield scene


def chat(model: str, text: str, stream: bool) -> tuple[str, dict[str, Any]]:
    """Word a request as chat completions."""
    messages = [{"role": "user", "content": text}]
    return "/v1/chat/completions", {
        "model": model, "messages": messages, "stream": stream
    }  # fmt: skip


def anthropic(model: str, text: str, stream: bool) -> tuple[str, dict[str, Any]]:
    """Word a request as messages."""
    return "/v1/messages", {**chat(model, text, stream)[1], "max_tokens": 100}


def responses(model: str, text: str, stream: bool) -> tuple[str, dict[str, Any]]:
    """Word a request as responses."""
    return "/v1/responses", {"model": model, "input": text, "stream": stream}


CLIENTS = {"chat": chat, "anthropic": anthropic, "responses": responses}
ENDINGS = {
    "chat": b"data: [DONE]",
    "anthropic": b"event: message_stop",
    "responses": b"event: response.completed",
}


def with_tool(dialect: str, body: dict[str, Any]) -> dict[str, Any]:
    """Offer a tool in a dialect's words."""
    schema = {"type": "object", "properties": TOOL}
    plain = {"name": "weather", "description": "Tell the weather."}
    worded = {
        "chat": {"type": "function", "function": {**plain, "parameters": schema}},
        "anthropic": {**plain, "input_schema": schema},
        "responses": {"type": "function", **plain, "parameters": schema},
    }
    return {**body, "tools": [worded[dialect]]}


def ask(town: Town, path: str, body: dict[str, Any]) -> Reply:
    """Ask through the one port."""
    return call(town.product.root + path, town.keys["client"], body)


def rows(town: Town, request_id: str) -> list[dict[str, Any]]:
    """Wait for a request in the ledger and return its attempts."""
    wait_until(lambda: has_request(town, request_id), 5)
    (key,) = [each.id for each in town.product.ledger().requests if (
        each.id == request_id
    )]  # fmt: skip
    address = f"file:{town.product.database}?mode=ro"
    with closing(sqlite3.connect(address, uri=True, timeout=10)) as connection:
        connection.row_factory = sqlite3.Row
        found = connection.execute(
            "select * from usage_attempt where request_id = ?", [key.replace("-", "")]
        )
        return [dict(row) for row in found]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("dialect", CLIENTS)
@pytest.mark.parametrize("slug", ["my-claude", "my-codex"])
def test_every_client_gets_an_answer_and_the_bill_is_right(
    town: Town, slug: str, dialect: str, stream: bool
) -> None:
    reply = ask(town, *CLIENTS[dialect](f"{slug}-model", "How is it?", stream))
    assert reply.status == 200, reply.body
    assert b"alm." in reply.body
    assert (ENDINGS[dialect] in reply.body) is stream
    (attempt,) = rows(town, reply.request_id)
    if slug == "my-claude":
        assert attempt["cost_nano_usd"] == 12_300_000
        assert attempt["input_tokens"] == 12
        assert attempt["cache_read_tokens"] == 4000
        assert attempt["output_tokens"] == 25
    else:
        assert attempt["cost_nano_usd"] == 900 * 1000 + 40 * 2000
        assert (attempt["input_tokens"], attempt["cache_read_tokens"]) == (300, 600)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("dialect", CLIENTS)
def test_tool_calls_in_the_text_are_calls_for_every_client(
    town: Town, dialect: str, stream: bool
) -> None:
    path, body = CLIENTS[dialect]("my-claude-model", "How is it?", stream)
    reply = ask(town, path, with_tool(dialect, body))
    assert reply.status == 200, reply.body
    assert b"tool_calls\\" not in reply.body
    text = reply.body.decode()
    assert "weather" in text
    assert "Kiel {1}" in text
    if not stream:
        value = reply.json()
        made = {
            "chat": lambda: value["choices"][0]["message"]["tool_calls"][0]["function"][
                "arguments"
            ],
            "anthropic": lambda: json.dumps(value["content"][-1]["input"]),
            "responses": lambda: value["output"][-1]["arguments"],
        }[dialect]()
        assert json.loads(made) == {"city": "Kiel {1}"}


def test_nothing_of_the_pools_environment_reaches_a_program(town: Town) -> None:
    reply = ask(town, *chat("my-claude-model", "your environment", False))
    names = json.loads(reply.json()["choices"][0]["message"]["content"])
    assert set(names) - {"LC_CTYPE"} == {"HOME", "LANG", "PATH"}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_program_that_fails_is_an_error_without_its_words(
    town: Town, stream: bool
) -> None:
    reply = ask(town, *chat("my-claude-model", "please fail", stream))
    assert reply.status == 502
    assert b"boom" not in reply.body
    assert reply.json()["error"]["message"]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_client_that_leaves_ends_the_program_and_is_billed_once(
    town: Town, places: Path, stream: bool
) -> None:
    for name in ("child", "stray", "parent"):
        (places / name).unlink(missing_ok=True)
    before = idled(town)
    path, body = chat("my-idler-model", "How is it?", stream)
    data = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
        f"authorization: Bearer {town.keys['client']}\r\n"
        f"content-length: {len(data)}\r\n\r\n"
    ).encode()
    with socket.create_connection(("127.0.0.1", town.product.port)) as link:
        link.sendall(head + data)
        pids = wait_for_family(places)
        left = time.monotonic()
    try:
        wait_until(lambda: not any(map(is_alive, pids)), 5)
        assert time.monotonic() - left < 1.0
    finally:
        bury(pids)

    wait_until(lambda: len(idled(town)) > len(before), 5)
    time.sleep(0.5)
    (attempt,) = [each for each in idled(town) if each not in before]
    ledger = town.product.ledger()
    requests = [each for each in ledger.requests if each.id == attempt.request_id]
    assert [each.attempts for each in requests] == [1]


def idled(town: Town) -> list[AttemptRow]:
    """Return the attempts at the program that never answers."""
    attempts = town.product.ledger().attempts
    return [each for each in attempts if each.model == "my-idler-model"]
