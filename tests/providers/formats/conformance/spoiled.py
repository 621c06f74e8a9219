"""Spoil JSON and bytes as broken and hostile peers do."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Iterator
from typing import Any

from providers.formats.framing_eventstream import encode_frame, read_headers

ODD_VALUES = (
    "null",
    "true",
    "-1",
    "0.5",
    "1e400",
    "-0.0",
    "123456789012345678901234567890",
    '""',
    '"odd"',
    '"\\ud800"',
    '"\\u0000\\uffff"',
    "[]",
    "{}",
    '[1,"a",null,{}]',
    '{"a":{"b":[]}}',
    '{"type":7}',
    '{"type":"odd","type":"text"}',
    "[" * 2000 + "]" * 2000,
    '{"a":' * 2000 + "1" + "}" * 2000,
)


def nodes(value: Any) -> int:
    """Count the values in a value."""
    if isinstance(value, dict):
        return 1 + sum(map(nodes, value.values()))
    if isinstance(value, list):
        return 1 + sum(map(nodes, value))
    return 1


def with_odd_value(value: Any, rng: random.Random) -> bytes:
    """Write a value as JSON with one of the values in it exchanged, or said twice."""
    return _Spoiler(rng.randrange(nodes(value)), rng).write(value).encode()


class _Spoiler:
    """Write JSON, and the node of one number wrongly."""

    def __init__(self, number: int, rng: random.Random) -> None:
        self._number = number
        self._rng = rng

    def write(self, value: Any) -> str:
        """Return JSON."""
        self._number -= 1
        if self._number == -1:
            return self._rng.choice(ODD_VALUES)
        if isinstance(value, dict):
            return "{" + ",".join(self._members(value)) + "}"
        if isinstance(value, list):
            return "[" + ",".join(map(self.write, value)) + "]"
        return json.dumps(value)

    def _members(self, value: dict[str, Any]) -> Iterator[str]:
        for name, inner in value.items():
            if self._rng.random() < 0.05:
                yield json.dumps(name) + ":" + self._rng.choice(ODD_VALUES)
            yield json.dumps(name) + ":" + self.write(inner)


def with_odd_bytes(data: bytes, rng: random.Random) -> bytes:
    """Return some bytes with a few of them changed, lost, doubled or strange."""
    spoiled = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(spoiled) + 1)
        until = min(len(spoiled), at + rng.randint(0, 40))
        spoiled[at:until] = rng.choice(
            (
                b"",
                bytes(spoiled[at:until]) * 2,
                rng.randbytes(rng.randint(1, 8)),
                b"\n\n",
                b"\x00\xff\xfe}{",
                b"data: ",
            )
        )
    return bytes(spoiled)


def payload_of(frame: bytes) -> Any | None:
    """Return what a frame says, None when it says nothing that is JSON."""
    text = _bare(frame)
    try:
        value = json.loads(text)
    except ValueError:
        return None
    if isinstance(value, dict) and set(value) == {"bytes"}:
        return json.loads(base64.b64decode(value["bytes"]))
    return value


def with_payload(frame: bytes, payload: bytes) -> bytes:
    """Return a frame that says something else."""
    if frame[:1] == b"\x00":
        headers = read_headers(frame)
        if headers.get(":event-type") == "chunk":
            told = {"bytes": base64.b64encode(payload).decode()}
            payload = json.dumps(told).encode()
        return encode_frame(headers, payload)
    bare = _bare(frame)
    return frame.replace(bare, payload)


def _bare(frame: bytes) -> bytes:
    """Take a frame's payload out of it."""
    if frame[:1] == b"\x00":
        head = 12 + int.from_bytes(frame[4:8], "big")
        return frame[head:-4]
    _, found, rest = frame.partition(b"data: ")
    return (rest if found else frame).strip()
