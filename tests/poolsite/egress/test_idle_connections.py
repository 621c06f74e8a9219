"""How many connections are kept for later calls."""

from __future__ import annotations

import asyncio

import pytest

from poolsite import egress_pool
from poolsite.destinations import Destination, host_port_of
from poolsite.egress import UpstreamClient, read_capped
from tests.poolsite.egress.sinkhole import sinkhole


async def at_once(client: UpstreamClient, to: Destination, count: int) -> None:
    """Ask several times at the same time, then read all answers."""
    asked = (client.send(to, headers={}, secret_origin=None) for _ in range(count))
    for answer in await asyncio.gather(*asked):
        assert await read_capped(answer) == b"ok"


@pytest.mark.parametrize("limit", ["MOST_IDLE", "MOST_IDLE_OF_ONE"])
async def test_no_more_connections_are_kept_than_allowed(
    client: UpstreamClient, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(egress_pool, limit, 2)
    with sinkhole() as server:
        url = f"http://127.0.0.1:{server.port}/"
        to = client.prepare(url, frozenset({host_port_of(url)}))
        await at_once(client, to, 5)
        assert server.accepted == 5
        # Two were kept; the others are opened anew.
        await at_once(client, to, 3)
        assert server.accepted == 6
