"""A key that was taken away stops at once, in every worker."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator

import aiohttp
import psutil
import pytest

from scripts.proofs import many_keys, revocation
from tests.endtoend.browser import Browser
from tests.rig.plain import call
from tests.rig.stage import Scene, stage
from tests.rig.upstream import UpstreamProcess

pytestmark = pytest.mark.process

HELLO = {"model": "gpt-test", "messages": [{"role": "user", "content": "Hello."}]}
WORKERS = 2


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene[UpstreamProcess]]:
    arguments = ["--workers", str(WORKERS), "--no-worker"]
    env = {"POOL_LIMITS": "approximate"}
    directory = tmp_path_factory.mktemp("revocation")
    with stage(directory, arguments=arguments, env=env) as scene:
        scene.provider("up", models=["gpt-test"])
        for name in ("revoked", "rotated", "kept", "clicked"):
            scene.key(name)
        scene.open()
        yield scene


async def statuses(url: str, key: str, count: int) -> list[int]:
    """Ask on many connections at once, so that every worker gets its share."""
    connector = aiohttp.TCPConnector(force_close=True, limit=0)
    headers = {"authorization": f"Bearer {key}"}
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:

        async def once() -> int:
            async with session.post(url + "/chat/completions", json=HELLO) as response:
                await response.read()
                return response.status

        return list(await asyncio.gather(*(once() for _ in range(count))))


def wait_refused(town: Scene[UpstreamProcess], key: str) -> None:
    """Wait the two seconds a change may take; then nobody may accept the key.

    Looking earlier would show one worker's answer: the other may be a moment behind.
    """
    time.sleep(2)
    found = set(asyncio.run(statuses(town.product.url, key, 30)))
    assert not found - {401, 429}, found


def test_both_workers_serve(town: Scene[UpstreamProcess]) -> None:
    workers = town.product.processes("data")
    assert len(workers) == WORKERS
    before = [spent(worker) for worker in workers]
    for _ in range(4):
        answered = asyncio.run(statuses(town.product.url, town.keys["kept"], 100))
        assert set(answered) == {200}
    assert all(spent(worker) > was for worker, was in zip(workers, before, strict=True))


def spent(process: psutil.Process) -> float:
    """Return the processor time of a worker."""
    times = process.cpu_times()
    return float(times.user + times.system)


def test_revoked_key_stops_in_every_worker(town: Scene[UpstreamProcess]) -> None:
    key = town.keys["revoked"]
    assert set(asyncio.run(statuses(town.product.url, key, 20))) == {200}
    town.product.pool("key", "revoke", "revoked")
    wait_refused(town, key)
    served = town.upstream.calls()["calls"]
    asyncio.run(statuses(town.product.url, key, 30))
    assert town.upstream.calls()["calls"] == served
    kept = call(town.product.url + "/chat/completions", town.keys["kept"], HELLO)
    assert kept.status == 200


def test_rotated_key_stops_and_the_new_one_works(town: Scene[UpstreamProcess]) -> None:
    old = town.keys["rotated"]
    new = town.product.pool("key", "rotate", "rotated").strip()
    wait_refused(town, old)
    assert set(asyncio.run(statuses(town.product.url, new, 20))) == {200}


def test_key_revoked_in_the_console_stops_in_every_worker(
    town: Scene[UpstreamProcess],
) -> None:
    password = "correct horse battery"
    town.product.pool(
        "user", "create", "olivia@example.com", "--role", "owner", stdin=password + "\n"
    )
    key = town.keys["clicked"]
    assert set(asyncio.run(statuses(town.product.url, key, 20))) == {200}
    browser = Browser(town.product.root)
    browser.sign_in("olivia@example.com", password)
    listed = re.findall(r'href="(/keys/\d+/)" title="clicked"', browser.get("/keys/"))
    assert listed, "the key is not on the screen"
    assert browser.status_of_post(listed[0] + "revoke/") == 403
    browser.submit(listed[0] + "revoke/")
    wait_refused(town, key)


def test_revocation_under_load_takes_less_than_two_seconds() -> None:
    figures = revocation.run(3, short=True)
    assert all(figure.ok for figure in figures), figures


def test_thousands_of_keys_load_and_change_without_a_stall() -> None:
    figures = many_keys.run(4, short=True)
    assert all(figure.ok for figure in figures), figures
