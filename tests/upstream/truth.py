"""Keep the log of what was truly served: the oracle the ledger is compared with.

Every record is one JSON line written by one unbuffered `write(2)` on a descriptor
opened for appending, so a reader (or its crash) never sees or causes half a line, and
a killed product takes nothing of it along.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass
class Served:
    """One call as this upstream saw it.

    Units:  tokens by the upstream's own rule; completion_tokens are those handed to the
            kernel (for a JSON answer all of them from its first byte, because a vendor
            has generated and charges them by then, and a share of them while it was
            kept waiting by `slow-first`); bytes are of the body.
    Shapes: usage is what the answer reported, None when it reported nothing;
            usage_sent says whether that figure left completely.
    """

    serial: int
    request_id: str
    attempt: int
    key: str
    dialect: str
    path: str
    model: str
    scenario: str
    stream: bool
    status: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    bytes: int = 0
    usage: dict[str, Any] | None = None
    usage_sent: bool = False
    ended: str = "open"
    started_at: float = 0.0
    ended_at: float = 0.0

    @property
    def billable(self) -> bool:
        """Say whether a vendor would charge for this call."""
        return 200 <= self.status < 300 or self.status == 0


class TruthLog:
    """Append served calls to a file, or only keep them when there is no file."""

    def __init__(self, path: Path | None) -> None:
        self._descriptor: int | None = None
        if path is not None:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
            self._descriptor = os.open(path, flags, 0o644)

    def begin(self, served: Served) -> None:
        """Note that a call has arrived."""
        self._write(
            {
                "event": "begin",
                "serial": served.serial,
                "request_id": served.request_id,
                "attempt": served.attempt,
                "key": served.key,
                "model": served.model,
                "prompt_tokens": served.prompt_tokens,
                "started_at": served.started_at,
            }
        )

    def end(self, served: Served) -> None:
        """Note how a call ended and what had left by then."""
        self._write({"event": "end", **asdict(served)})

    def close(self) -> None:
        """Close the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _write(self, record: dict[str, Any]) -> None:
        if self._descriptor is not None:
            os.write(self._descriptor, json.dumps(record).encode() + b"\n")


def read_truth(path: Path) -> Iterator[Served]:
    """Yield every call in the log once, in order of arrival.

    Shapes: a call that began and has not ended is yielded with ended="open".
    Fails:  an unreadable last line is skipped, it belongs to a writer that was killed.
    """
    calls: dict[int, Served] = {}
    for line in path.read_text().splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if record.pop("event") == "end":
            calls[record["serial"]] = Served(**record)
            continue
        calls[record["serial"]] = Served(
            **record, dialect="", path="", scenario="", stream=False
        )
    yield from sorted(calls.values(), key=lambda served: served.serial)
