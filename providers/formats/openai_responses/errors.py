"""Word errors of the Responses dialect: OpenAI's object, and what a stream says.

Source: reference wire 1.2, error codes in ``response.failed``; 2.19.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from providers.formats.base import UNREADABLE
from providers.formats.errors import ErrorDetail
from providers.formats.openai_chat.errors import read_error_body

_CODES: Final[dict[int, str]] = {
    400: "invalid_prompt",
    401: "invalid_api_key",
    403: "permission_denied",
    404: "model_not_found",
    429: "rate_limit_exceeded",
    503: "slow_down",
    504: "timeout",
    529: "slow_down",
}
_BY_TYPE: Final = {
    "rate_limit_error": "rate_limit_exceeded",
    "overloaded_error": "slow_down",
}
_RETRIED: Final = {"server_is_overloaded": "slow_down"}
"""In a stream Codex 0.169 gives up on the first word and tries again on the second,
and another account may well answer (run against it on 2026-11-20).
"""


def failure(detail: ErrorDetail, *, request_id: str = "") -> dict[str, Any]:
    """Return the ``error`` member of a failed response.

    Shapes:  the code is always a word: Codex decides by it whether to try again.
    """
    code = detail.code or _CODES.get(detail.status or 0)
    code = code or _BY_TYPE.get(detail.type or "", "server_error")
    error = {
        "code": _RETRIED.get(code, code),
        "message": detail.message or "The request failed.",
    }
    return error | ({"request_id": request_id} if request_id else {})


def read_failure(payload: bytes) -> ErrorDetail:
    """Read an in-stream error: ``error``, ``response.failed`` or a bare error object.

    Fails:   never; without words the message is empty.
    """
    try:
        value = msgspec.json.decode(payload)
    except UNREADABLE:
        return read_error_body(None, payload)
    if isinstance(value, dict):
        response = value.get("response")
        if isinstance(response, dict):
            value = response
        if not isinstance(value.get("error"), dict):
            # The event's own type says nothing about the error.
            value = {key: value[key] for key in value if key != "type"}
    detail = read_error_body(None, msgspec.json.encode(value))
    if not detail.message:
        detail = msgspec.structs.replace(detail, message="The upstream failed.")
    return msgspec.structs.replace(detail, raw=payload)
