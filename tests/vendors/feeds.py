"""What the public lists of models and prices answer, and how they misbehave."""

from __future__ import annotations

import json
import socket
import threading
from typing import Any, Self

from tests.vendors.server import Asked, Reply

ETAG = '"v1"'


def models_dev(
    count: int = 40, *, provider: str = "acme", **prices: dict[str, Any]
) -> dict[str, Any]:
    """Return a document in the shape of models.dev/api.json.

    Shapes:  ``prices`` replaces the cost of single models: ``m_1={"input": 3, ...}``.
    Units:   USD per million tokens.
    """
    models = {
        f"m-{number}": {
            "id": f"m-{number}",
            "name": f"Model {number}",
            "tool_call": True,
            "modalities": {"input": ["text"], "output": ["text"]},
            "limit": {"context": 128_000, "output": 8_192},
            "cost": prices.get(f"m_{number}", {"input": 1, "output": 2}),
        }
        for number in range(1, count + 1)
    }
    return {
        provider: {
            "id": provider,
            "name": provider.title(),
            "env": [f"{provider.upper()}_API_KEY"],
            "npm": "@ai-sdk/openai-compatible",
            "api": f"https://api.{provider}.example.com/v1",
            "doc": f"https://docs.{provider}.example.com",
            "models": models,
        }
    }


def litellm(count: int = 40, *, input_usd: float = 0.000001) -> dict[str, Any]:
    """Return a document in the shape of LiteLLM's price file; USD per token."""
    rows: dict[str, Any] = {
        f"m-{number}": {
            "litellm_provider": "openai",
            "mode": "chat",
            "input_cost_per_token": input_usd,
            "output_cost_per_token": 0.000002,
            "max_input_tokens": 128_000,
            "max_output_tokens": 8_192,
            "supports_function_calling": True,
        }
        for number in range(1, count + 1)
    }
    return {"sample_spec": {"mode": "one of ..."}, **rows}


def openrouter(count: int = 40, *, prompt: str = "0.000001") -> dict[str, Any]:
    """Return a document in the shape of OpenRouter's list; USD per token as text."""
    return {
        "data": [
            {
                "id": f"acme/m-{number}",
                "name": f"Acme: Model {number}",
                "created": 1_750_000_000,
                "context_length": 128_000,
                "architecture": {
                    "input_modalities": ["text"],
                    "output_modalities": ["text"],
                },
                "pricing": {"prompt": prompt, "completion": "0.000002"},
                "top_provider": {"max_completion_tokens": 8_192},
                "supported_parameters": ["tools", "temperature"],
            }
            for number in range(1, count + 1)
        ]
    }


class Conditional:
    """Answer a document with its ETag, and 304 to whoever has it already."""

    def __init__(self, document: Any, etag: str = ETAG) -> None:
        self.document = document
        self.etag = etag

    def __call__(self, asked: Asked) -> Reply:
        headers = {"etag": self.etag}
        if asked.headers.get("if-none-match") == self.etag:
            return Reply(b"", status=304, headers=headers)
        return Reply(self.document, headers=headers)


class RawServer:
    """Send exact bytes to whoever connects, then close or hang.

    Shapes:  with ``hang`` the connection stays open until the block is left, and
             ``drip`` is sent again and again meanwhile.
    """

    def __init__(self, raw: bytes, *, hang: bool = False, drip: bytes = b"") -> None:
        self._raw = raw
        self._hang = hang or bool(drip)
        self._drip = drip
        self._stop = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.settimeout(0.05)
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stop.set()
        self._thread.join(5)
        self._socket.close()

    @property
    def root(self) -> str:
        """The address without a path."""
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def _serve(self) -> None:
        while not self._stop.is_set():
            try:
                connection, _ = self._socket.accept()
            except TimeoutError:
                continue
            with connection:
                connection.settimeout(2)
                try:
                    connection.recv(65_536)
                    connection.sendall(self._raw)
                    while self._hang and not self._stop.wait(0.02):
                        connection.sendall(self._drip)
                except OSError:
                    continue


def raw_answer(
    body: bytes, *, length: int | None = None, headers: dict[str, str] | None = None
) -> bytes:
    """Return a whole HTTP answer; ``length`` may be a lie."""
    lines = ["HTTP/1.1 200 OK", "content-type: application/json", "connection: close"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    lines.append(f"content-length: {len(body) if length is None else length}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def as_json(document: Any) -> bytes:
    """Return a document as it travels."""
    return json.dumps(document).encode()
