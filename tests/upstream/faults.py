"""Bend a good answer into a bad one, below the level of any dialect.

`bend` works on events first (what is missing, broken, cut), then on bytes (framing,
splits, compression), so that faults combine: a stream may be cut after its fifth event
and still arrive one byte at a time.
"""

from __future__ import annotations

import email.utils
import gzip
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from tests.upstream.answer import Answer, Dialect, Segment
from tests.upstream.scenario import Scenario

Ending = Literal["complete", "stall", "rst", "fin"]
_CUTS = {
    "cut-rst-headers": "rst",
    "cut-fin-headers": "fin",
    "cut-rst-bytes": "rst",
    "cut-fin-bytes": "fin",
    "cut-rst-chunk": "rst",
    "cut-fin-chunk": "fin",
}
_REDIRECTS = {
    "metadata": "http://169.254.169.254/latest/meta-data/",
    "file": "file:///etc/passwd",
    "self": "/_canary/redirected",
}


@dataclass
class Plan:
    """An answer ready for delivery.

    Shapes: length None is chunked; a number is announced whether true or not.
    Units:  slow_first_s before the head, late_token_s after it and gap_s in seconds.
    """

    status: int
    headers: list[tuple[str, str]]
    segments: list[Segment]
    ending: Ending = "complete"
    length: int | None = None
    silent: bool = False
    slow_first_s: float = 0.0
    late_token_s: float = 0.0
    gap_s: float = 0.0


def bend(
    answer: Answer, scenario: Scenario, dialect: Dialect, secret: str, seed: int
) -> Plan:
    """Apply a scenario to an answer."""
    rng = random.Random(f"{seed}:{scenario.spec}")
    segments, ending = _cut(_bend_events(answer, scenario, dialect), scenario)
    segments = _echo(segments, scenario, secret)
    headers = [*answer.headers, *_headers(scenario, secret)]
    status = answer.status
    if scenario.has("redirect"):
        status = 302
    segments, headers = _bend_bytes(segments, headers, scenario, rng)
    return Plan(
        status=status,
        headers=headers,
        segments=segments,
        ending=ending,
        length=_length(answer, segments, scenario, ending),
        silent=scenario.has("silence"),
        slow_first_s=scenario.number("slow-first") / 1_000,
        late_token_s=scenario.number("late-token") / 1_000,
        gap_s=scenario.number("gap") / 1_000,
    )


def error_headers(detail: str) -> list[tuple[str, str]]:
    """Return the retry headers a status such as `429-retry-after-1` asks for."""
    if detail.startswith("retry-after-ms-"):
        return [("retry-after-ms", detail.removeprefix("retry-after-ms-"))]
    if detail.startswith("retry-after-date"):
        seconds = float(detail.removeprefix("retry-after-date").lstrip("-") or 2)
        when = email.utils.formatdate(time.time() + seconds, usegmt=True)
        return [("retry-after", when)]
    if detail.startswith("retry-after-"):
        return [("retry-after", detail.removeprefix("retry-after-"))]
    return []


def _bend_events(answer: Answer, scenario: Scenario, dialect: Dialect) -> list[Segment]:
    segments = list(answer.segments)
    if scenario.has("empty-body"):
        return []
    if not answer.stream:
        return segments
    if scenario.has("empty-stream"):
        return []
    if scenario.has("error-200-sse"):
        return [dialect.stream_error()]
    if scenario.has("error-mid"):
        at = scenario.number("error-mid", 3)
        return [*segments[:at], dialect.stream_error()]
    if scenario.has("bad-json"):
        at = scenario.number("bad-json", 3)
        segments.insert(at, Segment(b'data: {"id":"chatcmpl-broken","choices":[{\n\n'))
    if scenario.has("garbled"):
        at = min(scenario.number("garbled", 3), len(segments))
        segments[at:] = [Segment(b"\x00\xff\xfe\x80 garbage \r\x01data;;{]\n\n")]
    if scenario.has("huge-line"):
        size = scenario.number("huge-line", 5_000_000)
        filler = b"data: " + b"x" * size + b"\n\n"
        segments.insert(1, Segment(filler, event=False))
    if scenario.has("comments"):
        count = scenario.number("comments", 1_000_000)
        segments.insert(1, Segment(b": x\n\n" * count, event=False))
    return segments


def _cut(segments: list[Segment], scenario: Scenario) -> tuple[list[Segment], Ending]:
    if scenario.has("stall-bytes"):
        return _take_bytes(segments, scenario.number("stall-bytes", 100)), "stall"
    if scenario.has("stall"):
        return _head(segments, scenario.number("stall", 3)), "stall"
    name = scenario.first(*_CUTS)
    if name is None:
        return segments, "complete"
    ending: Ending = "rst" if _CUTS[name] == "rst" else "fin"
    if name.endswith("headers"):
        return [], ending
    if name.endswith("chunk"):
        return _head(segments, scenario.number(name, 3)), ending
    return _take_bytes(segments, scenario.number(name, 100)), ending


