"""Write the heads of answers: what the pool says of itself beside what it relays."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Final

from providers.formats.base import WireFormat
from providers.formats.errors import ErrorDetail
from providers.proxy.call import Call
from providers.proxy.errors import ProxyError
from providers.proxy.exchange import Candidate, Headers

_NO_CACHE: Final = (b"cache-control", b"no-cache")
_NO_BUFFERING: Final = (b"x-accel-buffering", b"no")
_JSON: Final = (b"content-type", b"application/json")
_UNPRICED: Final = (b"x-pool-unpriced", b"true")
_REQUEST_ID: Final = b"x-request-id"
_SHOULD_RETRY: Final = b"x-should-retry"
_LONGEST_SLEEP_S: Final = 60.0
_RETRY_AFTER: Final = (b"retry-after", b"retry-after-ms")
_MEDIA: Final = re.compile(
    r"(?:audio/[\w.+-]+|text/(?:plain|vtt|srt)|application/(?:octet-stream|x-subrip))"
    r"(?:\s*;[\x20-\x7e]*)?",
    re.IGNORECASE,
)
_UNSAFE: Final = re.compile(r"[^!-+\--~]")
_MOST_LOSS_BYTES: Final = 600
_ATTEMPTS: Final = tuple(b"%d" % number for number in range(32))


def answer_head(
    request_id: bytes,
    candidate: Candidate,
    returned: Headers,
    *,
    attempts: int,
    overhead_s: float,
) -> Headers:
    """Return the head of an answer that was served.

    Shapes:  ``returned`` is what may come back of the upstream's own headers; its
             request id stays under its usual name, where SDKs look for it.
    """
    headers = [
        (b"x-pool-request-id", request_id),
        *candidate.name_headers,
        (b"x-pool-attempts", _ATTEMPTS[min(attempts, 31)]),
        (b"x-pool-overhead-ms", b"%.2f" % (overhead_s * 1000)),
        *returned,
    ]
    if candidate.price.spec is None:
        headers.append(_UNPRICED)
    if candidate.panic:
        headers.append(
            (b"x-pool-warning", b"panic:" + candidate.panic.encode("ascii", "replace"))
        )
    return headers


def stream_type(call: Call, upstream: str = "") -> bytes:
    """Return the content type of a client's stream; some dialects have two.

    Shapes:  ``upstream`` is what the upstream called its own.
    """
    own: str = getattr(call.stream, "content_type", "")
    if getattr(call.stream, "keeps_type", False):
        own = kept_type(upstream, own)
    return (own or call.inbound.wire.stream_content_type).encode("ascii")


def kept_type(upstream: str, own: str) -> str:
    """Return an upstream's content type if it is one of text or media, else ours.

    A page of HTML from an upstream must not become one of the pool's.
    """
    is_safe = _MEDIA.fullmatch(upstream) is not None
    return upstream if is_safe else own


def json_head(headers: Headers, content_type: str = "") -> Headers:
    """Make it the head of a whole answer, JSON unless said otherwise."""
    if content_type:
        headers.append((b"content-type", content_type.encode("latin-1")))
    else:
        headers.append(_JSON)
    return headers


def stream_head(headers: Headers, content_type: bytes) -> Headers:
    """Make it the head of a stream: not cached, not buffered, of unknown length."""
    headers += ((b"content-type", content_type), _NO_CACHE, _NO_BUFFERING)
    return headers


def dialect_headers(wire: WireFormat, status: int, detail: ErrorDetail) -> Headers:
    """Return the headers a dialect words its errors with; most have none."""
    made = getattr(wire, "error_headers", None)
    if made is None:
        return []
    words: Mapping[str, str] = made(status, detail)
    return [(name.encode("latin-1"), value.encode()) for name, value in words.items()]


def loss_header(losses: Sequence[str]) -> tuple[bytes, bytes]:
    """Name what a translation could not carry over; a long list ends in its number."""
    kept: list[str] = []
    size = 0
    for place, loss in enumerate(losses):
        word = _UNSAFE.sub("_", loss)
        size += len(word) + 1
        if size > _MOST_LOSS_BYTES:
            kept.append(f"and_{len(losses) - place}_more")
            break
        kept.append(word)
    return b"x-pool-loss", ",".join(kept).encode("ascii")


def error_head(request_id: bytes, error: ProxyError, *, attempts: int) -> Headers:
    """Return the head of an error.

    Shapes:  ``x-should-retry`` is what SDKs obey over their own rules; ``retry-after``
             in whole seconds, at least one.
    """
    headers: Headers = [
        (b"content-type", error.raw_content_type.encode("latin-1")),
        (b"x-pool-request-id", request_id),
        (b"x-pool-attempts", _ATTEMPTS[min(attempts, 31)]),
        *error.headers,
    ]
    wait_s, should_retry = error.retry_after_s, error.retryable
    if wait_s is not None and wait_s > _LONGEST_SLEEP_S:
        # Some SDKs sleep as long as they are told before they try again: hours.
        should_retry = False
    # What an upstream said of retrying yields to what the pool knows of all of them.
    if should_retry is not None:
        value = b"true" if should_retry else b"false"
        headers = [pair for pair in headers if pair[0] != _SHOULD_RETRY]
        headers.append((_SHOULD_RETRY, value))
    if wait_s is not None:
        headers = [pair for pair in headers if pair[0] not in _RETRY_AFTER]
        headers.append((b"retry-after", b"%d" % max(1, math.ceil(wait_s))))
    if not any(name == _REQUEST_ID for name, _ in error.headers):
        headers.append((_REQUEST_ID, request_id))
    return headers
