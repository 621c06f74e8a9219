"""Prove that the data plane's client reaches only what the policy allows."""

from __future__ import annotations

import asyncio
import gzip
import socket
from pathlib import Path

import aiohttp
import pytest
import yarl
from aiohttp import web

from poolsite.destinations import Destination, host_port_of
from poolsite.egress import (
    Category,
    EgressError,
    EgressRefusedError,
    OriginMismatchError,
    Timeouts,
    UpstreamClient,
    Vetter,
    category_of,
    category_of_status,
    inflate_capped,
    make_console_session,
    read_capped,
)
from tests.poolsite.egress.sinkhole import sinkhole
from tests.poolsite.egress.spellings import loopback_urls

QUICK = Timeouts(connect_s=1, tls_s=1, pool_wait_s=1, first_byte_s=2, gap_s=2)


def unchecked(url: str) -> Destination:
    """A destination that skipped the text's verdict, to try the socket's alone."""
    return Destination(yarl.URL(url), "-", 0, "-")


async def test_no_spelling_of_loopback_reaches_it(client: UpstreamClient) -> None:
    reached, refused = [], 0
    with sinkhole() as v4, sinkhole(family=socket.AF_INET6) as v6:
        urls = [
            *loopback_urls(v4.port),
            f"http://[::1]:{v6.port}/",
            f"http://localhost:{v6.port}/",
        ]
        assert len(urls) > 300
        for url in urls:
            before = v4.accepted + v6.accepted
            try:
                found = client.prepare(url)
                answer = await client.send(
                    found, headers={}, secret_origin=None, timeouts=QUICK
                )
                answer.close()
            except EgressError:
                refused += 1
            if v4.accepted + v6.accepted > before:
                reached.append(url)
    assert reached == []
    assert refused == len(urls)


async def test_the_socket_alone_refuses_what_the_text_would_have(
    client: UpstreamClient,
) -> None:
    with sinkhole() as server:
        tried = 0
        for url in loopback_urls(server.port):
            try:
                found = unchecked(url)
            except (ValueError, UnicodeError):
                continue
            if found.url.scheme != "http" or not found.url.host:
                continue
            tried += 1
            with pytest.raises(EgressError):
                await client.send(found, headers={}, secret_origin=None, timeouts=QUICK)
        assert tried > 150
        assert server.accepted == 0


class OpenVetter(Vetter):
    """A policy that lets every address pass, to show that the table can reach."""

    def check_address(self, *_: object) -> None:
        return


async def test_without_the_policy_many_spellings_do_reach_loopback() -> None:
    client = UpstreamClient(OpenVetter())
    with sinkhole() as server:
        reached = 0
        for host in (
            "127.0.0.1",
            "①②⑦.⓪.⓪.①",
            "[::ffff:127.0.0.1]",
            "0x7f000001",
            "localhost",
            "127。0。0。1",
        ):
            try:
                answer = await client.send(
                    unchecked(f"http://{host}:{server.port}/"),
                    headers={},
                    secret_origin=None,
                    timeouts=QUICK,
                )
            except EgressError:
                continue
            answer.close()
            reached += 1
    await client.aclose()
    assert reached == 6


async def test_a_name_with_only_private_addresses_is_refused_by_policy(
    client: UpstreamClient,
) -> None:
    with sinkhole() as server, pytest.raises(EgressRefusedError) as caught:
        await client.send(
            client.prepare(f"http://localhost:{server.port}/"),
            headers={},
            secret_origin=None,
            timeouts=QUICK,
        )
    assert caught.value.category is Category.REFUSED_BY_POLICY


async def test_allowed_host_and_port_is_reached_and_its_neighbour_is_not(
    client: UpstreamClient,
) -> None:
    with sinkhole() as ollama, sinkhole() as neighbour:
        url = f"http://localhost:{ollama.port}/api/tags"
        allowed = frozenset({host_port_of(url)})
        answer = await client.send(
            client.prepare(url, allowed), headers={}, secret_origin=None
        )
        assert await read_capped(answer) == b"ok"
        for other in (
            f"http://localhost:{neighbour.port}/",
            f"http://127.0.0.1:{ollama.port}/",
            f"http://127.0.0.1:{neighbour.port}/",
        ):
            with pytest.raises(EgressRefusedError):
                await client.send(
                    client.prepare(other, allowed), headers={}, secret_origin=None
                )
        assert (ollama.accepted, neighbour.accepted) == (1, 0)


