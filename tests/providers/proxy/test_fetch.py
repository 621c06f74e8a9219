"""What a client names by URL, for upstreams that take files by value only."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from tests.providers.proxy import strange
from tests.providers.proxy.pool import CHAT, Pool
from tests.upstream.server import FaultUpstream

PICTURE = b"\x89PNG\r\n\x1a\n" + b"picture" * 10


@dataclass
class Shelf:
    """A server of files with what it was asked."""

    base_url: str = ""
    heads: list[str] = field(default_factory=list)

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Answer one request and close."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        self.heads.append(head)
        path = head.split(" ")[1].partition("?")[0]
        kind = "image/png; charset=binary"
        status, more, data = "200 OK", "", PICTURE
        if path == "/moved.png":
            status, more, data = "302 Found", "location: http://127.0.0.1/x\r\n", b""
        elif path == "/missing.png":
            status, data = "404 Not Found", b"no"
        elif path == "/large.png":
            data = b"x" * 200_000
        elif path == "/slow.png":
            await reader.read()
        length = f"content-length: {len(data)}\r\n"
        if path == "/large.png" and "?counted" in head:
            length = "connection: close\r\n"
        text = f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\n{more}{length}\r\n"
        if not writer.is_closing():
            writer.write(text.encode() + data)
        writer.close()


@pytest.fixture
async def shelf() -> AsyncIterator[Shelf]:
    made = Shelf()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield made


@pytest.fixture
async def pool(upstream: FaultUpstream) -> AsyncIterator[Pool]:
    """A pool whose provider wants files by value; the client may reach loopback."""
    with strange.registered():
        async with Pool(upstream.base_url) as made:
            made.set_provider(1, format="strange")
            made.set(
                media_plain_http=True, media_limit_bytes=100_000, media_timeout_s=0.5
            )
            yield made


async def test_t36_a_file_by_url_reaches_the_upstream_by_value(
    pool: Pool, shelf: Shelf
) -> None:
    url = f"{shelf.base_url}/a.png?signature=private"
    strange.AROUND.urls = [url, url]
    answer = await pool.call(CHAT)
    assert answer.status == 200
    data = b64encode(PICTURE).decode()
    assert strange.AROUND.fetched == {url: f"image/png;{data}"}
    (head,) = shelf.heads
    assert pool.key not in head
    assert "authorization" not in head.lower()
    assert "sk-test" not in head


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/moved.png", "answered 302"),
        ("/missing.png", "answered 404"),
        ("/large.png", "too large"),
        ("/large.png?counted", "could not be read"),
        ("/slow.png", "did not arrive in time"),
    ],
)
async def test_t36_a_file_that_cannot_be_had_is_the_requests_fault(
    pool: Pool, shelf: Shelf, upstream: FaultUpstream, path: str, words: str
) -> None:
    strange.AROUND.urls = [f"{shelf.base_url}{path}"]
    answer = await pool.call(CHAT)
    assert answer.status == 400, answer.body
    assert answer.error["code"] == "file_not_fetched"
    assert words in answer.error["message"]
    assert path.partition("?")[0] in answer.error["message"]
    assert "counted" not in answer.error["message"]
    assert not upstream.control.seen
    assert pool.request.request is not None
    assert pool.request.request.outcome == "refused"


async def test_t36_plain_http_is_not_fetched_unless_allowed(
    pool: Pool, shelf: Shelf
) -> None:
    pool.set(media_plain_http=False)
    strange.AROUND.urls = [f"{shelf.base_url}/a.png"]
    answer = await pool.call(CHAT)
    assert answer.status == 400
    assert "only https" in answer.error["message"]
    assert not shelf.heads


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://169.254.169.254/latest/meta-data", "not public"),
        ("http://10.0.0.1/a.png", "not public"),
        ("http://user:secret@127.0.0.1/a.png", "credential"),
        ("file:///etc/passwd", "only https"),
        ("http://127.0.0.1:1/a.png", "cannot be reached"),
        ("https://[bad/a.png?sig=secret", "no URL"),
    ],
)
async def test_t36_an_address_that_is_nobodys_business_is_refused(
    pool: Pool, url: str, words: str
) -> None:
    strange.AROUND.urls = [url]
    answer = await pool.call(CHAT)
    assert answer.status == 400
    assert words in answer.error["message"]
    assert "secret" not in answer.error["message"]


async def test_too_many_files_are_refused_before_the_first(
    pool: Pool, shelf: Shelf
) -> None:
    strange.AROUND.urls = [f"{shelf.base_url}/{number}.png" for number in range(21)]
    answer = await pool.call(CHAT)
    assert answer.error["code"] == "too_many_files"
    assert not shelf.heads


async def test_files_are_fetched_once_however_many_are_asked(
    pool: Pool, shelf: Shelf, upstream: FaultUpstream
) -> None:
    pool.add_provider(upstream.base_url, format="strange", priority=1)
    upstream.control.orders["gpt-test"] = "429+first-1"
    strange.AROUND.urls = [f"{shelf.base_url}/a.png"]
    answer = await pool.call(CHAT)
    assert answer.status == 200
    assert answer.header("x-pool-attempts") == "2"
    assert len(shelf.heads) == 1
