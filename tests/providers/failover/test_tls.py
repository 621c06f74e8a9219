"""A host that cannot prove who it is learns nothing, and another one serves."""

from __future__ import annotations

import asyncio
import ssl

import pytest

from providers.snapshot.types import Timeouts
from tests.providers.failover.certificates import Authority, Papers, server_context
from tests.providers.failover.hosts import impostor
from tests.providers.failover.jumping import LoopClock, run_jumping
from tests.providers.proxy import pool as pools
from tests.providers.proxy.pool import Pool, chat
from tests.upstream.server import FaultUpstream

SECRET = "sk-first-secret-0123456789"
HANDSHAKE_S = 5.0


class Seen:
    """What a call through an untrusted host came to."""

    def __init__(self) -> None:
        self.served_by = ""
        self.kinds: list[str] = []
        self.seconds = 0.0
        self.heard = b""


@pytest.fixture
def authority(monkeypatch: pytest.MonkeyPatch) -> Authority:
    """Let the pools of a test trust one authority."""
    made = Authority()
    monkeypatch.setattr(pools, "TLS", made.trusted())
    return made


async def _call(context: ssl.SSLContext | None, *, stream: bool) -> Seen:
    seen = Seen()
    clock = LoopClock(asyncio.get_running_loop())
    async with (
        FaultUpstream() as healthy,
        impostor(context) as false,
        Pool(clock=clock) as pool,
    ):
        url = f"https://127.0.0.1:{false.port}/v1"
        patience = Timeouts(first_byte_s=10.0)
        pool.add_provider(url, secrets=(SECRET,), priority=90, timeouts=patience)
        pool.add_provider(healthy.base_url)
        began = clock.monotonic()
        answer = await pool.call(chat(stream=stream))
        seen.seconds = clock.monotonic() - began
        seen.served_by = answer.header("x-pool-provider") or ""
        seen.kinds = [attempt.error_class for attempt in pool.attempts]
        seen.heard = false.heard
    return seen


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("host", ["self-signed", "expired", "wrong name"])
def test_t03_untrusted_host_hears_nothing(
    authority: Authority, host: str, stream: bool
) -> None:
    papers = {
        "self-signed": Authority().issue(Papers()),
        "expired": authority.issue(Papers(days=-1)),
        "wrong name": authority.issue(Papers(address="127.0.0.2")),
    }
    seen = run_jumping(_call(server_context(papers[host]), stream=stream))
    assert seen.heard == b""
    assert (seen.served_by, seen.kinds) == ("p2", ["connect", ""])
    assert seen.seconds < 1


@pytest.mark.parametrize("stream", [False, True])
def test_t03_handshake_that_stalls_is_given_up(stream: bool) -> None:
    seen = run_jumping(_call(None, stream=stream))
    assert (seen.served_by, seen.kinds) == ("p2", ["connect", ""])
    assert HANDSHAKE_S <= seen.seconds <= HANDSHAKE_S * 1.1
    # The greeting of the handshake is all there is.
    assert SECRET.encode() not in seen.heard
    assert b"Hello" not in seen.heard


@pytest.mark.parametrize("stream", [False, True])
def test_handshake_that_breaks_off_costs_nothing(stream: bool) -> None:
    async def call() -> tuple[list[str], list[int | None]]:
        server = await asyncio.start_server(_break_off, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        clock = LoopClock(asyncio.get_running_loop())
        async with server, Pool(clock=clock) as pool:
            pool.add_provider(f"https://127.0.0.1:{port}/v1")
            await pool.call(chat(stream=stream))
            kinds = [each.error_class for each in pool.attempts]
            return kinds, [each.cost_nano for each in pool.attempts]

    assert run_jumping(call()) == (["connect", "connect"], [0, 0])


async def _break_off(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    await reader.read(1)
    writer.transport.abort()


def test_trusted_host_is_told(authority: Authority) -> None:
    papers = authority.issue(Papers())
    seen = run_jumping(_call(server_context(papers), stream=False))
    assert SECRET.encode() in seen.heard
