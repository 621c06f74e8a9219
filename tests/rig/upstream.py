"""Run the fault upstream as a process of its own beside the product."""

from __future__ import annotations

import json
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any, Self

from tests.rig.ports import free_port
from tests.rig.processes import Child
from tests.upstream.truth import Served, read_truth


class UpstreamProcess:
    """A fault upstream that survives whatever happens to the test's own loop."""

    def __init__(
        self, directory: Path, *, seed: int = 0, cores: set[int] | None = None
    ) -> None:
        self.port = free_port()
        self.truth_path = directory / f"truth-{self.port}.jsonl"
        self.truth_path.touch()
        command = [sys.executable, "-m", "tests.upstream"]
        command += ["--port", str(self.port), "--seed", str(seed)]
        command += ["--log", str(self.truth_path)]
        self._child = Child(
            command, log=directory / f"upstream-{self.port}.log", cores=cores
        )

    @property
    def base_url(self) -> str:
        """Return the base URL in the OpenAI spelling, with /v1."""
        return f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> Self:
        """Wait until it answers. Errors: TimeoutError."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                self.calls()
            except OSError:
                time.sleep(0.05)
            else:
                return self
        self._child.stop()
        raise TimeoutError(self._child.tail())

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self._child.stop(within_s=5)

    def calls(self) -> dict[str, Any]:
        """Return the counts of the control endpoint."""
        return self._ask("/_control/calls")

    def reset(self) -> None:
        """Forget counts and orders; the truth log stays."""
        self._ask("/_control/reset", {})

    def order(self, target: str, spec: str | None) -> None:
        """Make every call with this key or model follow a scenario."""
        self._ask("/_control/scenario", {"target": target, "spec": spec})

    def truth(self) -> list[Served]:
        """Return every call so far, in order of arrival."""
        return list(read_truth(self.truth_path))

    def wait_idle(self, *, within_s: float = 10) -> None:
        """Wait until it serves nobody. Errors: TimeoutError."""
        deadline = time.monotonic() + within_s
        while self.calls()["open"]:
            if time.monotonic() > deadline:
                raise TimeoutError("the upstream still serves calls")
            time.sleep(0.05)

    def _ask(self, path: str, body: object = None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        url = f"http://127.0.0.1:{self.port}{path}"
        with urllib.request.urlopen(url, data, timeout=5) as reply:
            found: dict[str, Any] = json.load(reply)
        return found
