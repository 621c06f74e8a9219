"""Moderations: passed on, counted as one request where nothing else is reported."""

from __future__ import annotations

from providers.formats.base import ChatRequest, ResponseMeta
from providers.formats.openai_chat.usage import ReadUsage
from providers.formats.operations.answers import (
    answered,
    members_in,
    named,
    odd_answer,
)
from providers.formats.operations.usage import counted, read_plain


def read(request: ChatRequest, body: bytes) -> ResponseMeta:
    """Read an answer.

    Errors:  OddAnswerError.
    """
    members = members_in(body)
    if "results" not in members.values:
        raise odd_answer(body)
    found = read_plain(members.values.get("usage"))
    if found.usage is None:
        found = ReadUsage(counted(request), found.flags, found.vendor_cost_nano_usd)
    return answered(members, named(members, request.model), found)
