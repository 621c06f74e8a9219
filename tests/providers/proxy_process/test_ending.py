"""A data process ends without breaking what it had begun."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
import time
from collections.abc import Iterator

import pytest

from tests.providers.proxy_process.worker import MODEL, DataProcess
from tests.rig.upstream import UpstreamProcess

pytestmark = pytest.mark.process


@pytest.fixture
def pace(upstream: UpstreamProcess) -> Iterator[UpstreamProcess]:
    """The upstream, with its orders forgotten afterwards."""
    yield upstream
    upstream.reset()


class _Stream(threading.Thread):
    """One streamed chat, read to its end."""

    def __init__(self, data: DataProcess) -> None:
        super().__init__()
        self._data = data
        self.begun = threading.Event()
        self.text = ""
        self.seconds = 0.0

    def run(self) -> None:
        started = time.monotonic()
        body = {
            "model": MODEL,
            "messages": [{"role": "user", "content": "hi"}],
            "stream": True,
        }
        headers = {
            "authorization": f"Bearer {self._data.keys[0].key.reveal()}",
            "content-type": "application/json",
        }
        with contextlib.closing(self._data.connection(30)) as link:
            link.request("POST", "/v1/chat/completions", json.dumps(body), headers)
            answer = link.getresponse()
            with contextlib.suppress(OSError, http.client.HTTPException):
                while piece := answer.read1(65536):
                    self.text += piece.decode()
                    self.begun.set()
        self.seconds = time.monotonic() - started


def _streams(data: DataProcess, count: int) -> list[_Stream]:
    streams = [_Stream(data) for _ in range(count)]
    for stream in streams:
        stream.start()
    for stream in streams:
        assert stream.begun.wait(10)
    return streams


def test_an_idle_process_ends_at_once(data: DataProcess) -> None:
    started = time.monotonic()
    data.terminate()
    assert data.wait(within_s=10) == 0
    assert time.monotonic() - started < 3
    left = list(data.config.journal_path.iterdir())
    assert all(not (path / "reserve").exists() for path in left)


def test_streams_that_finish_in_time_finish_whole(
    data: DataProcess, pace: UpstreamProcess
) -> None:
    pace.order(MODEL, "chunks-10+gap-50")
    streams = _streams(data, 5)
    data.terminate()
    assert data.wait(within_s=15) == 0
    for stream in streams:
        stream.join(5)
        assert stream.text.rstrip().endswith("data: [DONE]")


def test_streams_open_at_the_deadline_end_with_an_error(
    data: DataProcess, pace: UpstreamProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    pace.order(MODEL, "chunks-200+len-400+gap-100")
    streams = _streams(data, 20)
    started = time.monotonic()
    data.terminate()
    time.sleep(0.1)
    assert data.status("/readyz") == 503
    assert data.wait(within_s=15) == 0
    seconds = time.monotonic() - started
    for stream in streams:
        stream.join(5)
        last = stream.text.rstrip().split("\n\n")[-1]
        assert "error" in json.loads(last.removeprefix("data: "))
        assert "[DONE]" not in stream.text
    with capsys.disabled():
        print(f"\n  20 streams cut and ended {seconds:.2f} s after SIGTERM (drain 1 s)")
    assert seconds < 1 + 5


def test_a_second_signal_makes_the_end_fast(
    stopped: DataProcess, pace: UpstreamProcess
) -> None:
    stopped.set_drain(30)
    stopped.start()
    stopped.wait_status("/readyz", 200, within_s=5)
    pace.order(MODEL, "chunks-200+len-400+gap-100")
    streams = _streams(stopped, 2)
    stopped.terminate()
    time.sleep(0.3)
    assert all(stream.is_alive() for stream in streams)
    started = time.monotonic()
    stopped.terminate()
    assert stopped.wait(within_s=15) == 0
    assert time.monotonic() - started < 5
    for stream in streams:
        stream.join(5)


def test_newcomers_are_served_for_a_moment_while_draining(
    stopped: DataProcess, pace: UpstreamProcess
) -> None:
    stopped.set_drain(30)
    stopped.start()
    stopped.wait_status("/readyz", 200, within_s=5)
    pace.order(MODEL, "first-1+chunks-30+len-60+gap-100")
    streams = _streams(stopped, 1)
    stopped.terminate()
    time.sleep(0.2)
    assert stopped.status("/readyz") == 503
    assert stopped.chat(stopped.keys[0])[0] == 200
    assert stopped.wait(within_s=20) == 0
    streams[0].join(5)
    assert streams[0].text.rstrip().endswith("data: [DONE]")
