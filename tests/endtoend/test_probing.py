"""Probes through a whole product: the short form of the proof, and a quick end."""

from __future__ import annotations

import contextlib
import http.client
import threading
import time
from pathlib import Path

import pytest

from scripts.proofs import probes
from scripts.proofs.figure import Figure
from tests.endtoend.browser import Browser
from tests.rig.stage import stage

pytestmark = pytest.mark.process


def _must_hold(figure: Figure) -> bool:
    # How long a page takes is the proof's to print: here other tests run beside it.
    return not figure.name.endswith("p50")


@pytest.mark.long
def test_300_models_are_probed_stopped_and_shown_within_the_budgets() -> None:
    figures = probes.run(5, short=True)
    assert all(figure.ok for figure in figures if _must_hold(figure)), figures


def test_an_open_live_page_does_not_hold_up_the_end(tmp_path: Path) -> None:
    # Without a worker the job waits, and so its stream stays open.
    with stage(tmp_path, arguments=["--no-worker"]) as scene:
        scene.provider("up", models=["gpt-test"])
        scene.open()
        product = scene.product
        password = "correct horse battery\n"
        product.pool(
            "user", "create", "o@example.com", "--role", "owner", stdin=password
        )
        browser = Browser(product.root)
        browser.sign_in("o@example.com", password.strip())
        run_id = probes._begin(scene, "up")
        told = threading.Thread(
            target=_listen, args=(browser, probes._job(scene, run_id)), daemon=True
        )
        told.start()
        time.sleep(1)  # the stream must be open when the end comes
        assert told.is_alive()
        begun = time.monotonic()
        product.stop()
        assert time.monotonic() - begun < 8
        assert probes._state(scene, run_id) == "new"


def _listen(browser: Browser, job_id: int) -> None:
    # The end of the product cuts it off.
    with contextlib.suppress(OSError, http.client.HTTPException):
        browser.get(f"/jobs/{job_id}/events/")
