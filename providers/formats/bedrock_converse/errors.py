"""Word errors as Bedrock does, and read its own.

The kind of an error travels in a header (``x-amzn-errortype``) of a plain answer and in
the record's headers of a stream; the body is a message.

Source: reference wire 1.9 and 2.19.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from providers.formats.base import UNREADABLE, is_bulky
from providers.formats.errors import ErrorDetail

MAX_MESSAGE: Final = 2_000

_VALIDATION: Final = ("ValidationException", 400)
_ACCESS: Final = ("AccessDeniedException", 403)
_QUOTA: Final = ("ServiceQuotaExceededException", 400)
_TIMEOUT: Final = ("ModelTimeoutException", 408)
_MODEL: Final = ("ModelErrorException", 424)
_INTERNAL: Final = ("InternalServerException", 500)
_UNAVAILABLE: Final = ("ServiceUnavailableException", 503)

_BY_STATUS: Final = {
    401: _ACCESS,
    402: _QUOTA,
    403: _ACCESS,
    404: ("ResourceNotFoundException", 404),
    408: _TIMEOUT,
    424: _MODEL,
    429: ("ThrottlingException", 429),
    502: _MODEL,
    503: _UNAVAILABLE,
    504: _TIMEOUT,
    529: _UNAVAILABLE,
}
_BY_CODE: Final = {
    "insufficient_quota": _QUOTA,
    "context_length_exceeded": _VALIDATION,
    "server_is_overloaded": _UNAVAILABLE,
    "timeout": _TIMEOUT,
}
_IN_STREAM: Final = {
    "ValidationException": "validationException",
    "ServiceQuotaExceededException": "throttlingException",
    "ThrottlingException": "throttlingException",
    "ModelTimeoutException": "modelTimeoutException",
    "ModelErrorException": "modelStreamErrorException",
    "ServiceUnavailableException": "serviceUnavailableException",
}
# What an upstream's exception means: status, and the pool's own word for it.
_MEANINGS: Final[dict[str, tuple[int, str]]] = {
    "accessdenied": (403, "permission_denied"),
    "conflict": (400, "invalid_request"),
    "expiredtoken": (403, "invalid_api_key"),
    "incompletesignature": (400, "invalid_api_key"),
    "internalserver": (500, "server_error"),
    "internalfailure": (500, "server_error"),
    "invalidsignature": (403, "invalid_api_key"),
    "missingauthenticationtoken": (403, "invalid_api_key"),
    "model": (502, "server_error"),
    "modelnotready": (503, "server_is_overloaded"),
    "modelstream": (502, "server_error"),
    "modeltimeout": (504, "timeout"),
    "resourcenotfound": (404, "model_not_found"),
    "servicequotaexceeded": (429, "insufficient_quota"),
    "serviceunavailable": (503, "server_is_overloaded"),
    "throttling": (429, "rate_limit_exceeded"),
    "unrecognizedclient": (403, "invalid_api_key"),
    "validation": (400, "invalid_request"),
}
_TOO_LONG: Final = (
    "input is too long",
    "too many input tokens",
    "prompt is too long",
    "maximum context length",
    "exceeds the context",
)
_NO_MODEL: Final = ("model identifier is invalid", "could not resolve the foundation")


class Body(msgspec.Struct):
    """An error's body."""

    message: str


def exception_of(status: int, detail: ErrorDetail) -> tuple[str, int]:
    """Return the exception an error is to a client, and its status."""
    known = _BY_CODE.get(detail.code or "") or _BY_STATUS.get(status)
    if known is not None:
        return known
    if status >= 500:
        return _INTERNAL
    # 405 and 413 are spoken by the server below the API: their status stays.
    return _VALIDATION[0], 400 if status == 422 else status


def stream_exception_of(detail: ErrorDetail) -> str:
    """Return the exception an error is inside a stream, where there are only six."""
    name, _ = exception_of(detail.status or 502, detail)
    return _IN_STREAM.get(name, "internalServerException")


def error_body(detail: ErrorDetail) -> bytes:
    """Return the JSON body of an error."""
    return msgspec.json.encode(Body(detail.message or "The request failed."))


def read_error_body(
    status: int | None, body: bytes, exception: str = ""
) -> ErrorDetail:
    """Read an upstream's error: its body, and the exception's name where it is known.

    Shapes:  ``{message}`` or ``{Message}``, perhaps with ``__type``; anything else as
             text. The status found by name wins over none.
    Fails:   never; without words the message is empty.
    """
    value: Any = None
    if not is_bulky(body):
        try:
            value = msgspec.json.decode(body)
        except UNREADABLE:
            value = None
    if not isinstance(value, dict):
        return _detail(status, _plain(body), exception, body)
    named = exception or _word(value.get("__type")) or _word(value.get("code"))
    message = ""
    for key in ("message", "Message", "originalMessage"):
        if isinstance(value.get(key), str) and value[key]:
            message = value[key]
            break
    return _detail(status, message, named, body)


def _detail(status: int | None, message: str, named: str, raw: bytes) -> ErrorDetail:
    name = named.rpartition("#")[2].partition(":")[0]
    known = name.removesuffix("Exception").removesuffix("Error").lower()
    meaning = _MEANINGS.get(known) or _MEANINGS.get(name.lower())
    meant, code = (None, None) if meaning is None else meaning
    text = message.lower()
    if any(words in text for words in _TOO_LONG):
        code = "context_length_exceeded"
    elif any(words in text for words in _NO_MODEL):
        code = "model_not_found"
    return ErrorDetail(
        message=message[:MAX_MESSAGE],
        type=name or None,
        code=code,
        status=meant if status is None else status,
        raw=raw,
    )


def _word(value: Any) -> str:
    return value if isinstance(value, str) and len(value) <= 200 else ""


def _plain(body: bytes) -> str:
    text = body[: MAX_MESSAGE * 4].decode("utf-8", "replace").strip()
    return "" if text.startswith("<") else text
