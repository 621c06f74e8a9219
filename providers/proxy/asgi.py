"""The door: one port for clients and browsers.

Proxy paths go to the pipeline, health pages are answered here, everything else is
relayed to the console. What can be seen of bad framing is refused before anything
else looks at the call.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from poolsite.ids import uuid7_text
from providers.formats.base import WireFormat
from providers.formats.errors import ErrorDetail
from providers.proxy import health_pages
from providers.proxy.errors import InternalError, ProxyError
from providers.proxy.exchange import Headers, Inbound, Message, Receive, Send
from providers.proxy.heads import dialect_headers
from providers.proxy.health_pages import respond
from providers.proxy.paths import Match

if TYPE_CHECKING:
    from providers.proxy.runtime import Runtime

_MOST_HEADERS: Final = 100
_MOST_HEADER_BYTES: Final = 32 * 1024
_LONGEST_PATH: Final = 8 * 1024
_ONCE: Final = frozenset({b"host", b"content-length", b"content-type", b"expect"})
_LISTS: Final = frozenset({"models", "model"})
_LISTED: Final = frozenset({b"anthropic-beta", b"openai-beta", b"accept"})
_log: Final = logging.getLogger("providers.proxy")


class Door:
    """The ASGI application of one data worker."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope."""
        kind = scope["type"]
        if kind == "http":
            await self._http(scope, receive, send)
        elif kind == "lifespan":
            await self._lifespan(receive, send)
        elif kind == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await self._runtime.start()
        except Exception as error:  # noqa: BLE001 - the server must hear of any failure
            _log.error("data_start_failed: %s", error)
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._runtime.stop()
        await send({"type": "lifespan.shutdown.complete"})

    async def _http(self, scope: Message, receive: Receive, send: Send) -> None:
        runtime = self._runtime
        method, path = scope["method"], scope["path"]
        headers: Headers = scope["headers"]
        fields: dict[bytes, bytes] = dict(headers)
        problem = _framing_problem(headers, fields, path)
        if problem:
            await respond(scope, send, 400, problem, ((b"connection", b"close"),))
            return
        if len(fields) != len(headers):
            fields = _joined(headers)
        match = runtime.routes.find(method, path)
        if match is not None:
            await self._proxy(match, scope, receive, send, fields)
        elif path in health_pages.PATHS:
            await health_pages.answer(scope, send, runtime)
        elif b"upgrade" in fields and b"websocket" in fields[b"upgrade"].lower():
            await _upgrade_required(scope, send)
        elif runtime.routes.is_proxy_path(path):
            await self._unknown(scope, send)
        elif _is_probe(scope, fields):
            await respond(scope, send, 200, _greeting(fields))
        elif runtime.relay is None:
            await respond(scope, send, 404, b"There is no console on this node.\n")
        else:
            await runtime.relay.handle(
                scope,
                receive,
                send,
                peer=runtime.peers.client_of(scope, fields),
                scheme=runtime.peers.scheme_of(scope, fields),
            )

    async def _proxy(
        self,
        match: Match,
        scope: Message,
        receive: Receive,
        send: Send,
        fields: dict[bytes, bytes],
    ) -> None:
        runtime = self._runtime
        clock = runtime.clock
        query = scope.get("query_string", b"")
        wire = match.wire
        if match.op in _LISTS:
            wire = runtime.routes.lister(match, fields, query)
        inbound = Inbound(
            request_id=uuid7_text(clock),
            received_at_ns=clock.time_ns(),
            received_at=clock.monotonic(),
            method=scope["method"],
            path=match.path,
            query=query,
            headers=scope["headers"],
            fields=fields,
            peer=runtime.peers.client_of(scope, fields),
            wire=wire,
            op=match.op,
            path_model=match.path_model,
            is_stream=match.is_stream,
        )
        pipeline = runtime.pipeline
        refusal = runtime.refusal()
        if match.allowed:
            if b"upgrade" in fields:
                await _upgrade_required(scope, send)
                return
            error = ProxyError(
                f"{scope['method']} is not possible here; use "
                f"{' or '.join(match.allowed)}.",
                status=405,
                code="method_not_allowed",
            )
            runtime.metrics.stranger_refused(error.code)
            allowed = ", ".join(match.allowed).encode()
            error.headers = ((b"allow", allowed),)
            await _refuse(error, wire, inbound.request_id, scope, send)
        elif refusal is not None or pipeline is None:
            error = refusal or _starting()
            await _refuse(error, wire, inbound.request_id, scope, send)
        else:
            await pipeline.handle(inbound, receive, send)

    async def _unknown(self, scope: Message, send: Send) -> None:
        """Refuse a path below a proxy root that no wire format knows."""
        error = ProxyError(
            "This path is not served here. Check the base URL of your client.",
            status=404,
            code="unknown_url",
        )
        self._runtime.metrics.stranger_refused(error.code)
        wire = self._runtime.routes.speaker(scope["path"])
        request_id = uuid7_text(self._runtime.clock)
        await _refuse(error, wire, request_id, scope, send)