def _head(segments: list[Segment], events: int) -> list[Segment]:
    kept: list[Segment] = []
    for segment in segments:
        if segment.event and events == 0:
            break
        events -= segment.event
        kept.append(segment)
    return kept


def _take_bytes(segments: list[Segment], budget: int) -> list[Segment]:
    kept: list[Segment] = []
    for segment in segments:
        if len(segment.data) > budget:
            kept.append(Segment(segment.data[:budget]))
            break
        budget -= len(segment.data)
        kept.append(segment)
    return kept


def _echo(segments: list[Segment], scenario: Scenario, secret: str) -> list[Segment]:
    if not scenario.first("echo-secret-body", "echo-secret-error"):
        return segments
    told = f"Your key is {secret}. ".encode()
    for index, segment in enumerate(segments):
        for mark in (b'"content": "', b'"message": "'):
            if mark in segment.data and mark + b'"' not in segment.data:
                data = segment.data.replace(mark, mark + told, 1)
                changed = replace(segment, data=data)
                return [*segments[:index], changed, *segments[index + 1 :]]
    return segments


def _headers(scenario: Scenario, secret: str) -> list[tuple[str, str]]:
    headers: list[tuple[str, str]] = []
    if scenario.has("echo-secret-header"):
        headers += [("x-request-id", f"req-{secret}"), ("x-debug-key", secret)]
    if scenario.has("redirect"):
        target = scenario.text("redirect", "self")
        headers.append(("location", _REDIRECTS.get(target, target)))
    return headers


def _bend_bytes(
    segments: list[Segment],
    headers: list[tuple[str, str]],
    scenario: Scenario,
    rng: random.Random,
) -> tuple[list[Segment], list[tuple[str, str]]]:
    if scenario.has("no-space"):
        segments = _map(segments, lambda data: data.replace(b"data: ", b"data:", 1))
    if scenario.has("crlf"):
        segments = _map(segments, lambda data: data.replace(b"\n", b"\r\n"))
    if scenario.has("bom") and segments:
        first = replace(segments[0], data=b"\xef\xbb\xbf" + segments[0].data)
        segments = [first, *segments[1:]]
    if scenario.has("gzip"):
        segments = _compress(segments)
        headers = [*headers, ("content-encoding", "gzip")]
    if scenario.has("byte-by-byte"):
        segments = _split(segments, lambda: 1)
    elif scenario.has("split"):
        rng = random.Random(scenario.text("split", "0"))
        segments = _split(segments, lambda: rng.randint(1, 40))
    return segments, headers


def _map(segments: list[Segment], change: Callable[[bytes], bytes]) -> list[Segment]:
    return [replace(segment, data=change(segment.data)) for segment in segments]


def _compress(segments: list[Segment]) -> list[Segment]:
    """Compress the whole body; everything has arrived only with the last byte."""
    data = gzip.compress(b"".join(segment.data for segment in segments), 6, mtime=0)
    return [
        Segment(
            data,
            sum(segment.tokens for segment in segments),
            sum(segment.reasoning_tokens for segment in segments),
            usage=any(segment.usage for segment in segments),
        )
    ]


def _split(segments: list[Segment], size: Callable[[], int]) -> list[Segment]:
    """Cut the body anew; what a segment delivers counts with its last byte."""
    body = b"".join(segment.data for segment in segments)
    cuts, at = [], 0
    while at < len(body):
        end = min(len(body), at + size())
        cuts.append((at, end))
        at = end
    ends: list[tuple[int, Segment]] = []
    at = 0
    for segment in segments:
        at += len(segment.data)
        ends.append((at, segment))
    parts: list[Segment] = []
    mark = 0
    for start, end in cuts:
        due: list[Segment] = []
        while mark < len(ends) and ends[mark][0] <= end:
            due.append(ends[mark][1])
            mark += 1
        parts.append(
            Segment(
                body[start:end],
                sum(segment.tokens for segment in due),
                sum(segment.reasoning_tokens for segment in due),
                usage=any(segment.usage for segment in due),
            )
        )
    return parts


def _length(
    answer: Answer, segments: list[Segment], scenario: Scenario, ending: Ending
) -> int | None:
    true = sum(len(segment.data) for segment in segments)
    if scenario.has("wrong-length-short"):
        return max(0, true - scenario.number("wrong-length-short", 20))
    if scenario.has("wrong-length-long"):
        return true + scenario.number("wrong-length-long", 20)
    if answer.stream:
        return None
    if ending == "complete":
        return true
    # A cut document announces the length it would have had.
    return sum(len(segment.data) for segment in answer.segments)
