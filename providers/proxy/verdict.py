"""Decide what an upstream's failure means: whose fault, and what may be tried next.

Pure. ``providers.routing.classify`` names the kind of failure; this module adds what the
loop over the candidates must know: how much the failure condemns, whether the same
candidate may be asked once more, and whether its own words may reach the client.

==================  ==========  ========================================================
scope               condemns    the loop goes on with
==================  ==========  ========================================================
``request``         the call    nothing: every upstream would say the same
``candidate``       this one    the next candidate
``origin``          the host    the next candidate on another host
==================  ==========  ========================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec.structs import replace

from poolsite.destinations import Category
from providers.formats.base import FormatError
from providers.formats.errors import ErrorDetail
from providers.proxy.exchange import Failure
from providers.routing.classify import classify
from providers.routing.hints import read_hint
from usage.journal import records

REQUEST: Final = "request"
CANDIDATE: Final = "candidate"
ORIGIN: Final = "origin"

INEXPRESSIBLE: Final = "inexpressible"
"""A kind of failure of our own: nothing was sent, the upstream has no words for it."""

_OVERLOADED: Final = 529
_VERBATIM: Final = frozenset({400, 404, 413, 422})
_NO_CONNECTION: Final = frozenset(
    {Category.DNS, Category.REFUSED, Category.TLS, Category.REFUSED_BY_POLICY}
)
_LONGEST_REASON: Final = 200
_OF_THE_REQUEST: Final = (
    "invalid_request",
    "invalid_argument",
    "validationexception",
    "context_length",
)


def judge_status(
    status: int, detail: ErrorDetail, headers: Mapping[str, str], *, now_s: float
) -> Failure:
    """Judge an answer whose status is not 2xx.

    Shapes:  ``detail.raw`` is its body; ``headers`` are looked up in lower case.
    Units:   ``now_s`` Unix seconds.
    """
    if status == 404 and not detail.message:
        # No words: the base URL leads nowhere, which is not the client's doing.
        nowhere = ErrorDetail(
            message="nothing there; check the base URL", raw=detail.raw
        )
        return _failure("server_error", ORIGIN, status, nowhere)
    kind = classify(status, text=detail.message, codes=(detail.type, detail.code))
    text = detail.raw.decode("utf-8", "replace") if detail.raw else detail.message
    hint = read_hint(headers, text, now_s=now_s)
    if kind == "request":
        is_verbatim = status in _VERBATIM
        return _failure(kind, REQUEST, status, detail, is_verbatim=is_verbatim)
    if kind == "model":
        is_verbatim = status in _VERBATIM
        return _failure(kind, CANDIDATE, status, detail, is_verbatim=is_verbatim)
    if kind == "server_error" and status < 400:
        # A redirect, mostly: never followed, the secret is bound to its origin.
        return _failure(kind, ORIGIN, status, detail)
    is_transient = kind in ("server_error", "unavailable") and status != _OVERLOADED
    outcome = records.TIMEOUT if kind == "timeout" else records.UPSTREAM_ERROR
    return _failure(
        kind,
        CANDIDATE,
        status,
        detail,
        outcome=outcome,
        hint=hint,
        is_transient=is_transient,
    )


def judge_body(detail: ErrorDetail, *, now_s: float) -> Failure:
    """Judge an error that came under a 2xx status, as a body or a first frame.

    Its words never reach the client verbatim: the upstream did not call it an error.
    """
    status = detail.status or _status_of_words(detail)
    if status is None:
        return _failure("server_error", CANDIDATE, None, detail, is_transient=True)
    failure = judge_status(status, detail, {}, now_s=now_s)
    if not failure.is_verbatim:
        return failure
    return _failure(failure.kind, failure.scope, status, detail)


def judge_transport(category: Category, *, before_head: bool) -> Failure:
    """Judge a call that broke below HTTP."""
    if category is Category.TIMEOUT:
        return timed_out("first byte" if before_head else "next byte")
    if before_head and category in _NO_CONNECTION:
        return unreachable(category.value, is_transient=category is Category.REFUSED)
    if category is Category.TOO_LARGE:
        detail = ErrorDetail(message="the answer is too large")
        return _failure("server_error", CANDIDATE, None, detail)
    return broken("the connection broke")


def unreachable(reason: str, *, is_transient: bool = False) -> Failure:
    """Judge a host that took no connection; nothing was sent."""
    return _failure(
        "connect",
        ORIGIN,
        None,
        ErrorDetail(message=f"no connection ({reason})"),
        outcome=records.CONNECT_ERROR,
        is_transient=is_transient,
    )


def timed_out(waiting_for: str) -> Failure:
    """Judge a wait that passed its deadline: the head, an event, the whole."""
    detail = ErrorDetail(message=f"no {waiting_for} in time")
    return _failure("timeout", CANDIDATE, None, detail, outcome=records.TIMEOUT)


def broken(reason: str) -> Failure:
    """Judge an answer that is no answer: empty, cut, not the format it claims."""
    detail = ErrorDetail(message=reason)
    return _failure(
        "server_error",
        CANDIDATE,
        None,
        detail,
        outcome=records.CUT,
        is_transient=True,
    )


def inexpressible(error: FormatError) -> Failure:
    """Judge a request this upstream cannot express; another one may."""
    detail = ErrorDetail(message=error.message, code=error.code, param=error.param)
    failure = _failure(INEXPRESSIBLE, CANDIDATE, error.status, detail)
    return replace(failure, reason=error.code[:_LONGEST_REASON])


def unreadable() -> Failure:
    """Judge a stored secret that cannot be used; nothing was sent."""
    detail = ErrorDetail(message="the stored secret is unreadable")
    return _failure("unreadable", CANDIDATE, None, detail)


def _failure(  # noqa: PLR0913 - the one place that makes a Failure
    kind: str,
    scope: str,
    status: int | None,
    detail: ErrorDetail,
    *,
    hint: float | None = None,
    outcome: str = records.UPSTREAM_ERROR,
    is_transient: bool = False,
    is_verbatim: bool = False,
) -> Failure:
    words = detail.code or detail.type or detail.message or kind
    reason = words if status is None else f"{status} {words}"
    return Failure(
        kind=kind,
        scope=scope,
        outcome=outcome,
        status=status,
        reason=reason[:_LONGEST_REASON],
        detail=detail,
        retry_after_s=hint,
        is_transient=is_transient,
        is_verbatim=is_verbatim,
    )


def _status_of_words(detail: ErrorDetail) -> int | None:
    """Find the status an error without one would have had."""
    text = f"{detail.type or ''} {detail.code or ''} {detail.message}".lower()
    if "rate_limit" in text or "rate limit" in text or "throttl" in text:
        return 429
    if "resource_exhausted" in text or "too many requests" in text:
        return 429
    if "insufficient" in text or "quota" in text:
        return 402
    if "overloaded" in text or "unavailable" in text:
        return 503
    if "authentication" in text or "invalid_api_key" in text:
        return 401
    if any(word in text for word in _OF_THE_REQUEST):
        return 400
    return None