async def _refuse(
    error: ProxyError, wire: WireFormat, request_id: str, scope: Message, send: Send
) -> None:
    """Word an error the way the path's clients read it."""
    detail: ErrorDetail = error.detail()
    status, body = wire.build_error(error.status, detail, request_id=request_id)
    headers = [(b"x-pool-request-id", request_id.encode()), *error.headers]
    headers += dialect_headers(wire, status, detail)
    if error.retry_after_s is not None:
        headers.append((b"retry-after", b"%d" % max(1, round(error.retry_after_s))))
    await respond(
        scope, send, status, body, tuple(headers), content_type=b"application/json"
    )


async def _upgrade_required(scope: Message, send: Send) -> None:
    """Tell clients that try WebSocket first to fall back to plain HTTP."""
    headers = ((b"upgrade", b"HTTP/1.1"), (b"connection", b"upgrade"))
    await respond(scope, send, 426, b"WebSocket is not served here.\n", headers)


def _starting() -> InternalError:
    return InternalError(
        "The pool is starting; try again in a moment.",
        status=503,
        code="not_ready",
        retry_after_s=1,
    )


def _is_probe(scope: Message, fields: dict[bytes, bytes]) -> bool:
    """Tell a tool that looks whether anybody is there from a browser."""
    if scope["path"] != "/":
        return False
    method = scope["method"]
    is_browser = b"text/html" in fields.get(b"accept", b"")
    return (method == "HEAD" or method == "GET") and not is_browser


def _greeting(fields: dict[bytes, bytes]) -> bytes:
    """Say who is here; Ollama's own clients look for their server's words."""
    is_ollama = b"ollama" in fields.get(b"user-agent", b"").lower()
    return b"Ollama is running" if is_ollama else b"Provider Pool\n"


def _joined(headers: Headers) -> dict[bytes, bytes]:
    """Return the headers by name where some came twice: lists are joined in order."""
    fields: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in fields and name in _LISTED:
            value = b"%b,%b" % (fields[name], value)
        fields[name] = value
    return fields


def _framing_problem(headers: Headers, fields: dict[bytes, bytes], path: str) -> bytes:
    """Say what is wrong with the framing, as far as it is visible here.

    The server has parsed the call already; two readings of one message must not
    survive it, since they are how one request is smuggled inside another.
    """
    if len(headers) > _MOST_HEADERS:
        return b"too many header fields\n"
    if b"transfer-encoding" in fields:
        if b"content-length" in fields:
            return b"both a length and a transfer encoding\n"
        if fields[b"transfer-encoding"].strip().lower() != b"chunked":
            return b"transfer encoding not supported\n"
    if not path.startswith("/") or len(path) > _LONGEST_PATH:
        return b"malformed path\n"
    if len(fields) == len(headers):
        size = sum(map(len, fields)) + sum(map(len, fields.values()))
    else:
        size = sum(len(name) + len(value) for name, value in headers)
    if size > _MOST_HEADER_BYTES:
        return b"header fields too large\n"
    if len(fields) != len(headers):
        names = [name for name, _ in headers]
        if any(names.count(name) > 1 for name in _ONCE):
            return b"a header field that must be single came twice\n"
    return b""
