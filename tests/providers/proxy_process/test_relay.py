"""Everything that is not the proxy's goes to the console, streaming both ways."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
import yarl
from aiohttp import web

from tests.providers.proxy_process.worker import DataProcess
from tests.rig.upstream import UpstreamProcess

pytestmark = pytest.mark.process


class Console:
    """A console that shows what it was asked."""

    def __init__(self) -> None:
        self.seen: list[web.Request] = []
        self.left = asyncio.Event()
        self.go_on = asyncio.Event()

    async def echo(self, request: web.Request) -> web.Response:
        self.seen.append(request)
        body = await request.read()
        answer = web.Response(body=body or b"page", content_type="text/html")
        answer.headers.add("Set-Cookie", "a=1; Path=/")
        answer.headers.add("Set-Cookie", "b=2; Path=/")
        answer.headers["Connection"] = "x-hop"
        answer.headers["X-Hop"] = "dropped"
        return answer

    async def events(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        await answer.write(b"data: first\n\n")
        try:
            await self.go_on.wait()
            await answer.write(b"data: second\n\n")
            while True:
                await asyncio.sleep(0.05)
                await answer.write(b": ping\n\n")
        except (ConnectionError, asyncio.CancelledError):
            self.left.set()
            raise

    async def moved(self, request: web.Request) -> web.Response:
        raise web.HTTPFound("/elsewhere/")


@asynccontextmanager
async def running(socket_path: Path) -> AsyncIterator[Console]:
    console = Console()
    app = web.Application(client_max_size=100 * 1024 * 1024)
    app.router.add_get("/events/", console.events)
    app.router.add_get("/moved/", console.moved)
    app.router.add_route("*", "/{rest:.*}", console.echo)
    runner = web.AppRunner(app, handler_cancellation=True)
    await runner.setup()
    await web.UnixSite(runner, str(socket_path)).start()
    try:
        yield console
    finally:
        await runner.cleanup()


async def test_pages_pass_with_what_the_console_must_know(data: DataProcess) -> None:
    url = f"http://127.0.0.1:{data.config.port}"
    async with (
        running(data.config.console_socket) as console,
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
    ):
        headers = {
            "X-Forwarded-For": "203.0.113.9",
            "X-Forwarded-Proto": "https",
            "Accept": "text/html",
            "Cookie": "sessionid=x",
        }
        page = yarl.URL(f"{url}/a%20b/?q=1&q=%2F", encoded=True)
        async with session.get(page, headers=headers) as answer:
            assert answer.status == 200
            assert await answer.text() == "page"
            assert answer.headers.getall("Set-Cookie") == ["a=1; Path=/", "b=2; Path=/"]
            assert "X-Hop" not in answer.headers
        seen = console.seen[0]
        assert seen.raw_path == "/a%20b/?q=1&q=%2F"
        assert seen.headers.getall("X-Forwarded-For") == ["127.0.0.1"]
        assert seen.headers.getall("X-Forwarded-Proto") == ["http"]
        assert seen.headers["Cookie"] == "sessionid=x"
        assert seen.host == f"127.0.0.1:{data.config.port}"
        async with session.get(f"{url}/", headers={"Accept": "text/html"}) as answer:
            assert await answer.text() == "page"


async def test_forms_and_uploads_pass_whole(data: DataProcess) -> None:
    url = f"http://127.0.0.1:{data.config.port}"
    big = bytes(range(256)) * 20_000

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(big), 100_000):
            yield big[start : start + 100_000]

    async with (
        running(data.config.console_socket),
        aiohttp.ClientSession() as session,
    ):
        async with session.post(f"{url}/form/", data={"a": "1"}) as answer:
            assert await answer.read() == b"a=1"
        async with session.post(f"{url}/upload/", data=io.BytesIO(big)) as answer:
            assert await answer.read() == big
        async with session.post(f"{url}/upload/", data=pieces()) as answer:
            assert await answer.read() == big


async def test_redirects_are_the_browsers_to_follow(data: DataProcess) -> None:
    url = f"http://127.0.0.1:{data.config.port}"
    async with (
        running(data.config.console_socket),
        aiohttp.ClientSession() as session,
        session.get(f"{url}/moved/", allow_redirects=False) as answer,
    ):
        assert answer.status == 302
        assert answer.headers["Location"] == "/elsewhere/"


async def test_events_pass_one_by_one_and_leaving_ends_them(data: DataProcess) -> None:
    url = f"http://127.0.0.1:{data.config.port}"
    async with running(data.config.console_socket) as console:
        async with aiohttp.ClientSession() as session:
            answer = await session.get(f"{url}/events/")
            first = await asyncio.wait_for(answer.content.readany(), 2)
            assert first == b"data: first\n\n"
            console.go_on.set()
            second = await asyncio.wait_for(answer.content.readany(), 2)
            assert second.startswith(b"data: second\n\n")
            answer.close()
        await asyncio.wait_for(console.left.wait(), 3)


async def test_a_console_that_starts_late_is_waited_for(data: DataProcess) -> None:
    url = f"http://127.0.0.1:{data.config.port}"
    headers = {"Accept": "text/html"}
    async with aiohttp.ClientSession(headers=headers) as session:
        asked = asyncio.ensure_future(session.get(f"{url}/overview/"))
        await asyncio.sleep(0.3)
        async with running(data.config.console_socket):
            answer = await asyncio.wait_for(asked, 5)
            assert answer.status == 200
        answer = await session.get(f"{url}/overview/")
        assert answer.status == 503
        assert answer.headers["Retry-After"] == "2"
        assert "starting" in await answer.text()


async def test_a_node_without_console_says_so(
    tmp_path: Path, upstream: UpstreamProcess
) -> None:
    with DataProcess(tmp_path, plane="proxy") as data:
        data.write_snapshot(upstream.base_url)
        await asyncio.to_thread(data.start)
        assert data.ask("GET", "/overview/")[0] == 404


async def test_an_open_page_does_not_hold_up_the_end(data: DataProcess) -> None:
    url = f"http://127.0.0.1:{data.config.port}"
    async with (
        running(data.config.console_socket),
        aiohttp.ClientSession() as session,
    ):
        answer = await session.get(f"{url}/events/")
        await answer.content.readany()
        data.terminate()
        assert await asyncio.to_thread(data.wait, within_s=10) == 0
