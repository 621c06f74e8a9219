"""Map Bedrock's stop reasons to the neutral ones and back.

Source: reference wire 2.14.
"""

from __future__ import annotations

from typing import Final

import msgspec

from providers.formats.base import UNREADABLE
from providers.formats.neutral.events import Finish, FinishReason


class _Met(msgspec.Struct):
    stop_sequence: str | None = None


class _Extra(_Met):
    delta: _Met | None = None


_MET: Final = msgspec.json.Decoder(_Extra)
_READ: Final[dict[str, FinishReason]] = {
    "end_turn": "end",
    "stop_sequence": "stop_sequence",
    "max_tokens": "max_tokens",
    "model_context_window_exceeded": "context_full",
    "tool_use": "tool_calls",
    "pause_turn": "pause",
    "content_filtered": "refusal",
    "guardrail_intervened": "refusal",
    "refusal": "refusal",
    "malformed_model_output": "malformed",
    "malformed_tool_use": "malformed",
}
_WORDED: Final[dict[FinishReason, str]] = {
    "end": "end_turn",
    "stop_sequence": "stop_sequence",
    "max_tokens": "max_tokens",
    "context_full": "model_context_window_exceeded",
    "tool_calls": "tool_use",
    "pause": "end_turn",
    "refusal": "content_filtered",
    "prompt_blocked": "guardrail_intervened",
    "malformed": "malformed_model_output",
    "cancelled": "end_turn",
}


def read_finish(word: str, extra: msgspec.Raw | None) -> Finish:
    """Return how an answer ended.

    Shapes:  ``extra`` are the additional response fields, where Claude says which stop
             sequence it met.
    """
    return Finish(
        reason=_READ.get(word, "end"),
        raw=word,
        stop_sequence=_stop_sequence(extra) if word == "stop_sequence" else "",
    )


def worded_finish(finish: Finish, *, has_refused: bool = False) -> str:
    """Return the stop reason for a client; a word that was Bedrock's own comes back.

    Shapes:  ``has_refused`` = a part of the answer is a refusal, which Bedrock's clients
             can only be told by the reason.
    """
    if has_refused and finish.reason == "end":
        return _WORDED["refusal"]
    if _READ.get(finish.raw) == finish.reason:
        return finish.raw
    return _WORDED[finish.reason]


def _stop_sequence(extra: msgspec.Raw | None) -> str:
    if extra is None:
        return ""
    try:
        told = _MET.decode(extra)
    except UNREADABLE:
        return ""
    return told.stop_sequence or (told.delta or _Met()).stop_sequence or ""
