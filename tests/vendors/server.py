"""A fake vendor: answers what a test lays down, and remembers what it was asked.

with Vendor() as vendor:
    vendor.on("GET", "/v1/models", {"data": [{"id": "m-1"}]})
    ...
    assert vendor.last.headers["authorization"] == "Bearer sk-1"
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Asked:
    """One request as it arrived; header names are lower case."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """Parse the body."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Reply:
    """One answer; a body that is not bytes is sent as JSON."""

    body: Any = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay_s: float = 0

    def raw(self) -> bytes:
        """Return the body as it goes out."""
        return self.body if isinstance(self.body, bytes) else _dump(self.body)


Answer = Reply | Callable[[Asked], Reply]


class Vendor:
    """A server on a free loopback port; what nobody laid down is answered 404."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self._answers: dict[tuple[str, str], Answer] = {}
        self._stop = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = False
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stop.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    @property
    def root(self) -> str:
        """The address without a path."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def last(self) -> Asked:
        """The newest request."""
        return self.asked[-1]

    def on(self, method: str, path: str, answer: Any, **values: Any) -> None:
        """Lay down an answer: a Reply, a function of the request, or a JSON body."""
        if not isinstance(answer, Reply) and not callable(answer):
            answer = Reply(answer, **values)
        self._answers[method, path] = answer

    def paths(self) -> list[str]:
        """Return what was asked, in order, as ``GET /path``."""
        return [f"{each.method} {each.path}" for each in self.asked]

    def _reply(self, asked: Asked) -> Reply:
        answer = self._answers.get((asked.method, asked.path), Reply({}, status=404))
        reply = answer(asked) if callable(answer) else answer
        self._stop.wait(reply.delay_s)
        return reply

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        vendor = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self) -> None:
                parts = urlsplit(self.path)
                length = int(self.headers.get("content-length", 0))
                asked = Asked(
                    self.command,
                    parts.path,
                    dict(parse_qsl(parts.query)),
                    {name.lower(): value for name, value in self.headers.items()},
                    self.rfile.read(length),
                )
                vendor.asked.append(asked)
                reply = vendor._reply(asked)
                raw = reply.raw()
                kind = "application/octet-stream"
                if not isinstance(reply.body, bytes):
                    kind = "application/json"
                headers = {"content-type": kind, **reply.headers}
                self.send_response(reply.status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(raw)))
                self.send_header("connection", "close")
                self.close_connection = True
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(raw)

            do_GET = do_POST = do_HEAD = _serve

            def log_message(self, *args: object) -> None:
                """Stay silent."""

        return Handler


def _dump(value: Any) -> bytes:
    return json.dumps(value).encode()
