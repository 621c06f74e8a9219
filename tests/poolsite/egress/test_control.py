"""Prove that the control plane's client is as strict as the data plane's."""

from __future__ import annotations

import gzip
import socket
from collections.abc import Iterator

import httpx2
import pytest

from poolsite import egress_control
from poolsite.destinations import Category, OriginMismatchError, host_port_of
from poolsite.egress_control import (
    ControlClient,
    EgressError,
    EgressRefusedError,
    Vetter,
)
from tests.poolsite.egress.sinkhole import sinkhole
from tests.poolsite.egress.spellings import loopback_urls


@pytest.fixture
def client() -> Iterator[ControlClient]:
    with ControlClient(Vetter(), read_timeout_s=1) as made:
        yield made


def test_no_spelling_of_loopback_reaches_it(client: ControlClient) -> None:
    with sinkhole() as v4, sinkhole(family=socket.AF_INET6) as v6:
        urls = [
            *loopback_urls(v4.port),
            f"http://[::1]:{v6.port}/",
            f"http://localhost:{v6.port}/",
        ]
        for url in urls:
            with pytest.raises(EgressError):
                client.send(client.prepare(url), secret_origin=None)
        assert len(urls) > 300
        assert (v4.accepted, v6.accepted) == (0, 0)


def test_the_socket_alone_refuses_what_the_text_would_have() -> None:
    raw = egress_control._make_client(Vetter(), None, egress_control.tls_context(), 1)
    tried = 0
    with sinkhole() as server, raw:
        for url in loopback_urls(server.port):
            try:
                seen = httpx2.URL(url)
            except (httpx2.InvalidURL, ValueError):
                continue
            if seen.scheme != "http" or not seen.host:
                continue
            tried += 1
            with pytest.raises((EgressError, httpx2.HTTPError, UnicodeError)):
                raw.get(seen)
        assert tried > 100
        assert server.accepted == 0


def test_allowed_host_and_port_is_reached_and_its_neighbour_is_not(
    client: ControlClient,
) -> None:
    with sinkhole() as ollama, sinkhole() as neighbour:
        url = f"http://localhost:{ollama.port}/api/tags"
        allowed = frozenset({host_port_of(url)})
        answer = client.send(client.prepare(url, allowed), secret_origin=None)
        assert (answer.status, answer.body) == (200, b"ok")
        for other in (
            f"http://localhost:{neighbour.port}/",
            f"http://127.0.0.1:{ollama.port}/",
        ):
            with pytest.raises(EgressRefusedError):
                client.send(client.prepare(other, allowed), secret_origin=None)
        with pytest.raises(EgressRefusedError):
            client.send(client.prepare(url), secret_origin=None)
        assert (ollama.accepted, neighbour.accepted) == (1, 0)


def test_redirect_is_not_followed_and_cookies_are_forgotten(
    client: ControlClient,
) -> None:
    with sinkhole() as target:
        moved = (
            f"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:{target.port}/\r\n"
            "Set-Cookie: a=b\r\nContent-Length: 0\r\n\r\n"
        ).encode()
        with sinkhole(moved) as server:
            url = f"http://127.0.0.1:{server.port}/"
            allowed = frozenset({host_port_of(url), ("127.0.0.1", target.port)})
            for _ in range(2):
                found = client.prepare(url, allowed)
                assert client.send(found, secret_origin=None).status == 302
            assert target.accepted == 0
            assert not any(b"cookie" in data.lower() for data in server.received)


def test_proxy_of_the_environment_is_ignored(
    client: ControlClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sinkhole() as proxy, sinkhole() as server:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        url = f"http://127.0.0.1:{server.port}/"
        found = client.prepare(url, frozenset({host_port_of(url)}))
        assert client.send(found, secret_origin=None).body == b"ok"
        assert proxy.accepted == 0


def test_secret_never_leaves_for_another_origin(client: ControlClient) -> None:
    with sinkhole() as server:
        url = f"http://127.0.0.1:{server.port}/"
        found = client.prepare(url, frozenset({host_port_of(url)}))
        with pytest.raises(OriginMismatchError):
            client.send(found, secret_origin="https://api.example.com:443")
        assert server.accepted == 0


def test_answer_is_inflated_and_capped() -> None:
    body = gzip.compress(b"0" * 1_000_000)
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n"
    with sinkhole(head.encode() + body) as server:
        url = f"http://127.0.0.1:{server.port}/"
        vetter = Vetter([f"127.0.0.1:{server.port}"])
        with ControlClient(vetter) as wide:
            answer = wide.send(wide.prepare(url), secret_origin=None)
            assert len(answer.body) == 1_000_000
        for limit in (500, 10_000):
            with ControlClient(vetter, limit_bytes=limit) as narrow:
                with pytest.raises(EgressError) as caught:
                    narrow.send(narrow.prepare(url), secret_origin=None)
                assert caught.value.category is Category.TOO_LARGE


@pytest.mark.parametrize(
    ("answer", "category"),
    [(b"", Category.TIMEOUT), (b"nonsense\r\n\r\n", Category.RESET)],
)
def test_bad_answers_have_a_category(
    client: ControlClient, answer: bytes, category: Category
) -> None:
    with (
        sinkhole(answer) as server,
        ControlClient(Vetter(), read_timeout_s=0.2) as quick,
    ):
        url = f"http://127.0.0.1:{server.port}/"
        found = quick.prepare(url, frozenset({host_port_of(url)}))
        with pytest.raises(EgressError) as caught:
            quick.send(found, secret_origin=None)
    assert caught.value.category is category


def test_closed_port_unknown_name_and_plain_text_are_told_apart(
    client: ControlClient,
) -> None:
    with sinkhole() as gone:
        port = gone.port
    with sinkhole(b"HTTP/1.1 400 Bad Request\r\n\r\n") as plain:
        cases = {
            f"http://127.0.0.1:{port}/": Category.REFUSED,
            "http://no-such-host.invalid/": Category.DNS,
            f"https://127.0.0.1:{plain.port}/": Category.TLS,
        }
        for url, category in cases.items():
            found = client.prepare(url, frozenset({host_port_of(url)}))
            with pytest.raises(EgressError) as caught:
                client.send(found, secret_origin=None)
            assert caught.value.category is category, url
