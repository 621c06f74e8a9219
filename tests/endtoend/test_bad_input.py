"""Whatever a client gets wrong, it is told in OpenAI's shape and nothing else happens."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.endtoend.asking import MESSAGES, Asker, Town, assert_refused
from tests.rig.plain import Reply, call, exchange
from tests.rig.stage import open_stage

pytestmark = pytest.mark.process

MB = 1024 * 1024


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    directory = tmp_path_factory.mktemp("bad-input")
    with open_stage(directory, arguments=["--no-worker"]) as scene:
        scene.price("*", input_usd="3", output_usd="15")
        scene.provider("up", models=["gpt-test", "gpt-test-mini"])
        scene.provider(
            "off", models=["gpt-off"], api_keys=["sk-off-123"], enabled=False
        )
        scene.provider("empty", models=["gpt-down"], api_keys=["sk-empty-123"])
        scene.upstream.order("sk-empty-123", "401")
        scene.setting(body_timeout_s=1.5)
        scene.key("client")
        scene.key("second")
        scene.key("poor", budget_nano=1_000, window="day")
        scene.key("spent", budget_nano=60_000_000, window="hour")
        scene.open()
        yield scene


@pytest.fixture
def asker(town: Town) -> Asker:
    return Asker(town)


def chat(town: Town, body: Any, key: str | None = "client", **options: Any) -> Reply:
    text = town.keys.get(key, key) if key is not None else None
    return call(town.product.url + "/chat/completions", text, body, **options)


HELLO = {"model": "gpt-test", "messages": MESSAGES}


# Keys


def test_wrong_key_is_401(town: Town) -> None:
    served = len(town.upstream.control.seen)
    for key in ("pp_wrong", "sk-anything", town.keys["client"][:-1] + "x", "p" * 5_000):
        reply = chat(town, HELLO, key)
        assert reply.status == 401, key
        assert reply.error["type"] in ("invalid_request_error", "authentication_error")
        assert reply.headers["x-should-retry"] == "false"
    assert_refused(chat(town, HELLO, "pp_wrong"), 401, "invalid_api_key")
    assert_refused(chat(town, HELLO, None), 401, "missing_api_key")
    assert len(town.upstream.control.seen) == served


def test_strangers_who_keep_trying_are_slowed_down(town: Town) -> None:
    # From an address of their own: the other tests are strangers too.
    url = town.product.url + "/chat/completions"
    statuses = [
        call(url, f"pp_{number}", HELLO, source="127.0.0.2").status
        for number in range(75)
    ]
    assert (statuses[0], statuses[-1]) == (401, 429)
    assert call(url, town.keys["client"], HELLO, source="127.0.0.2").status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer {key}"},
        {"authorization": "bearer   {key}"},
        {"x-api-key": "{key}"},
        {"api-key": "{key}"},
        {"x-goog-api-key": "{key}"},
        {"x-api-key": "Bearer {key}"},
        {"authorization": "Bearer dummy", "x-api-key": "{key}"},
        {"authorization": "Bearer {key}", "x-api-key": "{key}"},
    ],
)
def test_t129_key_is_found_in_every_spelling(
    headers: dict[str, str], town: Town
) -> None:
    sent = {
        name: text.format(key=town.keys["client"]) for name, text in headers.items()
    }
    assert chat(town, HELLO, None, headers=sent).status == 200


def test_key_may_come_in_the_query_and_goes_no_further(town: Town) -> None:
    for name in ("key", "api_key"):
        url = f"{town.product.url}/chat/completions?{name}={town.keys['client']}"
        assert call(url, None, HELLO).status == 200
        assert "?" not in town.upstream.last.target
    assert town.keys["client"] not in town.product.log.read_text()


def test_two_different_valid_keys_are_400(town: Town) -> None:
    reply = chat(town, HELLO, headers={"x-api-key": town.keys["second"]})
    assert_refused(reply, 400, "conflicting_api_keys")


# Models and providers


def test_unknown_model_is_404_with_near_names(town: Town) -> None:
    error = assert_refused(
        chat(town, {**HELLO, "model": "gpt-tets"}), 404, "model_not_found"
    )
    assert "gpt-test" in error["message"]
    assert error["param"] == "model"


def test_model_of_a_disabled_provider_is_not_served(town: Town) -> None:
    reply = chat(town, {**HELLO, "model": "gpt-off"})
    assert reply.status in (404, 503)
    assert reply.error["message"]
    assert town.upstream.control.by_key["sk-off-123"] == 0


def test_no_usable_provider_is_503_with_retry_after(town: Town) -> None:
    chat(town, {**HELLO, "model": "gpt-down"})
    reply = chat(town, {**HELLO, "model": "gpt-down"})
    assert reply.status == 503
    assert reply.error["message"]
    assert int(reply.headers["retry-after"]) >= 1
    assert town.upstream.control.by_key["sk-empty-123"] == 1


def test_provider_disabled_while_running_is_left_within_two_seconds(town: Town) -> None:
    model = {**HELLO, "model": "gpt-switched"}
    town.provider("switched", models=["gpt-switched"], api_keys=["sk-switched"])
    town.arrange()
    wait_status(town, model, 200)
    town.product.pool("provider", "disable", "switched")
    wait_status(town, model, 404, 503)


def wait_status(town: Town, body: Any, *wanted: int) -> None:
    deadline = time.monotonic() + 2
    while (status := chat(town, body).status) not in wanted:
        assert time.monotonic() < deadline, status
        time.sleep(0.05)


# Bodies


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nonsense",
        b"[]",
        b"null",
        b'"text"',
        b'{"model": "gpt-test"',
        b'{"messages": []}',
        b'{"model": 7, "messages": []}',
        b'{"model": "", "messages": []}',
        b'{"model": "gpt-test", "stream": "yes", "messages": []}',
        b"\xff\xfe{}",
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ],
    ids=lambda body: repr(body[:12]) + str(len(body)),
)
def test_t131_malformed_json_is_400(body: bytes, town: Town) -> None:
    served = len(town.upstream.control.seen)
    begun = time.monotonic()
    reply = chat(town, body)
    assert reply.status == 400, reply.body
    assert reply.error["type"] == "invalid_request_error"
    assert reply.headers["x-should-retry"] == "false"
    assert time.monotonic() - begun < 1
    assert len(town.upstream.control.seen) == served


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"gpt-test","messages":[],"model":"gpt-test-mini"}',
        b'{"model":"gpt-test","messages":[{"role":"user","content":"\\ud800"}]}',
        b'{"model":"gpt-test","messages":[{"role":"user","content":"a\\u0000b"}]}',
        b'{"model":"gpt-test","messages":[],"seed":' + b"9" * 100_000 + b"}",
        b'{"model":"gpt-test","messages":[],"x":' + b"[" * 900 + b"]" * 900 + b"}",
    ],
    ids=["duplicate-key", "lone-surrogate", "nul", "huge-integer", "depth-900"],
)
def test_t138_odd_json_is_refused_or_passed_on_faithfully(
    body: bytes, town: Town
) -> None:
    reply = chat(town, body)
    assert reply.status in (200, 400), reply.body
    if reply.status == 200:
        (seen,) = town.upstream.seen_of(reply.request_id)
        assert seen.body == body


def test_wrong_content_type_is_no_obstacle(town: Town) -> None:
    reply = chat(town, HELLO, headers={"content-type": "text/plain"})
    assert reply.status in (200, 415)


def test_unknown_encoding_is_415(town: Town) -> None:
    reply = chat(town, HELLO, headers={"content-encoding": "lzma"})
    assert_refused(reply, 415, "unsupported_encoding")


def test_unknown_path_below_the_root_is_404_in_the_dialect(town: Town) -> None:
    reply = call(town.product.url + "/chat/complete", town.keys["client"], HELLO)
    assert_refused(reply, 404, "unknown_url")
    get = call(town.product.url + "/chat/completions", town.keys["client"])
    assert get.status == 405
    assert get.headers["allow"] == "POST"


# Size and time


def head(town: Town, *lines: str, key: str | None = "client") -> bytes:
    text = [
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:{town.product.port}"
    ]
    if key is not None:
        text.append(f"authorization: Bearer {town.keys.get(key, key)}")
    text += ["content-type: application/json", *lines, "", ""]
    return "\r\n".join(text).encode()


def taken_before_refusal(town: Town, start: bytes, total: int) -> tuple[int, bytes]:
    """Send a big body until an answer or a reset stops it; return bytes sent."""
    sent, received = 0, b""
    block = b" " * 65_536
    with socket.create_connection(("127.0.0.1", town.product.port), timeout=5) as link:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65_536)
        link.sendall(start)
        link.settimeout(0.02)
        while sent < total:
            try:
                received += link.recv(65_536)
                break
            except TimeoutError:
                pass
            except OSError:
                break
            try:
                sent += link.send(block)
            except TimeoutError:
                continue
            except OSError:
                break
        link.settimeout(2)
        try:
            while b"\r\n\r\n" not in received and (data := link.recv(65_536)):
                received += data
        except OSError:
            pass
    return sent, received


def test_stranger_is_refused_before_the_body_is_read(town: Town) -> None:
    start = head(town, f"content-length: {10_000 * MB}", key="pp_stranger")
    sent, received = taken_before_refusal(town, start, 64 * MB)
    assert received.startswith(b"HTTP/1.1 4")
    assert sent <= MB


def test_announced_size_is_refused_before_the_body_is_read(town: Town) -> None:
    start = head(town, f"content-length: {41 * MB}")
    sent, received = taken_before_refusal(town, start, 41 * MB)
    assert received.startswith(b"HTTP/1.1 413")
    assert b"request_too_large" in received
    assert sent <= MB


def test_unannounced_size_is_refused_at_the_limit(town: Town) -> None:
    block = b"10000\r\n" + b" " * 65_536 + b"\r\n"
    blocks = 45 * MB // 65_536
    start = head(town, "transfer-encoding: chunked")
    received = exchange(town.product.port, start, *([block] * blocks))
    assert not received or received.startswith(b"HTTP/1.1 413")


def test_inflating_body_is_refused_at_the_limit(town: Town) -> None:
    bomb = gzip.compress(b" " * (300 * MB), 9)
    reply = chat(town, bomb, headers={"content-encoding": "gzip"})
    assert_refused(reply, 413, "request_too_large")
    good = gzip.compress(json.dumps(HELLO).encode())
    assert chat(town, good, headers={"content-encoding": "gzip"}).status == 200


def test_body_cut_short_reaches_no_vendor(town: Town) -> None:
    served = len(town.upstream.control.seen)
    body = json.dumps(HELLO).encode()
    start = head(town, f"content-length: {len(body) + 10}")
    with socket.create_connection(("127.0.0.1", town.product.port), timeout=5) as link:
        link.sendall(start + body)
        time.sleep(0.1)
    time.sleep(0.2)
    assert len(town.upstream.control.seen) == served


def test_slow_body_is_closed_at_its_limit(town: Town) -> None:
    start = head(town, "content-length: 5000")
    begun = time.monotonic()
    parts = [b"{"] + [b" "] * 12
    received = exchange(town.product.port, start, *parts, gap_s=0.25)
    assert 1.0 < time.monotonic() - begun < 6
    assert received.startswith(b"HTTP/1.1 408")
    assert b"request_timeout" in received


SMUGGLED = [
    ("content-length: 4", "transfer-encoding: chunked"),
    ("transfer-encoding: chunked", "content-length: 4"),
    ("transfer-encoding: xchunked",),
    ("transfer-encoding: chunked", "transfer-encoding: identity"),
    ("transfer-encoding : chunked",),
    ("content-length: 4", "content-length: 5"),
    ("content-length: +4",),
    ("host: other", "content-length: 4"),
]


@pytest.mark.parametrize("lines", SMUGGLED, ids=lambda lines: "+".join(lines))
def test_second_request_is_never_smuggled(lines: tuple[str, ...], town: Town) -> None:
    body = json.dumps({**HELLO, "user": "smuggled"}).encode()
    inner = head(town, f"content-length: {len(body)}") + body
    served = len(town.upstream.control.seen)
    chunk = b"0\r\n\r\n" if "chunked" in str(lines) else b""
    with contextlib.suppress(OSError):
        exchange(town.product.port, head(town, *lines) + chunk + inner, timeout_s=1.0)
    time.sleep(0.1)
    arrived = list(town.upstream.control.seen)[served:]
    assert not arrived
    assert chat(town, HELLO).status == 200


# Money


def assert_over_budget(reply: Reply, within_s: float) -> int:
    """Check a refusal for money and return when the window ends."""
    error = assert_refused(reply, 429, "insufficient_quota")
    reset = int(reply.headers["x-pool-limit-reset"])
    assert time.time() < reset <= time.time() + within_s + 1
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(reset))
    assert moment in error["message"]
    assert error["type"] == "insufficient_quota"
    assert reply.headers["x-should-retry"] == "false" or reset - time.time() < 61
    return reset


def test_request_beyond_a_whole_budget_is_429_and_says_the_cure(town: Town) -> None:
    reply = chat(town, HELLO, "poor")
    error = assert_refused(reply, 429, "insufficient_quota")
    # Waiting would not help: the same request will not fit the next window either.
    assert "max_tokens" in error["message"]
    assert reply.headers["x-should-retry"] == "false"
    assert "retry-after" not in reply.headers


def test_spent_budget_is_429_with_the_reset_time(town: Town) -> None:
    replies = [chat(town, {**HELLO, "max_tokens": 1_000}, "spent")]
    while replies[-1].status == 200 and len(replies) < 200:
        replies.append(chat(town, {**HELLO, "max_tokens": 1_000}, "spent"))
    assert len(replies) > 10
    reset = assert_over_budget(replies[-1], 3_600)
    assert abs(int(replies[-1].headers["retry-after"]) - (reset - time.time())) < 3


def test_every_refusal_of_a_known_key_is_on_record(town: Town, asker: Asker) -> None:
    reply = chat(town, {**HELLO, "model": "gpt-unknown"})
    request, attempts = asker.rows(reply)
    assert (request.status, request.attempts, attempts) == (404, 0, [])
