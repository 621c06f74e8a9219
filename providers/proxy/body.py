"""Read a client's body, once its key is known: bounded in size, time and inflation."""

from __future__ import annotations

import asyncio
import zlib
from typing import Final

from providers.proxy import watch as watches
from providers.proxy.errors import BodyError, ClientGoneError
from providers.proxy.exchange import Inbound, Receive
from providers.proxy.watch import Watch
from providers.snapshot.types import SettingsRecord

_SLOWEST_BYTES_PER_S: Final = 1024
_GRACE_S: Final = 10.0
_ZLIB_AUTO: Final = 47
_DEFLATE_RAW: Final = -15


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
    encoding = inbound.fields.get(b"content-encoding", b"").strip().lower()
    if encoding not in _ENCODINGS:
        raise BodyError(
            "The body's encoding is not supported; send it plain, gzip or deflate.",
            status=415,
            code="unsupported_encoding",
        )
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
    if not _ENCODINGS[encoding]:
        return body
    # A few kilobytes may become 40 MB: a thread, so that only this call waits for it.
    return await asyncio.to_thread(_inflated, body, limit)


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


def _inflated(body: bytes, limit: int) -> bytes:
    """Undo gzip or deflate, also deflate without its header, within the limit."""
    for window in (_ZLIB_AUTO, _DEFLATE_RAW):
        inflater = zlib.decompressobj(window)
        try:
            plain = inflater.decompress(body, limit + 1)
        except zlib.error:
            continue
        if len(plain) > limit:
            raise _too_large(limit)
        if inflater.eof:
            return plain
    raise BodyError(
        "The compressed request body is damaged or cut short.", code="invalid_encoding"
    )


_ENCODINGS: Final = {
    b"": False,
    b"identity": False,
    b"gzip": True,
    b"x-gzip": True,
    b"deflate": True,
}
