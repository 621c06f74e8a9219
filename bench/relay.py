"""The floor: forward a request and its answer, and do nothing else.

Everything a Python proxy must do at least, ASGI in and aiohttp out, in as few lines as
it takes. The product's figures are stated as a share of this one.
"""

from __future__ import annotations

import os
from typing import Any

import aiohttp

TARGET = os.environ["BENCH_TARGET"]
session: aiohttp.ClientSession | None = None


async def app(scope: Any, receive: Any, send: Any) -> None:
    global session
    if scope["type"] != "http":
        return
    if session is None:
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=30)
        session = aiohttp.ClientSession(connector=connector, auto_decompress=False)
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    headers = {"content-type": "application/json", "authorization": "Bearer sk-bench"}
    url = TARGET + scope["path"]
    async with session.post(url, data=body, headers=headers) as answer:
        kind = answer.headers["content-type"].encode()
        start = {"type": "http.response.start", "status": answer.status}
        await send({**start, "headers": [(b"content-type", kind)]})
        async for data in answer.content.iter_any():
            part = {"type": "http.response.body", "body": data, "more_body": True}
            await send(part)
        await send({"type": "http.response.body", "body": b"", "more_body": False})
