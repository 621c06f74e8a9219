"""Read a client's body, once its key is known: bounded in size, time and inflation."""

from __future__ import annotations

import asyncio
from typing import Final

from providers.proxy import watch as watches
from providers.proxy.errors import BodyError, ClientGoneError
from providers.proxy.exchange import Inbound, Receive
from providers.proxy.inflate import ENCODINGS, DamagedError, TooLargeError, inflate
from providers.proxy.watch import Watch
from providers.snapshot.types import SettingsRecord

_SLOWEST_BYTES_PER_S: Final = 1024
_GRACE_S: Final = 10.0
_PLAIN: Final = frozenset({b"", b"identity"})
_MOST_ENCODINGS: Final = 2


async def read_body(
    inbound: Inbound, receive: Receive, settings: SettingsRecord, watch: Watch
) -> bytes:
    """Return the body, inflated.

    Errors:  BodyError 413 before anything is read when the length says so, 408 when it
             comes too slowly, 415 for an unknown encoding, 400 for a broken one;
             ClientGoneError.
    """
    limit = settings.body_limit_bytes
    declared = inbound.fields.get(b"content-length")
    if declared is not None and declared.isdigit() and int(declared) > limit:
        raise _too_large(limit)
    encodings: tuple[bytes, ...] = ()
    if b"content-encoding" in inbound.fields:
        encodings = _encodings(inbound)
    try:
        body = await _receive_all(receive, limit, settings.body_timeout_s, watch)
    except asyncio.CancelledError:
        reason = watch.claim()
        if reason is None:
            raise
        raise BodyError(
            "The request body did not arrive in time.",
            status=408,
            code="request_timeout",
        ) from None
    watch.rest()
    if not encodings:
        return body
    # A few kilobytes may become 40 MB: a thread, so that only this call waits for it.
    return await asyncio.to_thread(_inflated, body, encodings, limit)


async def _receive_all(
    receive: Receive, limit: int, timeout_s: float, watch: Watch
) -> bytes:
    parts: list[bytes] = []
    size = 0
    now = asyncio.get_running_loop().time
    started = now()
    watch.expect(watches.BODY, min(timeout_s, _GRACE_S))
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise _too_large(limit)
        if not message.get("more_body", False):
            if not parts:
                return bytes(part)
            parts.append(part)
            return b"".join(parts)
        parts.append(part)
        # A body that crawls is as good as one that stalls, and has less time.
        allowed_s = min(timeout_s, _GRACE_S + size / _SLOWEST_BYTES_PER_S)
        watch.expect(watches.BODY, started + allowed_s - now())


def _too_large(limit: int) -> BodyError:
    return BodyError(
        f"The request body is larger than {limit // (1024 * 1024)} MB.",
        status=413,
        code="request_too_large",
    )


def _inflated(body: bytes, encodings: tuple[bytes, ...], limit: int) -> bytes:
    """Undo what was done to a body, the last first, each step within the limit."""
    for encoding in reversed(encodings):
        try:
            body = inflate(body, encoding, limit)
        except TooLargeError:
            raise _too_large(limit) from None
        except DamagedError:
            raise BodyError(
                "The compressed request body is damaged or cut short.",
                code="invalid_encoding",
            ) from None
    return body


def _encodings(inbound: Inbound) -> tuple[bytes, ...]:
    """Return what a body's encodings are, in the order they were applied.

    Errors:  BodyError 415 for one we cannot undo, or for too many of them.
    """
    named = inbound.fields.get(b"content-encoding", b"").lower().split(b",")
    found = tuple(name for each in named if (name := each.strip()) not in _PLAIN)
    if len(found) <= _MOST_ENCODINGS and all(name in ENCODINGS for name in found):
        return found
    raise BodyError(
        "The body's encoding is not supported; send it plain, gzip, deflate, br or "
        "zstd.",
        status=415,
        code="unsupported_encoding",
    )
