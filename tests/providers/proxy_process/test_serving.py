"""A data process serves, follows its snapshot and survives its workers."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from poolsite.config import Roots
from providers.snapshot import codec, types
from tests.providers.proxy_process import worker as worker_module
from tests.providers.proxy_process.worker import MODEL, DataProcess, wait_gone
from tests.providers.snapshot.records import header, pool
from tests.rig.upstream import UpstreamProcess

pytestmark = pytest.mark.process


def test_a_chat_request_passes_through(data: DataProcess) -> None:
    status, headers, body = data.chat(data.keys[0])
    assert status == 200
    assert headers["x-pool-provider"] == "up"
    assert json.loads(body)["choices"][0]["message"]["content"]


@pytest.mark.parametrize(
    "path",
    [
        "/chat/completions",
        "/v1/v1/chat/completions",
        "//v1//chat/completions/",
        "/v1/chat/completions/",
    ],
)
def test_a_base_url_pasted_wrong_still_works(data: DataProcess, path: str) -> None:
    body = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}]}
    assert data.ask("POST", path, key=data.keys[0], body=body)[0] == 200


def test_a_revoked_key_is_refused_within_two_seconds(
    data: DataProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    key, other = data.keys
    assert data.chat(key)[0] == 200
    data.revoke(key)
    started = time.monotonic()
    while data.chat(key)[0] != 401:
        assert time.monotonic() - started < 2
        time.sleep(0.005)
    seen = time.monotonic() - started
    assert data.chat(other)[0] == 200
    with capsys.disabled():
        print(f"\n  revocation seen after {seen * 1000:.0f} ms")


def test_a_killed_worker_is_replaced_again_and_again(
    data: DataProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    main = data.main.pid
    gaps = []
    for _ in range(20):
        victim = data.workers()[0]
        victim.kill()
        started = time.monotonic()
        victim.wait(5)
        data.bury_the_dead()
        while data.status("/readyz") != 200 or data.chat(data.keys[0])[0] != 200:
            assert time.monotonic() - started < 10, data.log.read_text()
            time.sleep(0.01)
        gaps.append(time.monotonic() - started)
    assert data.main.pid == main
    assert data.main.is_running()
    with capsys.disabled():
        print(
            f"\n  20 kills in a row: serving again after {min(gaps):.2f}"
            f" to {max(gaps):.2f} s"
        )


def test_a_connection_made_while_no_worker_lives_is_served(data: DataProcess) -> None:
    victim = data.workers()[0]
    victim.kill()
    victim.wait(5)
    data.bury_the_dead()
    assert data.ask("GET", "/healthz")[0] == 200


def test_a_killed_main_leaves_no_worker(data: DataProcess) -> None:
    workers = data.workers()
    data.main.kill()
    data.wait(within_s=5)
    assert wait_gone(workers, within_s=3)


def test_workers_answer_for_one_another(
    tmp_path: Path, upstream: UpstreamProcess
) -> None:
    with DataProcess(tmp_path, workers=2, limits="approximate") as data:
        data.write_snapshot(upstream.base_url)
        data.start()
        data.wait_status("/readyz", 200, within_s=5)
        end = time.monotonic() + 10
        while len(_metric_files(data)) < 2 and time.monotonic() < end:
            time.sleep(0.05)
        for _ in range(20):
            assert data.chat(data.keys[0])[0] == 200
        while time.monotonic() < end:
            text = data.ask("GET", "/metrics")[2].decode()
            counted = _value(text, r'pool_requests_total\{.*outcome="ok".*\}')
            if counted == 20:
                break
            time.sleep(0.1)
        assert counted == 20
        assert _value(text, "pool_workers") == 2


def test_metrics_are_for_loopback_or_a_token(data: DataProcess) -> None:
    forwarded = {"x-forwarded-for": "203.0.113.9"}
    assert data.ask("GET", "/metrics")[0] == 200
    assert data.ask("GET", "/metrics", headers=forwarded)[0] == 401


def test_before_the_first_snapshot_clients_are_told_to_wait(tmp_path: Path) -> None:
    with DataProcess(tmp_path) as data:
        data.start()
        assert data.status("/readyz") == 503
        status, headers, body = data.ask(
            "POST", "/v1/chat/completions", body={"model": "x", "messages": []}
        )
        assert status == 503
        assert headers["retry-after"] == "1"
        assert json.loads(body)["error"]["code"] == "not_ready"


def test_wrong_encryption_keys_are_not_ready(
    stopped: DataProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = "Zm9yLXRlc3RzLW9ubHktMzItYnl0ZXMtbG9uZy1rZXk="
    wrong = Roots(secret_key="x", encryption_keys=(other,), peppers=("ab" * 32,))
    monkeypatch.setattr(worker_module, "ROOTS", wrong)
    stopped.start()
    assert stopped.status("/readyz") == 503
    assert "encryption_keys_do_not_fit" in stopped.log.read_text()


def test_a_busy_port_is_said_in_one_line(stopped: DataProcess) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", stopped.config.port))
        with pytest.raises(TimeoutError):
            stopped.start(within_s=0.2)
        assert stopped.wait(within_s=5) == 1
    log = stopped.log.read_text()
    assert "cannot be used" in log
    assert "Traceback" not in log


def test_memory_stays_small_with_a_real_pool(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with DataProcess(tmp_path) as data:
        records = pool(keys=1000, models=1000, providers=100)
        ref = codec.write_base(data.config.snapshot_path, header(1), records)
        codec.publish(data.config.snapshot_path, codec.Manifest(types.SCHEMA, 1, ref))
        seconds = data.start()
        for _ in range(200):
            data.ask("GET", "/v1/models")
        size = data.workers()[0].memory_info().rss / 1e6
        whole = size + data.main.memory_info().rss / 1e6
    with capsys.disabled():
        print(
            f"\n  worker {size:.1f} MB resident with 100 providers and 1,000 keys"
            f" ({whole:.1f} MB with its main), up after {seconds:.2f} s"
        )
    assert size < 90


def test_no_django_is_loaded() -> None:
    code = (
        "import sys, providers.proxy.serve, providers.proxy.runtime\n"
        "print([m for m in sys.modules if m.split('.')[0] in"
        " ('django', 'redis', 'httpx2', 'celery', 'prometheus_client')])"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert out.stdout.strip() == "[]"


def test_a_start_without_a_supervisor_is_refused_in_one_line() -> None:
    out = subprocess.run(
        [sys.executable, "-m", "providers.proxy.serve"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert out.returncode == 2
    assert out.stderr.count("\n") == 1


def _metric_files(data: DataProcess) -> list[Path]:
    return list((data.config.run_path / "metrics").glob("data-*.json"))


def _value(text: str, pattern: str) -> float:
    found = re.findall(rf"^{pattern} (\S+)$", text, re.MULTILINE)
    return sum(float(each) for each in found)
