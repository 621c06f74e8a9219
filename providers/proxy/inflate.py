"""Undo the compression of a request body, never beyond a size.

Codex sends zstd, browsers' libraries gzip, others deflate with or without its header, or
br. The libraries of the rarer two are loaded when the first such body comes.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Final

_ZLIB_AUTO: Final = 47
_DEFLATE_RAW: Final = -15
_PIECE_BYTES: Final = 64 * 1024
_MOST_WINDOW_BYTES: Final = 64 * 1024 * 1024


class TooLargeError(ValueError):
    """Report a body that grows beyond the limit."""


class DamagedError(ValueError):
    """Report a body that is not what its encoding says, or is cut short."""


def inflate(body: bytes, encoding: bytes, limit: int) -> bytes:
    """Return a body as it was before it was compressed.

    Shapes:  ``encoding`` is one of ``ENCODINGS``.
    Errors:  TooLargeError above ``limit``, DamagedError.
    Cost:    never holds much more than ``limit`` bytes, whatever a body claims.
    """
    return ENCODINGS[encoding](body, limit)


def _zlib(body: bytes, limit: int) -> bytes:
    """Undo gzip or deflate, also deflate without its header."""
    for window in (_ZLIB_AUTO, _DEFLATE_RAW):
        inflater = zlib.decompressobj(window)
        try:
            plain = inflater.decompress(body, limit + 1)
        except zlib.error:
            continue
        if len(plain) > limit:
            raise TooLargeError
        if inflater.eof:
            return plain
    raise DamagedError


def _brotli(body: bytes, limit: int) -> bytes:
    import brotli

    inflater = brotli.Decompressor()
    parts: list[bytes] = []
    size = 0
    try:
        fed = body
        while True:
            part = inflater.process(fed, output_buffer_limit=_PIECE_BYTES)
            fed = b""
            parts.append(part)
            size += len(part)
            if size > limit:
                raise TooLargeError
            if inflater.is_finished():
                return b"".join(parts)
            if inflater.can_accept_more_data():
                raise DamagedError
    except brotli.error:
        raise DamagedError from None


def _zstd(body: bytes, limit: int) -> bytes:
    import zstandard

    inflater = zstandard.ZstdDecompressor(max_window_size=_MOST_WINDOW_BYTES)
    parts: list[bytes] = []
    size = 0
    try:
        with inflater.stream_reader(body, read_across_frames=True) as reader:
            while part := reader.read(_PIECE_BYTES):
                parts.append(part)
                size += len(part)
                if size > limit:
                    raise TooLargeError
    except zstandard.ZstdError:
        raise DamagedError from None
    if not parts and body:
        raise DamagedError
    return b"".join(parts)


ENCODINGS: Final[dict[bytes, Callable[[bytes, int], bytes]]] = {
    b"gzip": _zlib,
    b"x-gzip": _zlib,
    b"deflate": _zlib,
    b"br": _brotli,
    b"zstd": _zstd,
}
