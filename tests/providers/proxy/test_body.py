from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from collections.abc import Callable

import brotli
import pytest
import zstandard

from tests.providers.proxy.pool import CHAT, Client, Pool

DATA = json.dumps(CHAT).encode()


def headers(pool: Pool, **more: str) -> dict[str, str]:
    extra = {name.replace("_", "-"): value for name, value in more.items()}
    return {"authorization": f"Bearer {pool.key}", **extra}


async def test_a_body_in_many_pieces_is_read(pool: Pool) -> None:
    parts = [DATA[i : i + 7] for i in range(0, len(DATA), 7)]
    client, task = pool.start(CHAT, client=Client(parts))
    await task
    assert client.answer.status == 200


async def test_a_declared_length_over_the_limit_is_refused_unread(pool: Pool) -> None:
    pool.set(body_limit_bytes=1000)
    client, task = pool.start(CHAT, headers=headers(pool, content_length="1001"))
    await task
    assert client.answer.status == 413
    assert client.received == 0
    assert client.answer.error["code"] == "request_too_large"
    assert pool.request.request is not None
    assert pool.request.request.status == 413


async def test_an_undeclared_flood_is_refused_at_the_limit(pool: Pool) -> None:
    pool.set(body_limit_bytes=1000)
    client, task = pool.start(CHAT, client=Client([b"x" * 400] * 10))
    await task
    assert client.answer.status == 413
    assert client.received == 1200


async def test_a_body_that_crawls_is_refused(pool: Pool) -> None:
    pool.set(body_timeout_s=0.2)
    slow = Client([DATA[:5], DATA[5:10], DATA[10:]], slow=0.15)
    client, task = pool.start(CHAT, client=slow)
    await task
    assert client.answer.status == 408
    assert client.answer.error["code"] == "request_timeout"


@pytest.mark.parametrize(
    ("encoding", "data"),
    [
        ("gzip", gzip.compress(DATA)),
        ("deflate", zlib.compress(DATA)),
        ("deflate", zlib.compress(DATA)[2:-4]),
        ("identity", DATA),
        ("br", brotli.compress(DATA)),
        ("zstd", zstandard.compress(DATA)),
        ("ZSTD", zstandard.ZstdCompressor(write_content_size=False).compress(DATA)),
        ("deflate, gzip", gzip.compress(zlib.compress(DATA))),
    ],
)
async def test_t24_a_compressed_body_is_inflated(
    pool: Pool, encoding: str, data: bytes
) -> None:
    answer = await pool.call(data, headers=headers(pool, content_encoding=encoding))
    assert answer.status == 200, answer.body


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("br", brotli.compress),
        ("zstd", zstandard.compress),
        ("gzip, zstd", lambda data: zstandard.compress(gzip.compress(data))),
    ],
)
async def test_t24_inflation_is_capped(
    pool: Pool, encoding: str, pack: Callable[[bytes], bytes]
) -> None:
    pool.set(body_limit_bytes=10_000)
    bomb = pack(b" " * 1_000_000)
    answer = await pool.call(bomb, headers=headers(pool, content_encoding=encoding))
    assert answer.status == 413


@pytest.mark.parametrize("encoding", ["br", "zstd"])
@pytest.mark.parametrize("cut", [0, 1, 7, -1])
async def test_t24_a_rare_encoding_cut_short_is_refused(
    pool: Pool, encoding: str, cut: int
) -> None:
    pack = brotli.compress if encoding == "br" else zstandard.compress
    data = pack(DATA)[:cut]
    answer = await pool.call(data, headers=headers(pool, content_encoding=encoding))
    assert answer.status == 400


async def test_t24_too_many_encodings_are_refused_unread(pool: Pool) -> None:
    named = "gzip, gzip, gzip"
    answer = await pool.call(headers=headers(pool, content_encoding=named))
    assert answer.status == 415


@pytest.mark.parametrize("data", [b"no gzip", gzip.compress(DATA)[:-9]])
async def test_a_damaged_encoding_is_refused(pool: Pool, data: bytes) -> None:
    answer = await pool.call(data, headers=headers(pool, content_encoding="gzip"))
    assert answer.status == 400


async def test_an_unknown_encoding_is_refused_unread(pool: Pool) -> None:
    answer = await pool.call(headers=headers(pool, content_encoding="lzma"))
    assert answer.status == 415


async def test_a_client_that_leaves_while_sending_is_recorded(pool: Pool) -> None:
    client = Client([DATA[:10], DATA[10:]])

    async def receive() -> dict[str, object]:
        if client.received:
            return {"type": "http.disconnect"}
        client.received = 10
        return {"type": "http.request", "body": DATA[:10], "more_body": True}

    client.receive = receive  # type: ignore[method-assign]
    _, task = pool.start(CHAT, client=client)
    async with asyncio.timeout(2):
        await task
    assert client.answer.status is None
    assert pool.request.request is not None
    assert pool.request.request.outcome == "client_closed"


@pytest.mark.parametrize(
    ("data", "code", "param"),
    [
        (b"{", "invalid_json", None),
        (b"[]", "invalid_json", None),
        (b'{"messages":[]}', "missing_field", "model"),
        (b'{"model":"gpt-test"}', "missing_field", "messages"),
        (b'{"model":1,"messages":[]}', "invalid_value", "model"),
        (b'{"model":"a","model":"b","messages":[]}', "duplicate_field", None),
    ],
)
async def test_a_malformed_body_is_refused_with_its_field_and_recorded(
    pool: Pool, data: bytes, code: str, param: str | None
) -> None:
    answer = await pool.call(data)
    assert answer.status == 400
    assert (answer.error["code"], answer.error["param"]) == (code, param)
    assert pool.request.request is not None
    assert pool.request.request.outcome == "refused"
    assert pool.request.request.error_code == code
