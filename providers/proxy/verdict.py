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
``larger``          the model   the next one with a larger known window
==================  ==========  ========================================================

Which class of failure has which scope stands in ``providers.routing.steps``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec.structs import replace

from poolsite.destinations import Category
from providers.formats.base import FormatError
from providers.formats.errors import ErrorDetail
from providers.proxy.exchange import Failure
from providers.routing.classify import classify, classify_words
from providers.routing.hints import read_hint
from providers.routing.quota_signal import QuotaSignal, quota_signal
from providers.routing.steps import CANDIDATE, LARGER, ORIGIN, REQUEST, STEPS, Step
from providers.routing.vendor_errors import verification_link
from usage.journal import records

__all__ = ["CANDIDATE", "INEXPRESSIBLE", "LARGER", "ORIGIN", "REQUEST"]

INEXPRESSIBLE: Final = "inexpressible"
"""A kind of failure of our own: nothing was sent, the upstream has no words for it."""

_OVERLOADED: Final = 529
_VERBATIM: Final = frozenset({400, 404, 413, 422})
_NO_CONNECTION: Final = frozenset(
    {Category.DNS, Category.REFUSED, Category.TLS, Category.REFUSED_BY_POLICY}
)
_LONGEST_REASON: Final = 200
_STATUS_OF: Final = {
    "rate_limit": 429,
    "quota": 402,
    "overloaded": 503,
    "unavailable": 503,
    "timeout": 504,
    "auth": 401,
    "model": 404,
    "context_overflow": 400,
    "image_size": 400,
    "image_dimension": 400,
    "format": 400,
    "request": 400,
}
"""What an error without a status would have had; it refuses all the same."""
_UNKNOWN: Final = Step(CANDIDATE, may_repeat=True, health="server_error")


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
        return _failure("dialect", ORIGIN, status, nowhere)
    codes = (detail.type, detail.code)
    kind = classify(status, text=detail.message, codes=codes, raw=detail.raw)
    if kind == "server_error" and status < 400:
        # A redirect, mostly: never followed, the secret is bound to its origin.
        return _failure(kind, ORIGIN, status, detail)
    text = detail.raw.decode("utf-8", "replace") if detail.raw else detail.message
    step = STEPS[kind]
    is_about_it = step.scope in (REQUEST, LARGER) or kind in ("model", "dialect")
    failure = _failure(
        kind,
        step.scope,
        status,
        detail,
        outcome=records.TIMEOUT if kind == "timeout" else records.UPSTREAM_ERROR,
        hint=None if is_about_it else read_hint(headers, text, now_s=now_s),
        is_transient=step.may_repeat and status != _OVERLOADED,
        is_verbatim=is_about_it and status in _VERBATIM,
        signal=quota_signal(headers, now_s=now_s),
    )
    link = verification_link(detail.raw) if kind == "auth" and detail.raw else ""
    # Only a person can do that, so whoever reads the trail must find the way there.
    return replace(failure, reason=f"{failure.reason} {link}") if link else failure


def judge_body(detail: ErrorDetail, *, now_s: float) -> Failure:
    """Judge an error that came under a 2xx status, as a body or a first frame.

    Its words never reach the client verbatim: the upstream did not call it an error.
    """
    if detail.status is not None and detail.status >= 400:
        failure = judge_status(detail.status, detail, {}, now_s=now_s)
        return replace(failure, is_verbatim=False)
    kind = classify_words(detail.message, (detail.type, detail.code))
    step = _UNKNOWN if kind is None else STEPS[kind]
    hint = None
    if step.scope == CANDIDATE:
        text = detail.raw.decode("utf-8", "replace") if detail.raw else detail.message
        hint = read_hint({}, text, now_s=now_s)
    return _failure(
        kind or "server_error",
        step.scope,
        None if kind is None else _STATUS_OF.get(kind),
        detail,
        hint=hint,
        is_transient=step.may_repeat,
    )


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
    signal: QuotaSignal | None = None,
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
        signal=signal,
    )
