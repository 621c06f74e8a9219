"""Say what kind of failure an upstream's answer is, from status, code and words.

One table, read from the top: the first row that matches decides. Codes come before
words and words before the bare status, because vendors use one status for several
things: a 429 may mean an empty account, a 400 a missing model, a 403 a quota. What
Google wraps into details is read by ``vendor_errors`` before any row.

What each class leads to stands in ``steps``.

Source: reference facts collected for the seeds' features, August 2026.
"""

from __future__ import annotations

import re
from typing import Final, Literal

import msgspec

from providers.routing import words
from providers.routing.vendor_errors import vendor_kind

FailureKind = Literal[
    "auth",
    "quota",
    "rate_limit",
    "overloaded",
    "unavailable",
    "server_error",
    "timeout",
    "connect",
    "model",
    "dialect",
    "context_overflow",
    "image_size",
    "image_dimension",
    "format",
    "request",
    "unknown",
]
"""The classes of failures. Billing is ``quota``, network ``connect``, a plain API error
``server_error``; ``dialect`` = this upstream does not speak what it was asked in."""

MAX_TEXT: Final = 16 * 1024
_ECHOING: Final = frozenset({400, 404, 422})
_OPENING: Final = re.compile(r"""(?<!\w)['"`\u2018\u201c]""")
_CLOSING: Final = re.compile(r"""['"`\u2019\u201d](?!\w)""")
_IN_TEXT: Final = re.compile(
    r"(?:\b(?:status(?:[ _]code)?|upstream|(?:provider )?returned|code|http(?:/[\d.]+)?)"
    r"\s{0,3}[:= ]\s{0,3}|[(\[])([1-5]\d\d)\b"
)


class Row(msgspec.Struct, frozen=True):
    """One row: every condition it names must hold.

    Shapes:  no ``statuses`` = any, also none at all; ``codes`` are compared with the
             error's type and code; ``words`` is searched in the lower-cased text.
    """

    name: str
    kind: FailureKind
    statuses: frozenset[int] = frozenset()
    codes: frozenset[str] = frozenset()
    words: re.Pattern[str] | None = None

    def matches(self, status: int, codes: frozenset[str], text: str) -> bool:
        """Tell whether this row decides."""
        if self.statuses and status not in self.statuses:
            return False
        if self.codes and not self.codes & codes:
            return False
        return self.words is None or self.words.search(text) is not None


def _row(
    name: str,
    kind: FailureKind,
    *statuses: int,
    codes: tuple[str, ...] = (),
    words: tuple[str, ...] = (),
) -> Row:
    pattern = re.compile("|".join(words)) if words else None
    return Row(name, kind, frozenset(statuses), frozenset(codes), pattern)


_AT_THE_DOOR: Final = (502, 503, 504, 521, 522, 523, 524)
_SAID_OF_REQUESTS: Final = (400, 403, 404, 413, 422)

ROWS: Final[tuple[Row, ...]] = (
    # Pictures first: their words would pass for a format, their limits for a quota.
    _row("image dimension", "image_dimension", words=words.IMAGE_DIMENSION),
    _row("image size", "image_size", words=words.IMAGE_SIZE),
    # What a code says beats every word and status.
    _row("model by code", "model", codes=words.MODEL_CODES),
    _row("context by code", "context_overflow", codes=words.CONTEXT_CODES),
    _row("policy by code", "request", codes=words.POLICY_CODES),
    _row("account dead by code", "auth", codes=words.DEAD_CODES),
    _row("sign in again by code", "auth", codes=words.SIGN_IN_CODES),
    _row("billing by code", "quota", 400, 402, 403, 429, codes=words.QUOTA_CODES),
    _row("aws quota", "quota", 400, 429, codes=("servicequotaexceededexception",)),
    _row("auth by code", "auth", 400, 401, 403, codes=words.AUTH_CODES),
    _row("overloaded by code", "overloaded", 429, 500, 503, 529, codes=words.BUSY),
    # One status, several meanings: what the words say comes first.
    _row("billing by message", "quota", 400, 401, 402, 403, 429, words=words.QUOTA),
    _row("billing by status", "quota", 402),
    _row("rate limit by status", "rate_limit", 429),
    _row("too large for the rate", "rate_limit", 413, words=words.RATE_OF_TOKENS),
    _row("rate limit by message", "rate_limit", 400, 401, 403, words=words.RATE),
    _row(
        "context by message",
        "context_overflow",
        *_SAID_OF_REQUESTS,
        words=words.CONTEXT,
    ),
    _row("format by message", "format", 400, 422, words=words.FORMAT),
    _row("policy by message", "request", 400, 403, 422, words=words.POLICY),
    _row("account dead by message", "auth", 400, 401, 403, words=words.DEAD),
    _row("model by message", "model", 400, 403, 404, 422, words=words.MODEL),
    _row(
        "model by type",
        "model",
        404,
        codes=("not_found_error",),
        words=words.MODEL_OF_TYPE,
    ),
    _row("dialect by message", "dialect", 400, 404, 422, 502, words=words.DIALECT),
    _row("dialect by not found", "dialect", 404, 405, words=words.NOWHERE),
    _row("auth by status", "auth", 401, 403),
    _row("auth by message", "auth", 400, words=words.AUTH),
    _row("timeout by status", "timeout", 408),
    # Bedrock's word for a model that failed, which is no fault of the request.
    _row("model failed", "server_error", 424),
    _row("overloaded by status", "overloaded", 529),
    _row("overloaded by message", "overloaded", 500, 502, 503, words=words.OVERLOADED),
    _row("unavailable by status", "unavailable", *_AT_THE_DOOR),
    _row("format by status", "format", 400, 422),
    _row(
        "request by status",
        "request",
        *(404, 405, 406, 409, 410, 411, 413, 414, 415, 416, 451),
    ),
)

