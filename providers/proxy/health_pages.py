"""Answer whether this worker lives, whether it takes work, and how it fares."""

from __future__ import annotations

import hmac
from typing import Final, Protocol

from poolsite.crypto import Peppers
from providers.proxy.exchange import Headers, Message, Send
from providers.proxy.metrics import CONTENT_TYPE, DataMetrics

HEALTHZ: Final = "/healthz"
READYZ: Final = "/readyz"
METRICS: Final = "/metrics"
PATHS: Final = frozenset({HEALTHZ, READYZ, METRICS})
_TEXT: Final = b"text/plain; charset=utf-8"
_LOOPBACK: Final = ("127.", "::1", "::ffff:127.")
_LONGEST_TOKEN: Final = 200


class Reporter(Protocol):
    """What the pages need to know."""

    @property
    def is_ready(self) -> bool:
        """Whether new work is taken."""

    @property
    def metrics(self) -> DataMetrics:
        """The counters of all workers."""

    @property
    def peppers(self) -> Peppers:
        """What tokens are checked with."""

    @property
    def metrics_tokens(self) -> tuple[str, ...]:
        """``pepper id:digest`` of each token with the scope ``metrics``."""


async def answer(scope: Message, send: Send, reporter: Reporter) -> None:
    """Answer one of the three pages; strangers learn one word."""
    path = scope["path"]
    if scope["method"] not in ("GET", "HEAD"):
        await respond(
            scope, send, 405, b"method not allowed\n", ((b"allow", b"GET, HEAD"),)
        )
    elif path == HEALTHZ:
        await respond(scope, send, 200, b"ok\n")
    elif path == READYZ:
        if reporter.is_ready:
            await respond(scope, send, 200, b"ready\n")
        else:
            await respond(scope, send, 503, b"unavailable\n", ((b"retry-after", b"1"),))
    elif _may_read_metrics(scope, reporter):
        await respond(
            scope, send, 200, reporter.metrics.render(), content_type=CONTENT_TYPE
        )
    else:
        await respond(scope, send, 401, b"a token with the scope metrics is needed\n")


async def respond(
    scope: Message,
    send: Send,
    status: int,
    body: bytes,
    headers: tuple[tuple[bytes, bytes], ...] = (),
    *,
    content_type: bytes = _TEXT,
) -> None:
    """Send a short answer that nobody keeps."""
    sent: Headers = [
        (b"content-type", content_type),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
        *headers,
    ]
    await send({"type": "http.response.start", "status": status, "headers": sent})
    body = b"" if scope["method"] == "HEAD" else body
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _may_read_metrics(scope: Message, reporter: Reporter) -> bool:
    """Admit loopback itself, not what came through a proxy on it, and tokens."""
    token = ""
    is_forwarded = False
    for name, value in scope["headers"]:
        if name == b"authorization" and value[:7].lower() == b"bearer ":
            token = value[7:].decode("latin-1").strip()
        elif name in (b"x-forwarded-for", b"forwarded", b"x-real-ip", b"via"):
            is_forwarded = True
    client = scope.get("client")
    if client and not is_forwarded and str(client[0]).startswith(_LOOPBACK):
        return True
    if not token or len(token) > _LONGEST_TOKEN:
        return False
    is_known = False
    for entry in reporter.metrics_tokens:
        pepper_id, _, digest = entry.partition(":")
        made = reporter.peppers.digest_with(pepper_id, token)
        is_known |= made is not None and hmac.compare_digest(made, digest)
    return is_known
