"""Word errors as OpenAI does, and read the many shapes compatible servers use."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from providers.formats.base import UNREADABLE, is_bulky
from providers.formats.errors import ErrorDetail

MAX_MESSAGE: Final = 2_000

_TYPES: Final[dict[int, str]] = {
    401: "authentication_error",
    403: "permission_error",
    408: "timeout_error",
    429: "rate_limit_error",
    499: "client_closed_request",
}
_CODES: Final[dict[int, str]] = {
    400: "invalid_request",
    401: "invalid_api_key",
    403: "permission_denied",
    404: "not_found",
    413: "request_too_large",
    429: "rate_limit_exceeded",
    502: "upstream_error",
    503: "service_unavailable",
    504: "timeout",
}
_EMPTY: Final = frozenset({b"", b"null", b'""', b"{}", b"[]", b"false"})


class _ErrorText(msgspec.Struct):
    """Order the fields as OpenAI does; the request id is ours."""

    message: str
    type: str
    param: str | None
    code: str | None
    request_id: str


class _ErrorBody(msgspec.Struct):
    error: _ErrorText


def build_error_body(status: int, detail: ErrorDetail, *, request_id: str) -> bytes:
    """Return the JSON body of an error.

    Shapes:  type and code come from the detail, else from the status.
    """
    fallback = "server_error" if status >= 500 else "invalid_request_error"
    text = _ErrorText(
        message=detail.message or "The request failed.",
        type=detail.type or _TYPES.get(status, fallback),
        param=detail.param,
        code=detail.code or _CODES.get(status),
        request_id=request_id,
    )
    return msgspec.json.encode(_ErrorBody(text))


def read_error_body(status: int | None, body: bytes) -> ErrorDetail:
    """Read an upstream's error.

    Shapes:  OpenAI's object; a bare string; FastAPI's ``detail``; flat ``message``;
             Google's list of one; anything else as text.
    Fails:   never; without words the message is empty.
    """
    if is_bulky(body):
        return ErrorDetail(message=_plain(body), status=status, raw=body)
    try:
        value = msgspec.json.decode(body)
    except UNREADABLE:
        return ErrorDetail(message=_plain(body), status=status, raw=body)
    return _detail(status, value, body)


def is_error(raw: msgspec.Raw) -> bool:
    """Tell whether an ``error`` member says something."""
    return bytes(raw) not in _EMPTY


def _detail(status: int | None, value: Any, raw: bytes) -> ErrorDetail:
    """Pick message, type, code and param out of a decoded error."""
    if isinstance(value, list):
        value = value[0] if value else {}
    if isinstance(value, dict):
        inner = value.get("error") or value.get("errors") or value
        if isinstance(inner, list):
            inner = inner[0] if inner else {}
        if isinstance(inner, str):
            inner = {**value, "message": inner}
        value = inner
    if not isinstance(value, dict):
        return ErrorDetail(message=_cut(_words(value)), status=status, raw=raw)
    message = ""
    for key in ("message", "detail", "error_msg", "msg", "reason"):
        if value.get(key):
            message = _words(value[key])
            break
    code = _word(value.get("code")) or _word(value.get("error_code"))
    return ErrorDetail(
        message=_cut(message),
        type=_word(value.get("type")) or _word(value.get("status")),
        code=code,
        param=_word(value.get("param")),
        status=status if status is not None else _http_status(value.get("code")),
        raw=raw,
    )


def _http_status(code: Any) -> int | None:
    """Read a status out of an in-stream error that carries one as its code."""
    if isinstance(code, int) and not isinstance(code, bool) and 400 <= code <= 599:
        return code
    return None


def _words(value: Any) -> str:
    """Return a text for whatever stands where a message should."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return str(value[0].get("msg") or value[0].get("message") or "")
    if isinstance(value, dict):
        return str(value.get("message") or "")
    return ""


def _word(value: Any) -> str | None:
    """Return a short text, None for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    text = str(value)
    return text if text and len(text) <= 200 else None


def _plain(body: bytes) -> str:
    """Return a text body's words; a page of HTML has none worth showing."""
    text = body[: MAX_MESSAGE * 4].decode("utf-8", "replace").strip()
    return "" if text.startswith("<") else _cut(text)


def _cut(text: str) -> str:
    """Keep a message to a size fit for a record."""
    return text if len(text) <= MAX_MESSAGE else text[: MAX_MESSAGE - 1] + "…"
