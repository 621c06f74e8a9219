"""The real ``pool serve``: starts, refuses, survives, stops."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.rig.processes import ROOT
from tests.rig.product import Product
from tests.rig.upstream import UpstreamProcess

pytestmark = pytest.mark.process


def serve(product: Product, *arguments: str, **env: str) -> tuple[int, str]:
    """Run ``pool serve`` that is expected to refuse; return status and stderr."""
    done = subprocess.run(
        [sys.executable, "manage.py", "serve", *arguments],
        cwd=ROOT, env={**os.environ, **product.env, **env},
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    return done.returncode, done.stderr


def until(is_true: Callable[[], object], *, within_s: float = 10) -> None:
    end = time.monotonic() + within_s
    while not is_true():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)


def page(product: Product, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(product.root + path, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_start_is_quick_and_prints_where_to_go(tmp_path: Path) -> None:
    with Product(tmp_path) as product:
        seconds = product.start()
        until(lambda: "Ctrl-C" in product.log.read_text())
        log = product.log.read_text()
        assert f"{product.root}/setup/?token=" in log
        assert seconds < 4
        status, text = page(product, "/setup/")
        assert status in (200, 403)
        assert text


def test_second_supervisor_and_busy_port_are_one_line_each(tmp_path: Path) -> None:
    with Product(tmp_path) as product:
        product.start()
        status, error = serve(product, "--port", "1")
        assert status == 1
        assert error.startswith("pool: another pool serve is using")
        assert error.count("\n") == 1
        product.stop()
        with socket.create_server(("127.0.0.1", product.port)):
            status, error = serve(product)
        assert status == 1
        assert error.count("\n") == 1
        assert "choose another with --port" in error


def test_contradiction_is_one_line(tmp_path: Path) -> None:
    with Product(tmp_path) as product:
        status, error = serve(product, "--workers", "3")
        assert (status, error.count("\n")) == (2, 1)


def test_unreachable_database_is_one_line(tmp_path: Path) -> None:
    with Product(tmp_path) as product:
        status, error = serve(
            product, DATABASE_URL="postgres://nobody@127.0.0.1:1/nothing"
        )
        assert status == 1
        assert "the database does not answer" in error
        assert "Traceback" not in error


@pytest.mark.parametrize("what", ["wrong", "missing"])
def test_without_the_right_key_only_a_locked_console_answers(
    tmp_path: Path, what: str
) -> None:
    with Product(tmp_path) as product:
        product.start()
        product.stop()
        path = product.data_dir / "keys" / "encryption_keys"
        right = path.read_text()
        if what == "wrong":
            path.write_text("A" * 43 + "=\n")
        else:
            path.unlink()
        product.log.write_text("")
        child = subprocess.Popen(
            [sys.executable, "manage.py", "serve"],
            cwd=ROOT, env={**os.environ, **product.env},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            until(lambda: product.status_of("/readyz") == 503)
            status, text = page(product, "/")
            assert status == 503
            assert "is locked" in text
            assert "encryption" in text
            assert page(product, "/healthz")[0] == 503
            assert page(product, "/v1/models")[0] == 503
            names = [
                " ".join(each.cmdline())
                for each in psutil.Process(child.pid).children()
            ]
            assert len(names) == 1
            assert "console" in names[0]
        finally:
            child.send_signal(signal.SIGTERM)
            _, error = child.communicate(timeout=15)
        assert error.splitlines()[0].startswith("pool: locked: ")
        assert what == "wrong" or not path.exists()
        path.write_text(right)
        product.start()


def test_dead_children_come_back_and_are_reported(tmp_path: Path) -> None:
    with Product(tmp_path) as product:
        product.start()
        until(lambda: product.processes("worker"))
        for kind in ("data", "console", "keeper", "worker"):
            killed = set(product.kill(kind, with_parent=True))
            assert killed

            def is_back(kind: str = kind, killed: set[int] = killed) -> bool:
                now = {each.pid for each in product.processes(kind)}
                return bool(now) and not now & killed

            until(is_back)
            assert f"pool: {kind} was ended by SIGKILL" in product.log.read_text()
        product.wait_ready(within_s=10)

        def alerts() -> set[str]:
            with sqlite3.connect(product.database) as link:
                rows = link.execute(
                    "select key from poolsite_alert where kind = 'process_died'"
                )
                return {row[0] for row in rows}

        until(lambda: alerts() == {"data", "console", "keeper", "worker"})


def test_killed_supervisor_leaves_nobody_behind(tmp_path: Path) -> None:
    with Product(tmp_path) as product:
        product.start()
        until(lambda: product.processes("worker"))
        (supervisor,) = product.processes("supervisor")
        family = supervisor.children(recursive=True)
        assert len(family) >= 5
        supervisor.kill()
        until(lambda: not any(each.is_running() for each in family), within_s=15)
        product.restart()


def test_one_interrupt_stops_all_in_order(tmp_path: Path) -> None:
    with Product(tmp_path) as product:
        product.start()
        (supervisor,) = product.processes("supervisor")
        family = supervisor.children(recursive=True)
        begin = time.monotonic()
        supervisor.send_signal(signal.SIGINT)
        until(lambda: not any(each.is_running() for each in family), within_s=15)
        assert time.monotonic() - begin < 10
        assert not list((product.data_dir / "journal").iterdir())
        assert "Traceback" not in product.log.read_text()


def test_planes_can_run_apart(tmp_path: Path) -> None:
    with Product(tmp_path, arguments=["--plane", "console"]) as product:
        product.start()
        assert page(product, "/v1/models")[0] != 401
        assert not product.processes("data")
        product.stop()
        product.arguments = ["--plane", "proxy"]
        product.start()
        assert page(product, "/v1/models")[0] == 401
        assert not product.processes("console")


def test_database_that_is_away_delays_rows_and_loses_none(tmp_path: Path) -> None:
    with UpstreamProcess(tmp_path) as upstream, Product(tmp_path) as product:
        product.add_provider("up", base_url=upstream.base_url, models=["gpt-test"])
        key = product.create_key("client")
        product.start()
        blocker = sqlite3.connect(product.database, isolation_level=None)
        blocker.execute("BEGIN EXCLUSIVE")
        for _ in range(5):
            assert ask(product, key) == 200
        until(lambda: "cannot ship the journal" in product.log.read_text(), within_s=20)
        assert ask(product, key) == 200
        blocker.execute("ROLLBACK")
        blocker.close()

        def rows() -> int:
            with sqlite3.connect(product.database) as link:
                count: int = link.execute(
                    "select count(*) from usage_request"
                ).fetchone()[0]
                return count

        until(lambda: rows() == 6, within_s=20)
        log = product.log.read_text()
        assert log.count("cannot ship the journal") == 1
        assert "can ship the journal again" in log
        assert "ended" not in log


def ask(product: Product, key: str) -> int:
    """Make one call and return its status."""
    body = {"model": "gpt-test", "messages": [{"role": "user", "content": "hi"}]}
    request = urllib.request.Request(
        f"{product.url}/chat/completions",
        data=json.dumps(body).encode(),
        headers={
            "Content-Type": "application/json",
            "Authorization": f"Bearer {key}",
        },
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        status: int = answer.status
        return status
