"""The smaller parts of a data process, each by itself."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from poolsite.clock import ManualClock, SystemClock
from providers.formats import registry
from providers.proxy import metrics as metrics_module
from providers.proxy.exchange import Outcome
from providers.proxy.metrics import DataMetrics, Gauges
from providers.proxy.paths import RouteTable
from providers.proxy.peers import Peers
from providers.proxy.spend import SpendFollower, wait_for_the_dead
from providers.proxy.token_source import KeeperTokens
from providers.snapshot.types import CredentialRecord
from usage.journal.directory import create, try_adopt
from usage.limits.contract import Budget, Scope
from usage.limits.memory import MemoryLimits

# Peers


def _scope(peer: str) -> dict[str, Any]:
    return {"client": (peer, 1), "scheme": "http"}


@pytest.mark.parametrize(
    ("trusted", "peer", "forwarded", "client"),
    [
        ((), "10.0.0.1", b"203.0.113.9", "10.0.0.1"),
        (("10.0.0.0/8",), "10.0.0.1", b"203.0.113.9", "203.0.113.9"),
        (("10.0.0.0/8",), "10.0.0.1", b"6.6.6.6, 203.0.113.9", "203.0.113.9"),
        (("10.0.0.0/8",), "10.0.0.1", b"203.0.113.9, 10.0.0.2", "203.0.113.9"),
        (("10.0.0.0/8",), "10.0.0.1", b"", "10.0.0.1"),
        (("10.0.0.0/8",), "10.0.0.1", b"nonsense", "10.0.0.1"),
        (("10.0.0.0/8",), "10.0.0.1", b"203.0.113.9:4711", "203.0.113.9"),
        (("10.0.0.0/8",), "10.0.0.1", b"[2001:db8::1]:4711", "2001:db8::1"),
        (("10.0.0.0/8",), "192.0.2.1", b"203.0.113.9", "192.0.2.1"),
        (("10.0.0.0/8",), "::ffff:10.0.0.1", b"203.0.113.9", "203.0.113.9"),
    ],
)
def test_only_trusted_proxies_are_seen_through(
    trusted: tuple[str, ...], peer: str, forwarded: bytes, client: str
) -> None:
    peers = Peers(trusted)
    fields = {b"x-forwarded-for": forwarded, b"x-forwarded-proto": b"https"}
    assert peers.client_of(_scope(peer), fields) == client
    is_trusted = client != peer or (bool(trusted) and peer.endswith("10.0.0.1"))
    expected = "https" if is_trusted else "http"
    assert peers.scheme_of(_scope(peer), fields) == expected


def test_a_proxy_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(ValueError, match=r"10\.0\.0"):
        Peers(("10.0.0",))


# Paths


def test_console_paths_are_not_the_proxys() -> None:
    routes = RouteTable(registry.formats().values())
    for path in (
        "/",
        "/overview/",
        "/api/admin/v1/providers",
        "/models/",
        "/models/7/",
        "/x" * 2000,
    ):
        assert routes.find("GET", path) is None
        assert not routes.is_proxy_path(path)
    assert routes.is_proxy_path("/v1/unheard-of")
    assert routes.is_proxy_path("//v1//unheard-of")


def test_a_model_in_a_path_may_have_slashes() -> None:
    routes = RouteTable(registry.formats().values())
    match = routes.find("GET", "/v1/models/openai/gpt-4o")
    assert match is not None
    assert match.path_model == "openai/gpt-4o"


# Metrics


def test_labels_stay_bounded_and_escaped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics_module, "_MOST_SERIES", 3)
    metrics = DataMetrics(tmp_path, ManualClock())
    for number in range(10):
        metrics.attempt_finished(f'p"{number}\n', "ok", seconds=0.1)
    text = metrics.render().decode()
    assert 'provider="p\\"0\\n"' in text
    assert 'pool_attempts_total{overflow="true"} 7' in text


def test_unpriced_models_share_a_label_beyond_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics_module, "_MOST_UNPRICED", 2)
    metrics = DataMetrics(tmp_path, ManualClock())
    for name in ("a", "b", "c", "d", "a"):
        metrics.request_unpriced("acme", name)
    lines = metrics.render().decode().splitlines()
    name = "pool_unpriced_requests_total"
    assert f'{name}{{model="a",provider="acme"}} 2' in lines
    assert f'{name}{{model="other",provider="acme"}} 2' in lines


def test_what_a_dead_worker_counted_is_kept_and_its_state_is_not(
    tmp_path: Path,
) -> None:
    clock = ManualClock()
    dead = DataMetrics(tmp_path, clock)
    dead.request_finished(
        Outcome(200, "ok"), dialect="openai", is_stream=False, seconds=0.2
    )
    gauges = Gauges({"pool_in_flight": 5.0, "pool_snapshot_rejected_total": 2.0})
    dead.watch(lambda: gauges)
    dead.flush()
    (path,) = tmp_path.glob("data-*.json")
    path.rename(tmp_path / "data-999999999-1.json")
    alive = DataMetrics(tmp_path, clock)
    alive.request_finished(
        Outcome(200, "ok"), dialect="openai", is_stream=False, seconds=0.2
    )
    lines = alive.render().decode().splitlines()
    labels = 'dialect="openai",mode="whole",outcome="ok",status="2xx"'
    assert f"pool_requests_total{{{labels}}} 2" in lines
    assert "pool_snapshot_rejected_total 2" in lines
    assert "pool_workers 1" in lines
    assert not any(line.startswith("pool_in_flight") for line in lines)
    metrics_module.clear(tmp_path)
    assert list(tmp_path.glob("data-*.json")) == []


def test_a_torn_file_of_another_worker_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "data-1-1.json").write_bytes(b"{")
    metrics = DataMetrics(tmp_path, ManualClock())
    metrics.stranger_refused("wrong")
    assert b'pool_strangers_refused_total{reason="wrong"} 1' in metrics.render()


# Spending


async def test_the_ledgers_sums_reach_the_limits(tmp_path: Path) -> None:
    clock = ManualClock()
    limits = MemoryLimits(clock, origin="me")
    follower = SpendFollower(tmp_path / "spend.json", limits)
    assert await follower.poll() is False
    windows = [[7, "2026-01-01", 900, {"me": 100}]]
    content = msgspec.json.encode({"windows": windows, "at_s": 1.0})
    (tmp_path / "spend.json").write_bytes(content)
    assert await follower.poll() is True
    assert await follower.poll() is False
    budget = Budget(budget_id=7, window_id="2026-01-01", limit_nano=1000)
    (status,) = await limits.status(Scope(key="key:1", budgets=(budget,)))
    assert status.remaining == 100


async def test_a_torn_spend_file_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "spend.json"
    path.write_bytes(b'{"windows": [[1,')
    follower = SpendFollower(path, MemoryLimits(ManualClock(), origin="me"))
    assert await follower.poll() is False


async def test_a_start_waits_until_the_dead_are_shipped(tmp_path: Path) -> None:
    root, news = tmp_path / "journal", tmp_path / "spend.json"
    held = create(root, SystemClock())
    held.release()
    waiting = asyncio.ensure_future(
        wait_for_the_dead(root, news=news, is_only_one=True, wait_s=5)
    )
    await asyncio.sleep(0.1)
    adopted = try_adopt(held.path)
    assert adopted is not None
    await asyncio.sleep(0.1)
    assert not waiting.done()  # the keeper has it and is not through yet
    adopted.delete()
    news.write_bytes(b"{}")
    assert await asyncio.wait_for(waiting, 2) is True


async def test_a_start_does_not_wait_for_its_living_neighbours(tmp_path: Path) -> None:
    held = create(tmp_path / "journal", SystemClock())
    news = tmp_path / "spend.json"
    wait = wait_for_the_dead(tmp_path / "journal", news=news, is_only_one=False)
    assert await asyncio.wait_for(wait, 1) is True
    held.release()


async def test_no_keeper_does_not_mean_no_service(tmp_path: Path) -> None:
    create(tmp_path / "journal", SystemClock()).release()
    news = tmp_path / "spend.json"
    wait = wait_for_the_dead(
        tmp_path / "journal", news=news, is_only_one=False, wait_s=0.1
    )
    assert await wait is False


# Tokens


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "keeper.sock"
    yield path
    if path.exists():
        os.unlink(path)


def _credential(version: int) -> CredentialRecord:
    return CredentialRecord(
        id=1, kind="account", label="", mask="", token="t", context="c",
        origin="https://a:443", token_version=version,
    )  # fmt: skip


async def test_many_callers_ask_the_keeper_once(keeper: Path) -> None:
    asked: list[dict[str, Any]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(json.loads(await reader.readline()))
        await asyncio.sleep(0.05)
        answer = {"credential": _credential(4), "error": ""}
        writer.write(msgspec.json.encode(answer) + b"\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(serve, str(keeper))
    tokens = KeeperTokens(keeper)
    waiters = [
        asyncio.ensure_future(tokens.refresh(9, seen_version=3)) for _ in range(20)
    ]
    await asyncio.sleep(0)
    waiters[0].cancel()
    found = await asyncio.gather(*waiters[1:])
    assert {each.token_version for each in found if each} == {4}
    assert len(asked) == 1
    assert (asked[0]["account_id"], asked[0]["seen_version"]) == (9, 3)
    server.close()
    await server.wait_closed()
    await tokens.aclose()


async def test_a_keeper_that_is_not_there_is_no_token(keeper: Path) -> None:
    tokens = KeeperTokens(keeper)
    assert await tokens.refresh(1, seen_version=1) is None


async def test_a_silent_keeper_is_given_up_on(keeper: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(keeper))
        listener.listen()
        tokens = KeeperTokens(keeper, wait_s=0.1)
        assert await tokens.refresh(1, seen_version=1) is None
        await tokens.aclose()


async def test_an_answer_that_makes_no_sense_is_no_token(keeper: Path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"garbage\n")
        writer.close()

    server = await asyncio.start_unix_server(serve, str(keeper))
    tokens = KeeperTokens(keeper)
    assert await tokens.refresh(1, seen_version=1) is None
    server.close()
    await server.wait_closed()
