"""What the proxy itself says in a client's Responses stream, and how it counts.

One number counts all frames of a stream, whoever wrote them: the encoder, a keep-alive,
an error. In a relayed stream the upstream counts; frames added to it push its numbers
up by as many, and only then are they touched.

Source: reference wire R4, R5, 1.14; P93.
"""

from __future__ import annotations

import re
import time
from typing import Any, Final

import msgspec

from providers.formats.base import UNREADABLE, ChatRequest
from providers.formats.errors import ErrorDetail
from providers.formats.framings import SseSplitter
from providers.formats.openai_responses.errors import failure

CREATED: Final = "response.created"
IN_PROGRESS: Final = "response.in_progress"
FAILED: Final = "response.failed"

_ECHOED: Final[dict[str, Any]] = {
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "service_tier": None,
    "temperature": None,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": None,
    "truncation": "disabled",
    "user": None,
}
"""What a response says again of its request, and what it says of an unset field."""

_BULKY: Final = frozenset({"instructions", "tools"})
_NULL: Final = msgspec.Raw(b"null")
_SEQUENCE: Final = re.compile(rb'("sequence_number"\s*:\s*)(\d+)')
_ODD: Final = re.compile(r"[^0-9A-Za-z]+")
_LONGEST_TAIL: Final = 40


class _Opening(msgspec.Struct):
    type: str = ""
    response: msgspec.Raw = _NULL


class ResponsesStream:
    """Hold one client's stream; see ``taps.ClientStream`` for the contract.

    Shapes:  ``sequence`` is the next frame's number. ``is_open`` = the client has seen
             ``response.created``, ``is_relaying`` = frames of an upstream, as they are.
             ``opening`` is the payload of a relayed upstream's
             own, ``last`` that of its latest frame, ``shift`` what is added to its
             numbers.
    """

    __slots__ = (
        "created",
        "is_open",
        "is_relaying",
        "last",
        "opening",
        "request",
        "response_id",
        "sequence",
        "shift",
    )

    def __init__(self, request: ChatRequest, request_id: str) -> None:
        self.request = request
        self.response_id = mint("resp", request_id)
        self.created = int(time.time())
        self.sequence = 0
        self.is_open = False
        self.is_relaying = False
        self.opening = b""
        self.last = b""
        self.shift = 0

    def keepalive(self) -> bytes:
        """Repeat that the answer is in progress; only a frame with data counts."""
        return self.open(is_brief=True) + self._progress(is_brief=True)

    def error_frame(self, detail: ErrorDetail, *, request_id: str) -> bytes:
        """Return ``response.failed``, the last frame of a broken answer."""
        out = self.open(is_brief=True)
        error = failure(detail, request_id=request_id)
        return out + self.frame(FAILED, response=self._response("failed", error))

    def open(self, *, is_brief: bool = False) -> bytes:
        """Return the first frame of the stream, nothing when it was sent already."""
        if self.is_open:
            return b""
        self.is_open = True
        return self._progress(CREATED, is_brief=is_brief)

    def begin(self) -> bytes:
        """Return the first frames of a translated answer."""
        return b"" if self.is_open else self.open() + self._progress()

    def number(self) -> int:
        """Take the next frame's number."""
        number = self.sequence
        self.sequence = number + 1
        return number

    def frame(self, kind: str, **fields: Any) -> bytes:
        """Word one frame."""
        self._catch_up()
        value = {"type": kind, "sequence_number": self.number(), **fields}
        return b"event: %b\ndata: %b\n\n" % (kind.encode(), msgspec.json.encode(value))

    def body(self, status: str, *, is_brief: bool = False) -> dict[str, Any]:
        """Return a response object without output, as the request lets it look."""
        values = self.request.members.values
        echoed: dict[str, Any] = {}
        for name, otherwise in _ECHOED.items():
            raw = values.get(name, _NULL)
            is_left_out = raw == _NULL or (is_brief and name in _BULKY)
            echoed[name] = otherwise if is_left_out else raw
        return {
            "id": self.response_id,
            "object": "response",
            "created_at": self.created,
            "status": status,
            "background": False,
            "completed_at": None,
            "error": None,
            "incomplete_details": None,
            "model": self.request.model,
            "output": [],
            "previous_response_id": None,
            "store": False,
            "usage": None,
            **echoed,
        }

    def seen(self, payload: bytes) -> None:
        """Remember a frame of a relayed upstream."""
        if not self.opening and b'"response.created"' in payload:
            self.opening = payload
        self.last = payload

    def resumed(self, data: bytes) -> bytes:
        """Return the first relayed frames as they may follow on what was said before.

        Shapes:  a client that saw ``response.created`` already does not see another.
        """
        is_first = not self.is_open
        self.is_open = self.is_relaying = True
        if is_first:
            return data
        frames = SseSplitter().feed(data)
        if frames and b'"response.created"' in (frames[0][1] or b""):
            data = data[len(frames[0][0]) :]
        numbered = _SEQUENCE.search(data)
        if numbered is not None:
            self.shift = self.sequence - int(numbered[2])
        return self.passed(data)

    def passed(self, data: bytes) -> bytes:
        """Return relayed frames with numbers that follow on the frames added so far."""
        return _SEQUENCE.sub(self._shifted, data) if self.shift else data

    def _shifted(self, match: re.Match[bytes]) -> bytes:
        return match[1] + str(int(match[2]) + self.shift).encode()

    def _catch_up(self) -> None:
        """Go on from the number of a relayed frame, and push those to come."""
        if not self.is_relaying:
            return
        numbered = _SEQUENCE.search(self.last)
        if numbered is not None:
            self.sequence = max(self.sequence, int(numbered[2]) + self.shift + 1)
        self.shift += 1

    def _progress(self, kind: str = IN_PROGRESS, *, is_brief: bool = False) -> bytes:
        return self.frame(kind, response=self._response("in_progress", None, is_brief))

    def _response(
        self, status: str, error: dict[str, Any] | None, is_brief: bool = True
    ) -> dict[str, Any]:
        """Return a response object, the relayed upstream's own where it sent one."""
        made: dict[str, Any] | None = None
        if self.opening:
            try:
                opening = msgspec.json.decode(self.opening, type=_Opening)
                made = msgspec.json.decode(opening.response, type=dict[str, Any])
                made["model"] = self.request.model
            except UNREADABLE:
                self.opening = b""
        made = made or self.body(status, is_brief=is_brief)
        return made | {"status": status, "error": error}


def mint(prefix: str, source: str) -> str:
    """Return an id of one kind that tells whose it is.

    Shapes:  another vendor's id keeps its tail, so that the records of both can be
             laid side by side.
    """
    if source.startswith(prefix + "_") and len(source) <= 64:
        return source
    head, _, rest = source.replace("-", "_", 1).partition("_")
    tail = _ODD.sub("", rest if rest and len(head) <= 9 else source)
    return f"{prefix}_{tail[-_LONGEST_TAIL:] or '0'}"
