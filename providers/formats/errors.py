"""An error as an upstream worded it."""

from __future__ import annotations

import msgspec


class ErrorDetail(msgspec.Struct, frozen=True):
    """Hold an error as an upstream worded it.

    Shapes:  ``raw`` is the body or frame payload it was read from, for passing on
             verbatim where rule 10 of the design allows it.
    Units:   ``retry_after_s`` in seconds, None = say nothing.
    """

    message: str = ""
    type: str | None = None
    code: str | None = None
    param: str | None = None
    status: int | None = None
    raw: bytes = b""
    retry_after_s: float | None = None
