"""Prove that the data plane's client reads every framing and refuses bad ones."""

from __future__ import annotations

import asyncio

import pytest

from poolsite.destinations import host_port_of
from poolsite.egress import Category, EgressError, UpstreamClient, read_capped
from tests.poolsite.egress.sinkhole import sinkhole


async def test_a_header_cannot_smuggle_a_line(client: UpstreamClient) -> None:
    with sinkhole() as server:
        url = f"http://127.0.0.1:{server.port}/"
        found = client.prepare(url, frozenset({host_port_of(url)}))
        for bad in ("a\r\nX-B: 1", "a\nb", "a\rb", "a\0b"):
            with pytest.raises(ValueError, match="header"):
                await client.send(found, headers={"X-A": bad}, secret_origin=None)
        assert server.accepted == 0


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", b"until the end"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nX-T: 1\r\n\r\n",
            b"abcde",
        ),
        (
            b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n"
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
            b"ok",
        ),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", b"ok"),
    ],
)
async def test_every_framing_is_read(
    client: UpstreamClient, answer: bytes, body: bytes
) -> None:
    with sinkhole(answer) as server:
        url = f"http://127.0.0.1:{server.port}/"
        found = client.prepare(url, frozenset({host_port_of(url)}))
        got = await client.send(found, headers={}, secret_origin=None)
        server.hang_up()
        assert await read_capped(got) == body


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\ncut",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
async def test_an_answer_cut_short_is_an_error(
    client: UpstreamClient, answer: bytes
) -> None:
    with sinkhole(answer) as server:
        url = f"http://127.0.0.1:{server.port}/"
        found = client.prepare(url, frozenset({host_port_of(url)}))

        async def whole() -> bytes:
            got = await client.send(found, headers={}, secret_origin=None)
            server.hang_up()
            return await read_capped(got)

        with pytest.raises(EgressError) as caught:
            await whole()
    assert caught.value.category is Category.RESET


async def test_an_answer_nobody_asked_for_reaches_nobody(
    client: UpstreamClient,
) -> None:
    twice = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" * 2
    with sinkhole(twice) as server:
        url = f"http://127.0.0.1:{server.port}/"
        found = client.prepare(url, frozenset({host_port_of(url)}))
        for _ in range(3):
            got = await client.send(found, headers={}, secret_origin=None)
            assert await read_capped(got) == b"ok"
        assert server.accepted == 3  # no such connection is used again


async def test_a_head_without_end_is_refused(client: UpstreamClient) -> None:
    endless = b"HTTP/1.1 200 OK\r\n" + b"X-A: " + b"a" * 200_000
    with sinkhole(endless) as server:
        url = f"http://127.0.0.1:{server.port}/"
        found = client.prepare(url, frozenset({host_port_of(url)}))
        with pytest.raises(EgressError) as caught:
            await client.send(found, headers={}, secret_origin=None)
    assert caught.value.category is Category.RESET


async def test_a_slow_reader_holds_the_upstream_back(client: UpstreamClient) -> None:
    size = 40_000_000
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode()
    with sinkhole(head + b"x" * size) as server:
        url = f"http://127.0.0.1:{server.port}/"
        found = client.prepare(url, frozenset({host_port_of(url)}))
        got = await client.send(found, headers={}, secret_origin=None)
        await asyncio.sleep(0.2)
        first = await got.content.readany()
        assert 0 < len(first) < 2_000_000
        rest = len(await read_capped(got))
        assert len(first) + rest == size
