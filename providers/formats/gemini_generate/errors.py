"""Word errors as Google does, and read Google's: also wrapped in a list."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from providers.formats.base import UNREADABLE, is_bulky
from providers.formats.errors import ErrorDetail

MAX_MESSAGE: Final = 2_000
_TYPE: Final = "type.googleapis.com/google.rpc."
_DOMAIN: Final = "provider-pool"
_STATUS: Final[dict[int, tuple[int, str]]] = {
    401: (401, "UNAUTHENTICATED"),
    402: (429, "RESOURCE_EXHAUSTED"),
    403: (403, "PERMISSION_DENIED"),
    404: (404, "NOT_FOUND"),
    408: (504, "DEADLINE_EXCEEDED"),
    409: (409, "ABORTED"),
    429: (429, "RESOURCE_EXHAUSTED"),
    499: (499, "CANCELLED"),
    500: (500, "INTERNAL"),
    501: (501, "UNIMPLEMENTED"),
    502: (502, "INTERNAL"),
    503: (503, "UNAVAILABLE"),
    504: (504, "DEADLINE_EXCEEDED"),
    529: (503, "UNAVAILABLE"),
}
_REASONS: Final = {
    "invalid_api_key": "API_KEY_INVALID",
    "insufficient_quota": "QUOTA_EXCEEDED",
}
_WAIT: Final = re.compile(
    r"(?:try again|retry|wait)\D{0,20}(\d+(?:\.\d+)?) ?s", re.IGNORECASE
)
_WORD: Final = re.compile(r"[^A-Z0-9]+")


def build_error_body(
    status: int, detail: ErrorDetail, *, request_id: str
) -> tuple[int, bytes]:
    """Return the HTTP status and JSON body of an error."""
    status, error = error_object(status, detail, request_id=request_id)
    return status, msgspec.json.encode({"error": error})


def error_object(
    status: int, detail: ErrorDetail, *, request_id: str
) -> tuple[int, dict[str, Any]]:
    """Return an error's HTTP status and what stands inside its ``error`` member.

    Shapes:  the pool's own stable code is the ``reason``; a wait that is known is a
             RetryInfo, which Google's clients obey.
    Source:  reference wire 2.19 and 1.5; the details are those of google.rpc.
    """
    fallback = "INTERNAL" if status >= 500 else "INVALID_ARGUMENT"
    status, word = _STATUS.get(status, (status, fallback))
    info: dict[str, Any] = {"@type": f"{_TYPE}ErrorInfo", "domain": _DOMAIN}
    code = detail.code or detail.type
    if code:
        reason = _REASONS.get(code) or _WORD.sub("_", code.upper()).strip("_")
        info["reason"] = reason
    if detail.param:
        info["metadata"] = {"field": detail.param}
    details: list[dict[str, Any]] = [info] if len(info) > 2 else []
    wait_s = _wait_s(detail)
    if wait_s is not None and status in (429, 503):
        details.append({"@type": f"{_TYPE}RetryInfo", "retryDelay": f"{wait_s:g}s"})
    if request_id:
        details.append({"@type": f"{_TYPE}RequestInfo", "requestId": request_id})
    message = detail.message or "The request failed."
    return status, {
        "code": status,
        "message": message,
        "status": word,
        "details": details,
    }


def read_error_body(status: int | None, body: bytes) -> ErrorDetail:
    """Read an upstream's error.

    Shapes:  Google's object, alone or in a list of one; Anthropic's and OpenAI's too,
             which some platforms pass on; anything else as text. The code is the
             reason where Google gives one, for it tells a bad key from a bad request.
    Fails:   never; without words the message is empty.
    """
    if is_bulky(body):
        return ErrorDetail(message=_plain(body), status=status, raw=body)
    try:
        value = msgspec.json.decode(body)
    except UNREADABLE:
        return ErrorDetail(message=_plain(body), status=status, raw=body)
    while isinstance(value, list):
        value = value[0] if value else {}
    inner = value.get("error", value) if isinstance(value, dict) else value
    if isinstance(inner, str):
        inner = {"message": inner}
    if not isinstance(inner, dict):
        return ErrorDetail(message="", status=status, raw=body)
    number = inner.get("code")
    if status is None and isinstance(number, int) and 400 <= number <= 599:
        status = number
    return ErrorDetail(
        message=_cut(inner.get("message")),
        type=_short(inner.get("status")) or _short(inner.get("type")),
        code=_reason(inner) or _short(number),
        status=status,
        raw=body,
    )


def is_error(payload: bytes) -> bool:
    """Tell whether a frame is an error, alone or in a list."""
    return payload.lstrip(b"[ \t\r\n{").startswith(b'"error"')


def _reason(inner: dict[str, Any]) -> str | None:
    details = inner.get("details")
    for each in details if isinstance(details, list) else ():
        if isinstance(each, dict) and isinstance(each.get("reason"), str):
            return str(each["reason"])[:200].lower()
    return None


def _wait_s(detail: ErrorDetail) -> float | None:
    """Return the wait an error names, None when it names none."""
    if detail.retry_after_s is not None:
        return detail.retry_after_s
    match = _WAIT.search(detail.message)
    return float(match[1]) if match else None


def _short(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    text = str(value)
    return text if text and len(text) <= 200 else None


def _plain(body: bytes) -> str:
    """Return a text body's words; a page of HTML has none worth showing."""
    text = body[: MAX_MESSAGE * 4].decode("utf-8", "replace").strip()
    return "" if text.startswith("<") else _cut(text)


def _cut(text: Any) -> str:
    if not isinstance(text, str):
        return ""
    return text if len(text) <= MAX_MESSAGE else text[: MAX_MESSAGE - 1] + "…"
