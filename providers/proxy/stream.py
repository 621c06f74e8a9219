"""Room 6: move an answer's bytes from the upstream to the client, metering a copy.

Whatever one read of the socket brings leaves in one write, so bursts stay bursts; the
next read waits until the client took the last write, so a slow client slows its
upstream down instead of filling memory.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from poolsite.egress import Category, EgressError, as_egress_error, inflate_capped
from providers.formats.base import FramingError
from providers.formats.taps import StreamTap
from providers.proxy import verdict
from providers.proxy import watch as watches
from providers.proxy.exchange import AttemptFailedError, Tally
from providers.proxy.ports import Answer
from providers.proxy.watch import Watch

PROGRESS_BYTES: Final = 4096
PROGRESS_S: Final = 2.0
_MOST_INFLATED: Final = 4 * 1024 * 1024
_ZLIB_AUTO: Final = 47
_PLAIN: Final = ("", "identity")

Read = Callable[[], Awaitable[bytes]]


class Writer(Protocol):
    """Where a relayed stream goes; ``reply.Reply`` or nowhere, when it is drained."""

    async def piece(self, data: bytes) -> None:
        """Write a part of the body."""


class Nowhere:
    """Take what nobody reads any more."""

    async def piece(self, data: bytes) -> None:
        """Drop it."""


async def read_whole(
    answer: Answer,
    watch: Watch,
    *,
    gap_s: float,
    limit: int,
    is_over: Callable[[bytes], bool] | None = None,
) -> bytes:
    """Read a buffered answer, inflated where it came compressed.

    Shapes:  ``is_over`` sees each part as it comes and may end the reading early.
    Errors:  AttemptFailedError when it breaks off or passes the limit.
    """
    read: Read = answer.content.readany
    parts: list[bytes] = []
    size = 0
    try:
        with as_egress_error():
            while True:
                watch.expect(watches.IDLE, gap_s)
                part = await read()
                if not part:
                    break
                parts.append(part)
                size += len(part)
                if size > limit or (is_over is not None and is_over(part)):
                    break
        if size > limit:
            raise AttemptFailedError(
                verdict.judge_transport(Category.TOO_LARGE, before_head=False)
            )
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        encoding = answer.headers.get("content-encoding", "")
        return inflate_capped(body, encoding, limit) if encoding else body
    except EgressError as error:
        failure = verdict.judge_transport(error.category, before_head=False)
        raise AttemptFailedError(failure) from error
    except FramingError as error:
        raise AttemptFailedError(verdict.broken(str(error))) from error


async def read_error_body(
    answer: Answer, watch: Watch, *, gap_s: float, limit: int
) -> bytes:
    """Read as much of an error's body as anybody would look at.

    Fails:   never; what breaks off or is too large comes back empty.
    """
    try:
        return await read_whole(answer, watch, gap_s=gap_s, limit=limit)
    except AttemptFailedError:
        return b""


def reader(answer: Answer) -> Read:
    """Return the function that reads a stream, inflating where need be.

    Errors:  AttemptFailedError for an encoding nobody asked for and we cannot undo.
    """
    encoding = answer.headers.get("content-encoding", "").strip().lower()
    read: Read = answer.content.readany
    if encoding in _PLAIN:
        return read
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise AttemptFailedError(verdict.broken("an unknown content encoding"))
    return _Inflating(read).read


class _Inflating:
    """Undo the compression of a stream piece by piece, each within a bound."""

    __slots__ = ("_inflater", "_read")

    def __init__(self, read: Read) -> None:
        self._read = read
        self._inflater = zlib.decompressobj(_ZLIB_AUTO)

    async def read(self) -> bytes:
        while True:
            data = await self._read()
            if not data:
                return b""
            try:
                plain = self._inflater.decompress(data, _MOST_INFLATED)
            except zlib.error as error:
                raise AttemptFailedError(verdict.broken("damaged data")) from error
            if self._inflater.unconsumed_tail:
                raise AttemptFailedError(verdict.broken("too much data at once"))
            if plain:
                return plain


async def first_useful(
    read: Read, tap: StreamTap, watch: Watch, *, gap_s: float, now_s: float
) -> bytes:
    """Wait for the first event worth showing; until then nothing has left.

    Shapes:  returns what the client may have by then. An upstream's pings count as
             life and are not worth showing.
    Units:   ``now_s`` Unix seconds, to read hints in an error with.
    Errors:  AttemptFailedError when the stream fails or ends before that.
    """
    try:
        with as_egress_error():
            while True:
                watch.expect(watches.IDLE, gap_s)
                data = await read()
                out = tap.feed(data) if data else tap.eof()
                if tap.error is not None and not tap.useful:
                    raise AttemptFailedError(verdict.judge_body(tap.error, now_s=now_s))
                if tap.useful:
                    watch.useful_within(None)
                    return out
                if not data:
                    raise AttemptFailedError(verdict.broken("an empty stream"))
    except EgressError as error:
        failure = verdict.judge_transport(error.category, before_head=False)
        raise AttemptFailedError(failure) from error
    except FramingError as error:
        raise AttemptFailedError(verdict.broken(str(error))) from error


async def relay(  # noqa: PLR0913 - the hot loop takes what it needs as locals
    read: Read,
    tap: StreamTap,
    writer: Writer,
    watch: Watch,
    *,
    first: bytes,
    gap_s: float,
    clean: Callable[[bytes], bytes],
    on_progress: Callable[[], None],
) -> bytes:
    """Relay until the answer ends and return its last bytes, not yet written.

    The caller settles before it writes them: when the client sees the end, the bill
    is on disk.

    Shapes:  ``clean`` takes out of whole frames what no client may see; ``first`` went
             through it already.
    Errors:  AttemptFailedError when the upstream breaks off; what was written stays.
    Cost:    under 3 us a read beside the tap and the two ends.
    """
    out = first
    piece = writer.piece
    expect = watch.expect
    now = asyncio.get_running_loop().time
    next_bytes = PROGRESS_BYTES
    next_at = now() + PROGRESS_S
    try:
        with as_egress_error():
            while not tap.done and tap.error is None:
                if out:
                    await piece(out)
                    if tap.out_bytes >= next_bytes or now() >= next_at:
                        next_bytes = tap.out_bytes + PROGRESS_BYTES
                        next_at = now() + PROGRESS_S
                        on_progress()
                expect(watches.IDLE, gap_s)
                data = await read()
                if not data:
                    return clean(tap.eof())
                out = clean(tap.feed(data))
            return out
    except EgressError as error:
        failure = verdict.judge_transport(error.category, before_head=False)
        raise AttemptFailedError(failure) from error
    except FramingError as error:
        raise AttemptFailedError(verdict.broken(str(error))) from error


def take_tally(tap: StreamTap, tally: Tally) -> None:
    """Copy what a tap has learned so far; reading it costs a parse, so once."""
    tally.usage = tap.usage
    tally.flags = tap.flags
    tally.vendor_cost_nano_usd = tap.vendor_cost_nano_usd
    tally.model = tap.model
    tally.response_id = tap.response_id
    tally.service_tier = tap.service_tier
    tally.finish_reasons = tap.finish_reasons
    tally.text_bytes = tap.text_bytes
    tally.out_bytes = tap.out_bytes