async def test_an_idle_connection_is_not_lent_to_a_provider_without_permission(
    client: UpstreamClient,
) -> None:
    with sinkhole() as ollama:
        url = f"http://localhost:{ollama.port}/"
        allowed = frozenset({host_port_of(url)})
        for _ in range(2):
            answer = await client.send(
                client.prepare(url, allowed), headers={}, secret_origin=None
            )
            await read_capped(answer)
        assert ollama.accepted == 1
        with pytest.raises(EgressRefusedError):
            await client.send(client.prepare(url), headers={}, secret_origin=None)


async def test_own_pools_do_not_share_connections(client: UpstreamClient) -> None:
    with sinkhole() as server:
        url = f"http://127.0.0.1:{server.port}/"
        allowed = frozenset({host_port_of(url)})
        for pool in ("a", "b", "a"):
            found = client.prepare(url, allowed, pool=pool)
            await read_capped(await client.send(found, headers={}, secret_origin=None))
        assert server.accepted == 2


async def test_redirect_is_an_answer_and_is_not_followed(
    client: UpstreamClient,
) -> None:
    with sinkhole() as target:
        moved = (
            f"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:{target.port}/\r\n"
            "Set-Cookie: a=b\r\nContent-Length: 0\r\n\r\n"
        ).encode()
        with sinkhole(moved) as server:
            url = f"http://127.0.0.1:{server.port}/"
            allowed = frozenset({host_port_of(url), ("127.0.0.1", target.port)})
            found = client.prepare(url, allowed)
            for _ in range(2):
                answer = await client.send(found, headers={}, secret_origin=None)
                assert answer.status == 302
                await read_capped(answer)
            assert target.accepted == 0
            assert not any(b"cookie" in data.lower() for data in server.received)


async def test_secret_never_leaves_for_another_origin(client: UpstreamClient) -> None:
    with sinkhole() as server:
        url = f"http://127.0.0.1:{server.port}/"
        found = client.prepare(url, frozenset({host_port_of(url)}))
        with pytest.raises(OriginMismatchError):
            await client.send(
                found,
                headers={"Authorization": "Bearer x"},
                secret_origin="https://api.example.com:443",
            )
        assert server.accepted == 0
        answer = await client.send(
            found, headers={"Authorization": "Bearer x"}, secret_origin=found.origin
        )
        assert await read_capped(answer) == b"ok"


async def test_request_asks_for_identity_and_adds_no_content_type(
    client: UpstreamClient,
) -> None:
    with sinkhole() as server:
        url = f"http://127.0.0.1:{server.port}/v1/x?a=b"
        found = client.prepare(url, frozenset({host_port_of(url)}))
        answer = await client.send(
            found, headers=[("X-A", "1")], body=b"{}", secret_origin=None
        )
        await read_capped(answer)
        sent = b"".join(server.received)
        assert sent.startswith(b"POST /v1/x?a=b HTTP/1.1\r\n")
        assert b"\r\nAccept-Encoding: identity\r\n" in sent
        assert b"\r\nX-A: 1\r\n" in sent
        assert b"Content-Type" not in sent


async def test_large_body_arrives_whole() -> None:
    received = bytearray()

    async def swallow(request: web.Request) -> web.Response:
        received.extend(await request.read())
        assert request.content_length == len(received)
        return web.Response(text="ok")

    app = web.Application(client_max_size=2**26)
    app.router.add_post("/", swallow)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
    client = UpstreamClient(Vetter([f"127.0.0.1:{port}"]))
    body = bytes(range(256)) * 12_000
    answer = await client.send(
        client.prepare(f"http://127.0.0.1:{port}/"),
        headers={"Content-Type": "application/json"},
        body=body,
        secret_origin=None,
    )
    assert await read_capped(answer) == b"ok"
    assert bytes(received) == body
    await client.aclose()
    await runner.cleanup()


@pytest.mark.parametrize(
    ("answer", "category"),
    [
        (b"", Category.TIMEOUT),
        (b"\x16\x03 nonsense\r\n\r\n", Category.RESET),
    ],
)
async def test_bad_answers_have_a_category(
    client: UpstreamClient, answer: bytes, category: Category
) -> None:
    quick = Timeouts(first_byte_s=0.2)
    with sinkhole(answer) as server:
        url = f"http://127.0.0.1:{server.port}/"
        found = client.prepare(url, frozenset({host_port_of(url)}))
        with pytest.raises(EgressError) as caught:
            await client.send(found, headers={}, secret_origin=None, timeouts=quick)
    assert caught.value.category is category


