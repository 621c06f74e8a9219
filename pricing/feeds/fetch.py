"""Ask a public source over HTTP, with bounds on size, time and direction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from threading import Thread
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from django.conf import settings

from poolsite.destinations import Category, EgressError, EgressRefusedError, Vetter
from poolsite.egress_control import Answer, ControlClient

DEADLINE_S: Final = 15.0
_GRACE_S: Final = 0.5
MOST_BYTES: Final = 16 * 1024 * 1024
_GROWTH: Final = 20
_SMALL_BYTES: Final = 64 * 1024
_LONGEST_ETAG: Final = 200
_LONGEST_HOST: Final = 80
_WORDS: Final = {
    Category.DNS: "The host name does not resolve; is this machine online?",
    Category.REFUSED: "Nothing answers at this address.",
    Category.TLS: "The TLS certificate is not valid for this host.",
    Category.TIMEOUT: "It did not answer in time.",
    Category.RESET: "The connection was cut before the answer was complete.",
    Category.TOO_LARGE: "The answer is too large to be believed; nothing was taken over.",
}


class FetchError(Exception):
    """The source could not be read; ``message`` says why to a person."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Fetched(NamedTuple):
    """An answer.

    Shapes:  ``body`` is None when the source says that nothing has changed.
    """

    body: bytes | None
    etag: str = ""


def fetch(
    url: str, *, etag: str = "", last_bytes: int = 0, deadline_s: float = DEADLINE_S
) -> Fetched:
    """Ask a source, saying what is known already.

    Units:   ``last_bytes`` is the size of the last good answer, 0 when there is none;
             one that is more than twenty times larger is refused.
    Errors:  FetchError for anything but a complete 200, or 304.
    Cost:    one outbound request of at most ``deadline_s``.
    """
    headers = {"Accept": "application/json"}
    if etag:
        headers["If-None-Match"] = etag
    answer = _send(url, headers, limit_of(last_bytes), deadline_s)
    if answer.status == 304 and etag:
        return Fetched(None, etag)
    if answer.status != 200:
        raise FetchError(_refusal(answer))
    return Fetched(answer.body, _etag(answer.headers))


def limit_of(last_bytes: int) -> int:
    """Return how many bytes an answer may have after one of ``last_bytes``."""
    if not last_bytes:
        return MOST_BYTES
    return min(MOST_BYTES, max(_SMALL_BYTES, _GROWTH * last_bytes))


def vetter() -> Vetter:
    """Return what decides where a source may be."""
    return Vetter(settings.CONFIG.allow_private)


def _send(
    url: str, headers: Mapping[str, str], limit_bytes: int, deadline_s: float
) -> Answer:
    try:
        with ControlClient(
            vetter(),
            read_timeout_s=deadline_s,
            deadline_s=deadline_s,
            limit_bytes=limit_bytes,
        ) as client:
            to = client.prepare(url)
            return _within(
                deadline_s,
                lambda: client.send(to, headers=headers, secret_origin=None),
            )
    except EgressRefusedError as exc:
        raise FetchError(str(exc)) from exc
    except EgressError as exc:
        raise FetchError(_WORDS.get(exc.category, str(exc))) from exc


def _within(deadline_s: float, send: Callable[[], Answer]) -> Answer:
    """Wait no longer than the deadline, also for a server that drips its headers.

    The client bounds each read and the body as a whole; what comes before the body may
    take for ever a byte at a time. The thread left behind ends with its connection,
    which the caller closes.
    """
    waiting: Future[Answer] = Future()

    def work() -> None:
        try:
            waiting.set_result(send())
        except BaseException as exc:  # noqa: BLE001 - raised again where it is awaited
            waiting.set_exception(exc)

    Thread(target=work, daemon=True, name="feed").start()
    try:
        return waiting.result(deadline_s + _GRACE_S)
    except TimeoutError as exc:
        raise FetchError(_WORDS[Category.TIMEOUT]) from exc


def _refusal(answer: Answer) -> str:
    status = answer.status
    if 300 <= status < 400 and status != 304:
        target = _host_of(answer.headers.get("location", ""))
        where = f" to {target}" if target else ""
        return (
            f"It redirects{where} ({status}). Redirects are not followed: set the "
            "address it moved to as this source's URL if you trust it."
        )
    return f"It answered {status} instead of a list."


def _host_of(location: str) -> str:
    try:
        host = urlsplit(location).hostname or ""
    except ValueError:
        return ""
    return host if host.isprintable() and len(host) <= _LONGEST_HOST else ""


def _etag(headers: Mapping[str, str]) -> str:
    text = headers.get("etag", "")
    is_sound = text.isascii() and text.isprintable() and len(text) <= _LONGEST_ETAG
    return text if is_sound else ""