ROWS_WITHOUT_STATUS: Final[tuple[Row, ...]] = (
    _row("said: rate limit", "rate_limit", words=words.RATE),
    _row("said: overloaded", "overloaded", words=words.OVERLOADED),
    _row("said: billing", "quota", words=words.QUOTA),
    _row("said: timeout", "timeout", words=words.TIMEOUT),
    # Of the upstream's own upstream: to us it is there, only without an answer.
    _row("said: network", "unavailable", words=words.NETWORK),
    _row("said: auth", "auth", words=words.AUTH),
    _row("said: context", "context_overflow", words=words.CONTEXT),
    _row("said: model", "model", words=words.MODEL),
    _row("said: format", "format", words=(*words.FORMAT, *words.INVALID)),
)
"""For an error that came without a status, as a frame of a stream mostly."""


def classify(
    status: int,
    *,
    text: str = "",
    codes: tuple[str | None, ...] = (),
    raw: bytes = b"",
) -> FailureKind:
    """Name the kind of failure of an answer that was not a success.

    Shapes:  ``text`` is the error's words or body; ``codes`` its type and code, where
             it has them; ``raw`` the body, for what only some vendors say.
    Fails:   never: an unknown 4xx is ``unknown``, all else the server's.
    """
    vendors = vendor_kind(status, raw) if raw else None
    if vendors is not None:
        return vendors
    row = row_of(status, text=text, codes=codes)
    if row is not None:
        return row.kind
    return "unknown" if 400 <= status < 500 else "server_error"


def row_of(
    status: int, *, text: str = "", codes: tuple[str | None, ...] = ()
) -> Row | None:
    """Return the row that decides, None when none does."""
    lowered = text[:MAX_TEXT].lower()
    if status in _ECHOING:
        # Vendors quote what they refuse. A client whose role or tool is called
        # "insufficient_quota" must not park the pool's credentials for hours.
        lowered = _without_quotes(lowered)
    given = frozenset(code.lower() for code in codes if code)
    if status >= 500:
        # No client's words among them, and many put the reason into the type alone.
        lowered = " ".join((*given, lowered))
    for row in ROWS:
        if row.matches(status, given, lowered):
            return row
    return None


def classify_words(text: str, codes: tuple[str | None, ...] = ()) -> FailureKind | None:
    """Name the kind of an error that has no status; None when its words say nothing.

    A status beside a word that marks it as one (``status 503``, ``returned 429``)
    counts; digits that merely occur do not.
    """
    row = row_of_words(text, codes)
    if row is not None:
        return row.kind
    status = status_in(text)
    return None if status is None else classify(status, text=text, codes=codes)


def row_of_words(text: str, codes: tuple[str | None, ...] = ()) -> Row | None:
    """Return the row that decides for an error without a status, None for none."""
    given = frozenset(code.lower() for code in codes if code)
    for row in ROWS:
        # Whatever a code says it says under any status, so the rows keep theirs aside.
        if row.codes & given:
            return row
    said = " ".join((*(code for code in codes if code), text[:MAX_TEXT])).lower()
    for row in (*ROWS[:2], *ROWS_WITHOUT_STATUS):
        if row.words is not None and row.words.search(said):
            return row
    return None


def status_in(text: str) -> int | None:
    """Find a status that an error's words mark as one."""
    found = _IN_TEXT.search(text[:MAX_TEXT].lower())
    return None if found is None else int(found[1])


def _without_quotes(text: str) -> str:
    """Cut all from the first quotation mark to the last: inner ones end nothing."""
    opening = _OPENING.search(text)
    if opening is None:
        return text
    end = opening.end()
    for closing in _CLOSING.finditer(text, end):
        end = closing.end()
    return text[: opening.start()] + text[end:]
