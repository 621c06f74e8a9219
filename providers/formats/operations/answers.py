"""Read whole answers of the other operations: an object, or the error it is instead."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from providers.formats.base import UNREADABLE, ResponseMeta
from providers.formats.errors import ErrorDetail
from providers.formats.jsonspans import Members, patch, read_members
from providers.formats.openai_chat.errors import is_error, read_error_body
from providers.formats.openai_chat.usage import ReadUsage

_MOST_RAW: Final = 65_536
_PAGE: Final = re.compile(rb"\s*<(?:!doctype|html|head|body|\?xml)\b", re.IGNORECASE)


class OddAnswerError(Exception):
    """Report a 2xx body that is no answer; ``detail`` says what it is instead."""

    def __init__(self, detail: ErrorDetail) -> None:
        super().__init__(detail.message)
        self.detail = detail


def members_in(body: bytes) -> Members:
    """Find an answer's members.

    Errors:  OddAnswerError for an error under a 2xx status, and for what is no object.
    """
    try:
        members = read_members(body)
    except UNREADABLE:
        raise odd_answer(body) from None
    error = members.values.get("error")
    if error is not None and is_error(error):
        raise OddAnswerError(read_error_body(None, body))
    return members


def odd_answer(body: bytes) -> OddAnswerError:
    """Word a body that is not what was asked for."""
    return OddAnswerError(
        ErrorDetail(
            message="The upstream's answer is not what was asked for.",
            type="server_error",
            code="upstream_invalid_response",
            raw=body[:_MOST_RAW],
        )
    )


def is_page(body: bytes) -> bool:
    """Tell whether a page for people came where text or media should."""
    return _PAGE.match(body) is not None


def dicts_in(value: Any) -> list[dict[str, Any]]:
    """Return the objects of a list, leaving out what is none."""
    listed = value if isinstance(value, list) else ()
    return [each for each in listed if isinstance(each, dict)]


def named(members: Members, model: str) -> dict[str, bytes]:
    """Return the change that gives an answer the name the client asked for."""
    name = msgspec.json.encode(model)
    said = members.values.get("model")
    return {"model": name} if said is not None and bytes(said) != name else {}


def text_in(members: Members, name: str) -> str | None:
    """Return a text of an answer, None for anything else."""
    raw = members.values.get(name)
    try:
        return None if raw is None else msgspec.json.decode(raw, type=str)
    except UNREADABLE:
        return None


def answered(
    members: Members, changes: dict[str, bytes], read: ReadUsage
) -> ResponseMeta:
    """Return an answer with some members exchanged."""
    return ResponseMeta(
        body=patch(members, changes) if changes else members.body,
        usage=read.usage,
        flags=read.flags,
        vendor_cost_nano_usd=read.vendor_cost_nano_usd,
        model=text_in(members, "model"),
        response_id=text_in(members, "id"),
    )
