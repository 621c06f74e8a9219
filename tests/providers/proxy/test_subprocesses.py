"""Programs in the place of upstreams: what they get and what is made of it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from providers.proxy.plan import PROGRAMS_OFF
from tests.providers.proxy.pool import STREAM, Pool, chat
from tests.providers.proxy.standin import (
    add,
    claude,
    codex,
    gone,
    seen,
    telling,
    write_program,
)
from tests.upstream.server import FaultUpstream


@pytest.fixture
def pool(program_pool: Pool) -> Pool:
    """Take the pool that may run programs."""
    return program_pool


async def test_a_program_answers_and_its_own_cost_is_billed(
    pool: Pool, tmp_path: Path
) -> None:
    add(pool, claude(tmp_path))
    answer = await pool.call()
    assert answer.status == 200
    message = answer.json["choices"][0]["message"]
    assert message["content"] == "The harbour is calm."
    (attempt,) = pool.attempts
    assert attempt.cost_nano == 12_300_000
    assert attempt.usage.cache_read_tokens == 4000
    assert answer.json["usage"]["prompt_tokens"] == 4312


async def test_a_program_that_states_no_cost_is_billed_by_price(
    pool: Pool, tmp_path: Path
) -> None:
    add(pool, codex(tmp_path), "codex")
    assert (await pool.call()).status == 200
    (attempt,) = pool.attempts
    # 900 in, cached ones at the input's price without one of their own, 40 out.
    assert attempt.cost_nano == 900 * 1000 + 40 * 2000


async def test_a_streaming_client_gets_the_whole_answer_in_pieces(
    pool: Pool, tmp_path: Path
) -> None:
    add(pool, claude(tmp_path))
    answer = await pool.call(STREAM)
    assert answer.status == 200
    assert answer.events[-1] == "[DONE]"
    texts = [
        choice["delta"].get("content") or ""
        for event in answer.events[:-1]
        for choice in event["choices"]
    ]
    assert "".join(texts) == "The harbour is calm."
    assert pool.attempts[0].cost_nano == 12_300_000


async def test_nothing_of_our_environment_reaches_a_program(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("POOL_PEPPERS", "ANTHROPIC_API_KEY", "GH_TOKEN", "DATABASE_URL"):
        monkeypatch.setenv(name, "secret-of-ours")
    add(pool, telling(tmp_path, "dict(os.environ)"))
    environment = seen(await pool.call())
    # What the interpreter of the stand-in sets for itself does not count.
    assert set(environment) - {"LC_CTYPE"} == {"PATH", "HOME", "LANG"}
    assert environment["HOME"] != os.environ.get("HOME")
    assert "secret-of-ours" not in json.dumps(environment)


async def test_it_works_and_lives_in_empty_directories_of_its_own(
    pool: Pool, tmp_path: Path
) -> None:
    told = "[os.getcwd(), os.listdir(), os.environ['HOME'], os.listdir(os.environ['HOME'])]"
    add(pool, telling(tmp_path, told))
    cwd, files, home, at_home = seen(await pool.call())
    assert cwd != home
    assert (files, at_home) == ([], [])
    await gone(Path(cwd))


async def test_a_workspace_and_a_home_are_the_ones_the_provider_names(
    pool: Pool, tmp_path: Path
) -> None:
    places = {name: str(tmp_path / name) for name in ("workspace", "home")}
    for place in places.values():
        os.mkdir(place)
    add(pool, telling(tmp_path, "[os.getcwd(), os.environ['HOME']]"), options=places)
    assert seen(await pool.call()) == list(places.values())
    assert os.listdir(tmp_path / "workspace") == []


async def test_the_command_is_no_shells(pool: Pool, tmp_path: Path) -> None:
    add(pool, telling(tmp_path, "sys.argv[1:]"), models=("$(touch x)",))
    body = chat("$(touch x)")
    body["messages"].insert(0, {"role": "system", "content": "; rm -rf ~ `id`"})
    arguments = seen(await pool.call(body))
    assert arguments[-2:] == ["--system-prompt=; rm -rf ~ `id`", "--model=$(touch x)"]


async def test_the_prompt_arrives_whole_however_long_it_is(
    pool: Pool, tmp_path: Path
) -> None:
    add(pool, telling(tmp_path, "len(prompt)"))
    body = chat()
    body["messages"][0]["content"] = "a" * 3_000_000
    assert seen(await pool.call(body)) == 3_000_000


async def test_a_program_that_reads_no_prompt_may_answer(
    pool: Pool, tmp_path: Path
) -> None:
    code = """print('{"type":"result","result":"1"}')"""
    add(pool, write_program(tmp_path, "claude", code))
    body = chat()
    body["messages"][0]["content"] = "a" * 3_000_000
    assert seen(await pool.call(body)) == 1


async def test_programs_are_off_unless_switched_on(pool: Pool, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    add(pool, claude(tmp_path, before=f"open({str(mark)!r}, 'w')"))
    pool.set(cli_providers=False)
    answer = await pool.call()
    assert answer.status == 503
    (skipped,) = pool.request.request.skipped
    assert PROGRAMS_OFF in skipped
    assert not mark.exists()
    assert not pool.attempts


async def test_an_address_is_never_run_as_a_program(
    pool: Pool, tmp_path: Path, upstream: FaultUpstream
) -> None:
    mark = tmp_path / "ran"
    executable = claude(tmp_path, before=f"open({str(mark)!r}, 'w')")
    pool.add_provider(
        upstream.base_url,
        other_formats={"claude-cli": ""},
        options={"executable": executable},
    )
    assert (await pool.call()).status == 200
    pool.set_provider(1, format="responses", other_formats={"claude-cli": ""})
    await pool.call()
    assert not mark.exists()


async def test_a_bad_status_is_a_failure_and_shows_no_words_of_it(
    pool: Pool, tmp_path: Path
) -> None:
    code = "import sys\nsys.stderr.write('secret path /srv')\nsys.exit(3)"
    add(pool, write_program(tmp_path, "claude", code))
    answer = await pool.call()
    assert answer.status == 502
    assert b"/srv" not in answer.body


async def test_one_that_is_not_logged_in_makes_room_for_another(
    pool: Pool, tmp_path: Path
) -> None:
    out = claude(tmp_path / "a", is_error=True, result="Please run /login")
    add(pool, out, priority=90)
    add(pool, codex(tmp_path / "b"), "codex", priority=10)
    assert (await pool.call()).status == 200
    assert pool.decisions[0] == "next_provider"
    assert pool.attempts[0].status == 401


@pytest.mark.parametrize(
    "options",
    [
        {"executable": "/nowhere/claude"},
        {"executable": "bin/claude"},
        {"executable": "claude-of-nobody"},
        {"workspace": "/nowhere"},
        {"workspace": "relative"},
        {"home": "/nowhere"},
    ],
)
async def test_what_cannot_be_started_was_not_sent_and_costs_nothing(
    pool: Pool, tmp_path: Path, options: dict[str, str]
) -> None:
    add(pool, claude(tmp_path), options=options)
    answer = await pool.call()
    assert answer.status == 502
    (attempt,) = pool.attempts
    assert attempt.outcome == "connect_error"
    assert not attempt.cost_nano


async def test_a_file_that_is_no_program_is_a_failure(
    pool: Pool, tmp_path: Path
) -> None:
    path = tmp_path / "claude"
    path.write_bytes(b"\0\0\0\0")
    path.chmod(0o755)
    add(pool, str(path))
    answer = await pool.call()
    assert answer.status == 502
    # One of the two loops only learns of it from the status it ends with.
    assert pool.attempts[0].outcome in ("connect_error", "upstream_error")


async def test_a_bare_name_is_found_on_path(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    claude(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    add(pool, "")
    assert (await pool.call()).status == 200
