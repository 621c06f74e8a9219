"""A real Redis server for the tests that need one."""

from __future__ import annotations

import os
import shutil
import subprocess
import time

import pytest
import redis


@pytest.fixture(scope="session")
def redis_socket(tmp_path_factory):
    """Start redis-server on a Unix socket in a temporary directory."""
    binary = shutil.which("redis-server")
    if binary is None:
        message = "Redis is missing: apt-get install redis-server"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    directory = tmp_path_factory.mktemp("redis")
    socket = directory / "redis.sock"
    server = subprocess.Popen(
        [
            *(binary, "--port", "0", "--unixsocket", str(socket)),
            *("--dir", str(directory), "--save", "", "--appendonly", "no"),
        ],
        stdout=subprocess.DEVNULL,
    )
    try:
        wait_until_it_answers(socket, server)
        yield str(socket)
    finally:
        server.terminate()
        server.wait(10)


def wait_until_it_answers(socket, server):
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and server.poll() is None:
        client = redis.Redis(unix_socket_path=str(socket))
        try:
            if client.ping():
                return
        except redis.RedisError:
            time.sleep(0.02)
        finally:
            client.close()
    pytest.fail("redis-server did not start.")
