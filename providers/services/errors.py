"""Why a change to providers is refused; the message is for the person."""

from __future__ import annotations


class ServiceError(Exception):
    """A named refusal: ``field`` says which input, ``message`` what to do."""

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.field = field
