"""Several nodes on one PostgreSQL, with and without Redis; the database restarts."""

from __future__ import annotations

import os
import time
import urllib.error
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import servers
from tests.poolsite.test_supervisor_process import ask, page, serve, until
from tests.rig.product import Product
from tests.rig.upstream import UpstreamProcess

pytestmark = [pytest.mark.process, pytest.mark.postgres]


def _server(start: object) -> Iterator[str]:
    try:
        with start() as url:  # type: ignore[operator] # one of the two below
            yield url
    except servers.MissingServerError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(error))


@pytest.fixture
def postgres() -> Iterator[str]:
    yield from _server(servers.postgres)


@pytest.fixture
def redis() -> Iterator[str]:
    yield from _server(servers.redis)


def share_keys(one: Product, other: Product) -> None:
    """Give the second node the roots of the first, as an operator does."""
    target = other.data_dir / "keys"
    target.mkdir(parents=True, mode=0o700, exist_ok=True)
    for path in (one.data_dir / "keys").iterdir():
        (target / path.name).write_bytes(path.read_bytes())


def test_second_data_plane_needs_redis(tmp_path: Path, postgres: str) -> None:
    env = {"DATABASE_URL": postgres, "REDIS_URL": ""}
    with Product(tmp_path / "a", env=env) as first:
        first.start()
        second = Product(tmp_path / "b", env=env)
        second.data_dir.mkdir(parents=True)
        share_keys(first, second)
        status, error = serve(second)
        assert status == 1
        assert "serves clients of this database already" in error
        assert error.count("\n") == 1
        second.arguments = ["--plane", "console"]
        second.start()
        second.stop()
        first.stop()  # gives the lease back
        second.arguments = []
        second.start()
        second.stop()


def test_two_nodes_share_one_database_with_redis(
    tmp_path: Path, postgres: str, redis: str
) -> None:
    env = {"DATABASE_URL": postgres, "REDIS_URL": redis}
    with (
        UpstreamProcess(tmp_path) as upstream,
        Product(tmp_path / "a", env=env) as first,
    ):
        first.add_provider("up", base_url=upstream.base_url, models=["gpt-test"])
        first.set_price("gpt-test", input_usd="1", output_usd="2")
        key = first.create_key("client")
        first.start()
        second = Product(tmp_path / "b", env=env)
        second.data_dir.mkdir(parents=True)
        share_keys(first, second)
        second.start()
        assert ask(first, key) == ask(second, key) == 200

        def requests() -> int:
            return first.usage()["totals"]["requests"]

        until(lambda: requests() == 2)
        first.pool("key", "revoke", "client")
        begin = time.monotonic()
        for node in (first, second):
            until(lambda node=node: _refuses(node, key), within_s=2)
        assert time.monotonic() - begin < 2
        second.stop()


def _refuses(node: Product, key: str) -> bool:
    try:
        return ask(node, key) == 401
    except urllib.error.HTTPError as error:
        return error.code == 401


def test_foreign_keys_lock_a_second_node(tmp_path: Path, postgres: str) -> None:
    env = {"DATABASE_URL": postgres, "REDIS_URL": ""}
    with Product(tmp_path / "a", env=env) as first:
        first.start()
        first.stop()
        with Product(tmp_path / "b", env=env) as second:
            status, error = serve(second, "--plane", "proxy")
            assert status == 1
            assert "locked" in error
        first.start()
        assert page(first, "/v1/models")[0] == 401
