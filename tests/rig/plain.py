"""Send exact bytes over a plain connection and see exact bytes come back.

SDKs and HTTP libraries tidy up; comparisons byte by byte and bad input need to see
what really passed.
"""

from __future__ import annotations

import http.client
import json
import socket
import time
import urllib.parse
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Reply:
    """An answer as it came; header names in lower case, the last of equals wins."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """Read the body as JSON."""
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        """Return OpenAI's error object; every member must be there."""
        error: dict[str, Any] = self.json()["error"]
        assert {"message", "type", "param", "code"} <= error.keys()
        assert error["message"]
        return error

    @property
    def request_id(self) -> str:
        """Return the pool's request id."""
        return self.headers["x-pool-request-id"]


def call(
    url: str,
    key: str | None,
    body: bytes | dict[str, Any] | None = None,
    *,
    method: str = "",
    headers: dict[str, str] | None = None,
    source: str = "",
    timeout_s: float = 20,
) -> Reply:
    """Make one call on a connection of its own.

    Shapes:  source is the loopback address it comes from, the usual one if blank.
    """
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(
        parts.hostname or "",
        parts.port,
        timeout=timeout_s,
        source_address=(source, 0) if source else None,
    )
    data = json.dumps(body).encode() if isinstance(body, dict) else body
    sent = {"content-type": "application/json", **(headers or {})}
    if key is not None:
        sent["authorization"] = f"Bearer {key}"
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request(
            method or ("GET" if data is None else "POST"), target, data, sent
        )
        response = connection.getresponse()
        found = {name.lower(): value for name, value in response.getheaders()}
        try:
            content = response.read()
        except http.client.IncompleteRead as exc:
            content = exc.partial
        return Reply(response.status, found, content)
    finally:
        connection.close()


def exchange(
    port: int, *parts: bytes, gap_s: float = 0, timeout_s: float = 20
) -> bytes:
    """Send raw bytes, with gaps between the parts, and return all that comes back.

    Fails:   silently when the other side closes early: what came is returned.
    """
    with socket.create_connection(("127.0.0.1", port), timeout=timeout_s) as link:
        for number, part in enumerate(parts):
            if number and gap_s:
                time.sleep(gap_s)
            try:
                link.sendall(part)
            except OSError:
                break
        received = b""
        try:
            while data := link.recv(65_536):
                received += data
        except OSError:
            return received
        return received
