"""Prove that a test of a provider names what is wrong, whatever the provider does."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from poolsite.actor import CLI
from poolsite.secret_type import Secret
from providers.discovery import asking, check
from providers.models import ApiKey
from providers.services import onboard, providers
from tests import factories
from tests.rig.ports import closed_port
from tests.rig.thread import UpstreamThread

SECRET = "sk-good-0123456789-abcd"


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UpstreamThread]:
    with UpstreamThread(tmp_path_factory.mktemp("upstream")) as running:
        yield running


def candidate(base_url: str, **values: Any) -> check.Candidate:
    known = {"allow_private": True, "api_format": "openai", **values}
    return check.Candidate(base_url, **known)


def look(base_url: str, secret: str = SECRET, **values: Any) -> check.CheckResult:
    timeout_s = values.pop("timeout_s", 5.0)
    found = check.check_candidate(
        candidate(base_url, **values),
        Secret(secret) if secret else None,
        timeout_s=timeout_s,
    )
    assert SECRET not in str(found)
    return found


@contextmanager
def answering(raw: bytes, *, then_hang_s: float = 0) -> Iterator[str]:
    """Serve these very bytes to whoever connects."""
    server = socket.create_server(("127.0.0.1", 0))
    done = threading.Event()

    def serve() -> None:
        while not done.is_set():
            try:
                peer, _ = server.accept()
            except OSError:
                return
            with peer:
                peer.recv(65_536)
                try:
                    peer.sendall(raw)
                except OSError:
                    continue
                done.wait(then_hang_s)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/v1"
    finally:
        done.set()
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join(5)


def sent(upstream: UpstreamThread) -> dict[str, str]:
    return {name.lower(): value for name, value in upstream.last.headers}


def answer(body: Any, status: str = "200 OK", headers: str = "") -> bytes:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = f"HTTP/1.1 {status}\r\ncontent-length: {len(raw)}\r\n{headers}"
    return f"{head}connection: close\r\n\r\n".encode() + raw


def test_good_provider_lists_its_models(upstream: UpstreamThread) -> None:
    found = look(upstream.base_url)
    assert found.ok
    assert found.state == "healthy"
    assert found.models == ["gpt-test", "gpt-test-large", "gpt-test-mini"]
    assert [stage.name for stage in found.stages] == [
        "connectivity", "authentication", "provider",
    ]  # fmt: skip
    assert sent(upstream)["authorization"] == f"Bearer {SECRET}"


@pytest.mark.parametrize(
    ("fault", "state", "words"),
    [
        ("401", "invalid_key", "refused the key (401)"),
        ("403", "invalid_key", "refused the key (403)"),
        ("429-retry-after-7", "rate_limited", "limits the rate"),
        ("404", "not_supported", "check the base URL's path"),
        ("500", "error", "answered 500"),
        ("redirect-self", "error", "answered 302"),
        ("html-200", "not_supported", "not a model list"),
        ("cut-rst-headers", "error", "was cut"),
        ("cut-fin-bytes-20", "error", "was cut"),
    ],
)
def test_fault_is_named_with_its_cure(
    fault: str, state: str, words: str, upstream: UpstreamThread
) -> None:
    secret = f"sk-bad-{fault}"
    found = look(upstream.base_url, secret)
    assert not found.ok
    assert found.state == state
    assert words in found.error
    assert secret not in str(found)
    if fault.startswith("429"):
        assert found.retry_after == "7"
    assert upstream.control.canary_hits == 0


@pytest.mark.parametrize("fault", ["silence", "stall-0"])
def test_provider_that_hangs_is_given_up(fault: str, upstream: UpstreamThread) -> None:
    started = time.monotonic()
    found = look(upstream.base_url, f"sk-bad-{fault}", timeout_s=0.3)
    assert time.monotonic() - started < 3
    assert found.state in ("error", "healthy")
    if fault == "silence":
        assert "in time" in found.error


def test_answer_that_drips_is_given_up() -> None:
    raw = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n" + b" " * 10
    with answering(raw, then_hang_s=5) as url:
        assert "in time" in look(url, timeout_s=0.3).error


def test_nobody_listening_is_said() -> None:
    found = look(f"http://127.0.0.1:{closed_port()}/v1")
    assert "nothing answers at this address; is the server running?" in found.error


def test_private_address_is_refused_with_the_cure(upstream: UpstreamThread) -> None:
    found = look(upstream.base_url, allow_private=False)
    assert not found.ok
    assert "POOL_ALLOW_PRIVATE" in found.error
    assert "allow it for the provider" in found.error


@pytest.mark.parametrize(
    "url",
    ["http://169.254.169.254/v1", "http://metadata.google.internal/v1", "ftp://x/v1",
     "https://", "", "https://u:p@x.example.com", "not a url", "http://0x7f000001/"],
)  # fmt: skip
def test_address_that_is_never_reached_is_refused_without_a_crash(url: str) -> None:
    found = look(url)
    assert not found.ok
    assert found.state == "error"
    assert found.error


def test_name_that_does_not_resolve_is_said() -> None:
    assert "does not resolve" in look("https://nobody.invalid/v1").error


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[1,2", b"\xff\xfe", {}, {"data": None}, {"data": {}}, "text", 5, None,
     {"error": "x"}, b"[" * 100_000],
)  # fmt: skip
def test_answer_that_is_no_list_is_said(body: Any) -> None:
    raw = answer(body if isinstance(body, bytes) else json.dumps(body).encode())
    with answering(raw) as url:
        found = look(url)
    assert found.state == "not_supported"
    assert "is the base URL right?" in found.error


@pytest.mark.parametrize(
    ("body", "models"),
    [
        ({"data": [{"id": "b"}, {"id": "a"}, {"id": "a"}]}, ["a", "b"]),
        ([{"id": "x"}], ["x"]),
        ({"data": []}, []),
        ({"data": [None, 1, "s", {}, {"id": None}, {"id": {}}, {"id": []}, {"id": 5},
                   {"id": ""}, {"id": " "}, {"id": "x" * 201}, {"id": "a\nb"},
                   {"id": "good"}]}, ["good"]),
    ],
)  # fmt: skip
def test_odd_entries_of_a_list_are_passed_over(body: Any, models: list[str]) -> None:
    with answering(answer(body)) as url:
        found = look(url)
    assert found.ok
    assert found.models == models


def test_endless_list_is_cut_and_oversized_one_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    body = {"data": [{"id": f"m{number}"} for number in range(check.MOST_MODELS + 9)]}
    with answering(answer(body)) as url:
        assert len(look(url).models) == check.MOST_MODELS
        monkeypatch.setattr(asking, "_LIMIT_BYTES", 10_000)
        assert "too large" in look(url).error


def test_no_key_where_one_is_needed_sends_nothing(upstream: UpstreamThread) -> None:
    seen = len(upstream.control.seen)
    found = look(upstream.base_url, "")
    assert (found.state, len(upstream.control.seen)) == ("invalid_key", seen)
    with answering(answer({"data": [{"id": "m"}]})) as url:
        assert look(url, "", needs_key=False).models == ["m"]


@pytest.mark.django_db
def test_stored_provider_is_tried_with_its_best_readable_key(
    upstream: UpstreamThread,
) -> None:
    acme = factories.make_provider(
        "acme",
        base_url=upstream.base_url,
        allow_private=True,
        headers={"x-team": "core"},
    )
    factories.make_api_key(acme, "sk-lost-0123456789", priority=99, state="unreadable")
    factories.make_api_key(acme, "sk-off-0123456789", priority=98, enabled=False)
    factories.make_api_key(acme, "sk-best-0123456789", priority=90)
    factories.make_api_key(acme, "sk-bad-401", priority=10)
    assert check.check_provider(acme).ok
    assert sent(upstream)["authorization"] == "Bearer sk-best-0123456789"
    assert sent(upstream)["x-team"] == "core"
    chosen = acme.api_keys.get(priority=10)
    assert check.check_provider(acme, chosen).state == "invalid_key"


@pytest.mark.django_db
def test_key_that_cannot_be_read_is_said_and_not_sent(
    upstream: UpstreamThread,
) -> None:
    acme = factories.make_provider(
        "acme", base_url=upstream.base_url, allow_private=True, keys=[SECRET]
    )
    ApiKey.objects.update(secret="garbage")
    seen = len(upstream.control.seen)
    assert check.check_provider(acme).state == "invalid_key"
    assert len(upstream.control.seen) == seen


@pytest.mark.django_db
def test_new_provider_is_tried_before_it_is_stored(upstream: UpstreamThread) -> None:
    new = onboard.NewProvider(
        "acme",
        values={"base_url": upstream.base_url + "/", "allow_private": True},
        secrets=[f" {SECRET} "],
        models=["extra"],
    )
    result = onboard.try_new(new)
    assert result.ok
    assert not providers.live().exists()
    row = onboard.save_new(CLI, new, result)
    names = set(row.models.values_list("model_id", flat=True))
    assert names == {"extra", "gpt-test", "gpt-test-large", "gpt-test-mini"}
    assert row.tested_at is not None


@pytest.mark.parametrize("scheme", ["sigv4", "google-sa", "entra"])
def test_secret_that_signs_is_not_sent(scheme: str) -> None:
    result = look("https://models.example.com", auth_scheme=scheme)
    assert result.state == "not_supported"
    assert "signs" in result.error


def test_list_of_another_format_is_told_from_ones_own(upstream: UpstreamThread) -> None:
    result = look(upstream.base_url, api_format="google")
    assert not result.ok
    assert "wire format" in result.error
