"""What one frame of a Gemini answer holds; a whole answer is one frame."""

from __future__ import annotations

from typing import Any, Final

import msgspec

NULL: Final = msgspec.Raw(b"null")


class FunctionCall(msgspec.Struct, rename="camel", gc=False):
    """A call, whole."""

    name: str | None = None
    id: str | None = None
    args: msgspec.Raw = NULL


class Blob(msgspec.Struct, rename="camel", gc=False):
    """Bytes, base64."""

    mime_type: str | None = None
    data: str | None = None


class Part(msgspec.Struct, rename="camel", gc=False):
    """One part, or a piece of one; only one of its contents is set."""

    text: str | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    function_call: FunctionCall | None = None
    inline_data: Blob | None = None
    file_data: msgspec.Raw = NULL
    executable_code: msgspec.Raw = NULL
    code_execution_result: msgspec.Raw = NULL
    tool_call: msgspec.Raw = NULL
    tool_response: msgspec.Raw = NULL


UNKNOWN_PARTS: Final = (
    ("executable_code", "executableCode"),
    ("code_execution_result", "codeExecutionResult"),
    ("tool_call", "toolCall"),
    ("tool_response", "toolResponse"),
    ("file_data", "fileData"),
)


class Content(msgspec.Struct, rename="camel", gc=False):
    """A row of parts."""

    parts: list[Part] | None = None


class Candidate(msgspec.Struct, rename="camel", gc=False):
    """One choice of an answer, or a piece of it."""

    index: int | None = None
    content: Content | None = None
    finish_reason: str | None = None
    finish_message: str | None = None
    grounding_metadata: msgspec.Raw = NULL
    citation_metadata: msgspec.Raw = NULL
    logprobs_result: msgspec.Raw = NULL


class Feedback(msgspec.Struct, rename="camel", gc=False):
    """What became of the prompt."""

    block_reason: str | None = None
    block_reason_message: str | None = None


class Frame(msgspec.Struct, rename="camel", gc=False):
    """A frame; Code Assist's stands inside ``response``, with its id outside."""

    candidates: list[Candidate] | None = None
    prompt_feedback: Feedback | None = None
    usage_metadata: msgspec.Raw = NULL
    model_version: str | None = None
    response_id: str | None = None
    error: Any = None
    response: Frame | None = None
    trace_id: str | None = None

    def inner(self) -> Frame:
        """Return the frame out of its envelope."""
        inner = self.response
        if inner is None:
            return self
        if inner.response_id is None:
            inner.response_id = self.trace_id
        if inner.error is None:
            inner.error = self.error
        return inner


DECODER: Final = msgspec.json.Decoder(Frame)
LIST_DECODER: Final = msgspec.json.Decoder(list[msgspec.Raw])
