"""Word errors as Anthropic does, and read those of servers that do.

Claude Code reads the text of one of them: "prompt is too long: N tokens > M maximum"
makes it compact the conversation.

Source: reference wire 1.4, 2.19, 4.1.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec
from msgspec.structs import replace

from providers.formats.errors import ErrorDetail
from providers.formats.openai_chat.errors import read_error_body

OVERLOADED: Final = 529
_TOO_LONG: Final = "prompt is too long"

_TYPES: Final[dict[int, str]] = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_STATUSES: Final[dict[str, int]] = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "conflict_error": 409,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": OVERLOADED,
}
_CODES: Final[dict[str, str]] = {
    "authentication_error": "invalid_api_key",
    "billing_error": "insufficient_quota",
    "permission_error": "permission_denied",
    "not_found_error": "not_found",
    "request_too_large": "request_too_large",
    "rate_limit_error": "rate_limit_exceeded",
    "timeout_error": "timeout",
    "overloaded_error": "server_is_overloaded",
}
_OVERLOADED_WORDS: Final = frozenset(
    {"server_is_overloaded", "overloaded_error", "overloaded"}
)
_CONTEXT: Final = re.compile(
    r"prompt is too long|exceed\w* (?:the )?(?:model's )?context"
    r"|maximum context length|context_length_exceeded|context window"
    r"|input token count .{0,40}exceeds the maximum",
    re.IGNORECASE | re.DOTALL,
)
_COUNT: Final = re.compile(r"(?<![\w.,-])\d[\d,]*(?![\w-]|\.\d)")
_LIMIT_BEFORE: Final = re.compile(
    r"(?:maximum|limit|allowed|window|at most|>)\D*\Z", re.IGNORECASE
)
_LEAST_LIMIT: Final = 512


class _ErrorText(msgspec.Struct):
    type: str
    message: str


class _ErrorBody(msgspec.Struct):
    error: _ErrorText
    request_id: str
    type: str = "error"


def build_error_body(
    status: int, detail: ErrorDetail, *, request_id: str
) -> tuple[int, bytes]:
    """Return the status and the JSON body of an error.

    Shapes:  overload is 529 and a spent quota 402 here; everything else keeps its
             status, as far as this dialect has a type for it.
    """
    status = _own_status(status, detail)
    type_ = _TYPES.get(status)
    if type_ is None:
        type_ = "api_error" if status >= 500 else "invalid_request_error"
    text = _ErrorText(type_, _message(status, detail))
    return status, msgspec.json.encode(_ErrorBody(text, request_id))


def read_messages_error(status: int | None, body: bytes) -> ErrorDetail:
    """Read an upstream's error; ``code`` becomes the common word for its type.

    Fails:   never.
    """
    detail = read_error_body(status, body)
    type_ = detail.type or ""
    code = detail.code or _CODES.get(type_)
    if type_ in ("invalid_request_error", "") and _CONTEXT.search(detail.message):
        code = "context_length_exceeded"
    if detail.status is None:
        detail = replace(detail, status=_STATUSES.get(type_))
    return replace(detail, code=code)


def _own_status(status: int, detail: ErrorDetail) -> int:
    """Return the status this dialect has for what happened."""
    if detail.code == "insufficient_quota" and status in (402, 429):
        return 402
    if {detail.code, detail.type} & _OVERLOADED_WORDS and status >= 500:
        return OVERLOADED
    return status


def _message(status: int, detail: ErrorDetail) -> str:
    """Return the words of an error, those clients parse among them."""
    message = detail.message or "The request failed."
    if status not in (400, 413, 422):
        return message
    is_context = detail.code == "context_length_exceeded"
    if not is_context and not _CONTEXT.search(message):
        return message
    if message.startswith(_TOO_LONG):
        return message
    asked, most = _counts(message)
    if asked is None:
        return f"{_TOO_LONG}: {message}"
    return f"{_TOO_LONG}: {asked} tokens > {most} maximum"


def _counts(message: str) -> tuple[int | None, int | None]:
    """Find in a text how many tokens were sent, and how many may be."""
    found = [
        (int(match[0].replace(",", "")), match.start())
        for match in _COUNT.finditer(message)
    ]
    limits = [
        (number, at)
        for number, at in found
        if number >= _LEAST_LIMIT and _LIMIT_BEFORE.search(message[:at])
    ]
    if not limits:
        return None, None
    compared = [number for number, at in limits if message[:at].rstrip()[-1:] == ">"]
    most = compared[0] if compared else limits[0][0]
    asked = [number for number, _ in found if number > most]
    return (asked[0], most) if asked else (None, None)
