"""Word errors as Ollama does, and read those of its servers."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec.structs import replace

from providers.formats.errors import ErrorDetail
from providers.formats.openai_chat.errors import read_error_body

_STATUSES: Final[dict[int, int]] = {422: 400, 499: 400, 529: 503}
_QUOTA: Final = frozenset({"insufficient_quota", "billing_error"})


class _Error(msgspec.Struct):
    error: str


def error_text(detail: ErrorDetail) -> bytes:
    """Return the one object this dialect says an error with, whole or as a line."""
    return msgspec.json.encode(_Error(detail.message or "The request failed."))


def build_error(status: int, detail: ErrorDetail) -> tuple[int, bytes]:
    """Return status and body of an error.

    Shapes:  the dialect knows no codes and has no place for a request id: the status
             carries what the text does not.
    Source:  reference wire 1.8, 2.19.
    """
    if status == 429 and detail.code in _QUOTA:
        status = 402
    return _STATUSES.get(status, status), error_text(detail)


def read_error(status: int | None, body: bytes) -> ErrorDetail:
    """Read an upstream's error: its own shape, a hosted front's, a page, nothing."""
    detail = read_error_body(status, body)
    words = detail.message.lower()
    if detail.code is None and status == 404 and "model" in words:
        return replace(detail, code="model_not_found")
    return detail
