"""The door tells clients from browsers, and refuses what is framed in two ways."""

from __future__ import annotations

import json
import socket

import pytest

from tests.providers.proxy_process.worker import DataProcess

pytestmark = pytest.mark.process


def _raw(data: DataProcess, text: str) -> tuple[int, str]:
    """Send bytes as they stand; return the status and everything that came."""
    with socket.create_connection(("127.0.0.1", data.config.port), 5) as link:
        link.sendall(text.encode("latin-1"))
        link.settimeout(5)
        parts = []
        try:
            while part := link.recv(65536):
                parts.append(part)
        except (TimeoutError, ConnectionResetError):
            pass
    answer = b"".join(parts).decode("latin-1")
    return int(answer.split(" ", 2)[1]) if answer.startswith("HTTP/") else 0, answer


def _call(*lines: str, body: str = "") -> str:
    head = ["POST /v1/chat/completions HTTP/1.1", "Connection: close", *lines]
    return "\r\n".join(head) + "\r\n\r\n" + body


def test_framing_that_reads_two_ways_is_refused(data: DataProcess) -> None:
    chunked = "Transfer-Encoding: chunked"
    cases = {
        "both": _call("Host: a", "Content-Length: 5", chunked, body="0\r\n\r\n"),
        "lengths": _call(
            "Host: a", "Content-Length: 2", "Content-Length: 3", body="{}"
        ),
        "hosts": _call("Host: a", "Host: b", "Content-Length: 2", body="{}"),
        "unknown": _call("Host: a", "Transfer-Encoding: gzip", body="{}"),
        "folded": _call("Host: a", "X-A: b\r\n c", "Content-Length: 2", body="{}"),
        "bare": _call("Host: a", "X-A: b\rc", "Content-Length: 2", body="{}"),
        "many": _call("Host: a", *(f"X-{n}: 1" for n in range(120))),
        "large": _call("Host: a", f"X-A: {'a' * 40_000}"),
    }
    seen = {name: _raw(data, text)[0] for name, text in cases.items()}
    assert all(400 <= status < 500 or status == 0 for status in seen.values()), seen


def test_nothing_after_a_doubtful_request_is_executed(data: DataProcess) -> None:
    smuggled = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
    text = _call(
        "Host: a",
        f"Content-Length: {len(smuggled) + 5}",
        "Transfer-Encoding: chunked",
        body="0\r\n\r\n" + smuggled,
    )
    _, answer = _raw(data, text.replace("Connection: close\r\n", ""))
    assert "200 OK" not in answer


def test_paths_below_a_proxy_root_get_an_error_clients_can_read(
    data: DataProcess,
) -> None:
    status, headers, body = data.ask("POST", "/v1/unheard-of", body={})
    assert status == 404
    assert headers["content-type"] == "application/json"
    assert json.loads(body)["error"]["code"] == "unknown_url"


def test_another_method_is_named(data: DataProcess) -> None:
    status, headers, body = data.ask("GET", "/v1/chat/completions", key=data.keys[0])
    assert status == 405
    assert headers["allow"] == "POST"
    assert json.loads(body)["error"]["code"] == "method_not_allowed"


def test_websocket_clients_are_told_to_use_http(data: DataProcess) -> None:
    headers = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version": "13",
    }
    assert data.ask("GET", "/v1/responses", headers=headers)[0] == 426
    assert data.ask("GET", "/v1/chat/completions", headers=headers)[0] == 426


def test_tools_that_knock_get_an_answer(data: DataProcess) -> None:
    assert data.ask("HEAD", "/")[0] == 200
    assert data.ask("GET", "/")[0] == 200


def test_health_pages_tell_one_word(data: DataProcess) -> None:
    assert data.ask("GET", "/healthz")[2] == b"ok\n"
    assert data.ask("GET", "/readyz")[2] == b"ready\n"
    assert data.ask("POST", "/readyz")[0] == 405


def test_a_model_is_named_by_its_path(data: DataProcess) -> None:
    status, _, body = data.ask("GET", "/v1/models/gpt-test/", key=data.keys[0])
    assert status == 200
    assert json.loads(body)["id"] == "gpt-test"
    for path, expected in (("none", 404), ("gpt%2Dtest", 200), ("gpt%252Dtest", 404)):
        assert data.ask("GET", f"/v1/models/{path}", key=data.keys[0])[0] == expected
