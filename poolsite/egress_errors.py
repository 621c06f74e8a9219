"""Name what went wrong on the way out, the same for both HTTP clients.

Free of either client: both chain the operating system's error beneath their own, and
that error is what tells a refused connection from a broken one.
"""

from __future__ import annotations

import errno
import socket
import ssl
import zlib
from collections.abc import Iterator
from typing import Final

from poolsite.destinations import (
    Category,
    EgressError,
    EgressRefusedError,
    is_policy_refusal,
)

_UNREACHABLE: Final = frozenset(
    {errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EADDRNOTAVAIL}
)
_SENTENCES: Final = {
    Category.DNS: "The host name could not be resolved.",
    Category.REFUSED: "The host refused the connection or cannot be reached.",
    Category.TLS: "The secure connection could not be set up.",
    Category.TIMEOUT: "The host did not answer in time.",
    Category.RESET: "The connection broke.",
    Category.AUTH: "The host refused the credential.",
    Category.TOO_LARGE: "The answer is too large.",
}


def egress_error(category: Category) -> EgressError:
    """Make the error of a category, with its sentence."""
    if category is Category.REFUSED_BY_POLICY:
        return EgressRefusedError("This address is never reached.")
    return EgressError(category, _SENTENCES[category])


def refusal_in(error: BaseException) -> EgressRefusedError | None:
    """Return our own refusal from beneath a client's error."""
    for link in _causes(error):
        if isinstance(link, EgressRefusedError):
            return link
    return None


def category_of_status(status: int) -> Category | None:
    """Name the category of an answer that arrived: auth, or None for all others."""
    return Category.AUTH if status in (401, 403) else None


def category_of(error: BaseException) -> Category:
    """Name what went wrong, from the error or any error beneath it."""
    chain = list(_causes(error))
    for link in chain:
        if isinstance(link, EgressError):
            return link.category
        if isinstance(link, OSError) and is_policy_refusal(link):
            return Category.REFUSED_BY_POLICY
    for link in chain:
        category = _category_of_one(link)
        if category is not None:
            return category
    return Category.RESET


def inflate_capped(data: bytes, encoding: str, limit: int) -> bytes:
    """Undo gzip or deflate without ever holding more than the limit.

    Errors: EgressError too_large; reset for an unknown encoding or broken data.
    """
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return data
    if name not in ("gzip", "x-gzip", "deflate"):
        raise EgressError(Category.RESET, "The answer has an unknown encoding.")
    # 47 reads gzip and zlib headers alike.
    inflater = zlib.decompressobj(47)
    try:
        result = inflater.decompress(data, limit + 1)
    except zlib.error as exc:
        raise EgressError(Category.RESET, "The answer is damaged.") from exc
    if len(result) > limit:
        raise egress_error(Category.TOO_LARGE)
    if not inflater.eof:
        raise EgressError(Category.RESET, "The answer is cut short.")
    return result


def tls_context(ca_file: str | None = None) -> ssl.SSLContext:
    """Make the TLS settings: certificates verified, TLS 1.2 or newer."""
    context = ssl.create_default_context(cafile=ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Walk from an error to what caused it, through the client's own wrapper too."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        wrapped = getattr(link, "os_error", None)
        link = (
            wrapped
            if isinstance(wrapped, OSError)
            else (link.__cause__ or link.__context__)
        )


def _category_of_one(error: BaseException) -> Category | None:
    if isinstance(error, socket.gaierror):
        return Category.DNS
    if isinstance(error, ssl.SSLError):
        return Category.TLS
    if isinstance(error, TimeoutError):
        return Category.TIMEOUT
    if isinstance(error, ConnectionResetError | BrokenPipeError):
        return Category.RESET
    if isinstance(error, OSError) and error.errno in _UNREACHABLE:
        return Category.REFUSED
    if isinstance(error, ValueError):
        # The client found the URL itself wrong; ours was checked, so say policy.
        return Category.REFUSED_BY_POLICY
    return None
