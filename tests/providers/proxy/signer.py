"""A token endpoint, and calls to be signed."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any
from urllib.parse import parse_qs

from poolsite.secret_type import Secret
from providers.formats import registry
from providers.formats.base import UpstreamRequest
from providers.proxy.exchange import Candidate, UpstreamCall
from providers.routing.types import Route
from providers.snapshot.types import CredentialRecord, ModelRecord, ProviderRecord

JSON = {"content-type": "application/json"}


class TokenServer:
    """A token endpoint on loopback; ``answers`` are served in turn, the last for ever."""

    def __init__(self) -> None:
        self.forms: list[dict[str, str]] = []
        self.answers: list[tuple[int, bytes]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self._server: asyncio.Server | None = None
        self.origin = ""

    async def __aenter__(self) -> TokenServer:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.origin = f"http://127.0.0.1:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    def token(self, text: str, life_s: Any = 3600) -> None:
        told = {"access_token": text, "expires_in": life_s, "token_type": "Bearer"}
        self.answers.append((200, json.dumps(told).encode()))

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        size = int(re.search(r"content-length: (\d+)", head)[1])  # type: ignore[index]
        form = parse_qs((await reader.readexactly(size)).decode())
        self.forms.append({name: values[0] for name, values in form.items()})
        await self.gate.wait()
        status, body = self.answers[0]
        if len(self.answers) > 1:
            self.answers.pop(0)
        length = len(body) if status != 299 else len(body) + 5
        writer.write(
            b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n" % (status, length) + body
        )
        await writer.drain()
        writer.close()


def candidate(
    scheme: str, base_url: str = "https://api.example.com", **options: str
) -> Candidate:
    """Make a way to serve as the planner would."""
    provider = ProviderRecord(
        id=1,
        slug="p",
        name="P",
        format="bedrock",
        base_url=base_url,
        origin=base_url,
        location="cloud",
        priority=1,
        auth_scheme=scheme,
        options=options,
        allow_private=True,
    )
    credential = CredentialRecord(
        id=1,
        kind="api_key",
        label="c",
        mask="…",
        token="t",
        context="c",
        origin=base_url,
    )
    made: dict[str, Any] = dict.fromkeys(Candidate.__struct_fields__)
    made["route"] = Route(provider, ModelRecord(1, 1, "m"), credential)
    made["wire"] = registry.get("bedrock")
    made["base_url"] = base_url
    made["allowed"] = frozenset()
    return Candidate(**made)


def call(
    way: Candidate, secret: str | None, path: str = "/x", body: bytes = b"{}"
) -> UpstreamCall:
    sent = UpstreamRequest(body=body, path=path, model="m")
    kept = None if secret is None else Secret(secret, way.base_url)
    return UpstreamCall(way, way.base_url + path, dict(JSON), sent, kept, ())