async def test_plain_text_where_tls_was_expected_is_a_tls_error(
    client: UpstreamClient,
) -> None:
    with sinkhole(b"HTTP/1.1 400 Bad Request\r\n\r\n") as server:
        url = f"https://127.0.0.1:{server.port}/"
        found = client.prepare(url, frozenset({host_port_of(url)}))
        with pytest.raises(EgressError) as caught:
            await client.send(found, headers={}, secret_origin=None)
    assert caught.value.category is Category.TLS


async def test_closed_port_and_unknown_name_are_told_apart(
    client: UpstreamClient,
) -> None:
    with sinkhole() as server:
        port = server.port
    url = f"http://127.0.0.1:{port}/"
    with pytest.raises(EgressError) as caught:
        await client.send(
            client.prepare(url, frozenset({host_port_of(url)})),
            headers={},
            secret_origin=None,
        )
    assert caught.value.category is Category.REFUSED
    with pytest.raises(EgressError) as caught:
        await client.send(
            client.prepare("http://no-such-host.invalid/"),
            headers={},
            secret_origin=None,
            timeouts=Timeouts(first_byte_s=10),
        )
    assert caught.value.category is Category.DNS


async def test_answer_over_the_limit_is_refused(client: UpstreamClient) -> None:
    big = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000
    with sinkhole(big) as server:
        url = f"http://127.0.0.1:{server.port}/"
        found = client.prepare(url, frozenset({host_port_of(url)}))
        answer = await client.send(found, headers={}, secret_origin=None)
        with pytest.raises(EgressError) as caught:
            await read_capped(answer, 50_000)
    assert caught.value.category is Category.TOO_LARGE


async def test_cancelled_call_stays_cancelled(client: UpstreamClient) -> None:
    with sinkhole(b"") as server:
        url = f"http://127.0.0.1:{server.port}/"
        found = client.prepare(url, frozenset({host_port_of(url)}))
        task = asyncio.create_task(client.send(found, headers={}, secret_origin=None))
        assert await asyncio.to_thread(server.asked.wait, 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_closed_client_opens_nothing() -> None:
    client = UpstreamClient(Vetter())
    await client.aclose()
    with pytest.raises(RuntimeError, match="closed"):
        await client.send(
            client.prepare("http://example.com/"), headers={}, secret_origin=None
        )


async def test_console_session_speaks_over_a_unix_socket(tmp_path: Path) -> None:
    async def echo(request: web.Request) -> web.Response:
        names = sorted(name.lower() for name in request.headers)
        return web.Response(text=f"{request.host} {names}")

    app = web.Application()
    app.router.add_get("/", echo)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.UnixSite(runner, str(tmp_path / "c.sock")).start()
    async with (
        make_console_session(tmp_path / "c.sock") as session,
        session.get("http://pool.example/", allow_redirects=False) as answer,
    ):
        assert await answer.text() == "pool.example ['host']"
    await runner.cleanup()


def test_bomb_is_cut_at_the_limit_and_damage_is_named() -> None:
    bomb = gzip.compress(b"0" * 50_000_000)
    with pytest.raises(EgressError) as caught:
        inflate_capped(bomb, "gzip", 1_000_000)
    assert caught.value.category is Category.TOO_LARGE
    assert inflate_capped(gzip.compress(b"abc"), "GZIP", 10) == b"abc"
    assert inflate_capped(b"abc", "identity", 10) == b"abc"
    for data, encoding in (
        (b"abc", "br"),
        (b"abc", "gzip"),
        (gzip.compress(b"abc" * 100)[:-9], "gzip"),
    ):
        with pytest.raises(EgressError) as caught:
            inflate_capped(data, encoding, 1_000)
        assert caught.value.category is Category.RESET


def test_categories_of_statuses_and_unknown_errors() -> None:
    assert category_of_status(401) is Category.AUTH
    assert category_of_status(500) is None
    assert category_of(aiohttp.ServerDisconnectedError()) is Category.RESET
    assert category_of(TimeoutError()) is Category.TIMEOUT
