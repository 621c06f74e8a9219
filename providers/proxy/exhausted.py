"""Word what the client is told when no candidate served its request.

What concerns the request is told as the upstream told it; what concerns our credentials,
accounts and quotas is not the client's business and becomes an error of the pool.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from providers.formats.base import WireFormat
from providers.formats.errors import ErrorDetail
from providers.proxy.errors import ClientError, ProxyError, UpstreamError
from providers.proxy.exchange import Candidate, Failure, Skip
from providers.proxy.verdict import INEXPRESSIBLE, LARGER, REQUEST

Failed = tuple[Candidate, Failure]

_MOST_NAMED: Final = 8
_TOLD: Final = ("cooling:", "at_limit:", "context_too_small", "host_is_down")
_DEFAULT_RETRY_S: Final = 5.0
# The most hopeful failure is told: it says best what another try may bring.
_ORDER: Final = (
    "rate_limit",
    "overloaded",
    "unavailable",
    "timeout",
    "server_error",
    "connect",
    "dialect",
    "model",
    "quota",
    "auth",
    "unreadable",
)
_WORDS: Final = {
    "rate_limit": (429, "rate_limit_exceeded", "Every provider is rate limited."),
    "overloaded": (503, "server_is_overloaded", "The provider is overloaded."),
    "unavailable": (503, "upstream_unavailable", "The provider is not available."),
    "timeout": (504, "upstream_timeout", "The provider did not answer in time."),
    "server_error": (502, "upstream_error", "The provider failed to answer."),
    "connect": (502, "upstream_unreachable", "The provider cannot be reached."),
    "dialect": (
        502,
        "upstream_error",
        "The provider does not know the way it was asked in.",
    ),
    "model": (404, "model_not_found", "No provider serves this model."),
    "quota": (
        429,
        "insufficient_quota",
        "The pool's quota at the provider is used up.",
    ),
    "auth": (
        503,
        "provider_credentials",
        "The provider refuses the pool's credentials; its owner must renew them.",
    ),
}
_CODES: Final = {
    404: "model_not_found",
    413: "request_too_large",
    429: "rate_limit_exceeded",
}
_KEPT_CODES: Final = frozenset(
    {"content_filter", "content_policy_violation", "context_length_exceeded"}
)
_TOO_LONG: Final = frozenset({400, 413, 422})
_CONTEXT: Final = re.compile(
    r"context[ _](length|window|size)|(prompt|input) is too long|too many input tokens"
    r"|token count[^.]{0,60}exceed|maximum (number of|prompt|context)[^.]{0,20}"
    r"(tokens|length)|exceeds?[^.]{0,40}(token limit|context)",
    re.IGNORECASE,
)
_HOPELESS: Final = frozenset({"model", "quota", "auth", "unreadable"})


_CANDID: Final = frozenset({"probe", "verify"})
"""Purposes of our own that ask what exactly an upstream says."""


def final_error(
    failed: Sequence[Failed],
    inbound: WireFormat,
    *,
    purpose: str = "client",
    wait_s: float | None = None,
    skipped: Sequence[Skip] = (),
) -> ProxyError:
    """Choose and word the error of a call whose every attempt failed.

    Shapes:  ``failed`` in order, at least one; ``skipped`` who was passed over. A call
             of our own that probes is told the upstream's status and words, whomever
             they concern.
    Units:   ``wait_s`` seconds until the first of them may be asked again, None =
             nothing keeps the pool from asking at once.
    """
    candidate, failure = failed[-1]
    if purpose in _CANDID and failure.kind != INEXPRESSIBLE:
        return _candid(failure)
    if failure.scope in (REQUEST, LARGER):
        return _about_request(candidate, failure, inbound)
    candidate, failure = min(failed, key=_hope)
    if failure.kind == INEXPRESSIBLE:
        return _about_request(candidate, failure, inbound)
    if failure.kind == "model" and _is_verbatim(candidate, failure, inbound):
        return _about_request(candidate, failure, inbound)
    status, code, words = _WORDS.get(failure.kind, _WORDS["auth"])
    told = f"{words} {_attempts(failed, skipped)}"
    error = UpstreamError(told, status=status, code=code)
    error.retryable = failure.kind not in _HOPELESS
    if error.retryable and status in (429, 503):
        waits = [each.retry_after_s for _, each in failed if each.retry_after_s]
        error.retry_after_s = min(waits) if waits else wait_s or _DEFAULT_RETRY_S
    return error


def _candid(failure: Failure) -> ProxyError:
    """Say what the upstream said; secrets were taken out before."""
    status, code, _ = _WORDS.get(failure.kind, _WORDS["server_error"])
    detail = failure.detail
    return UpstreamError(
        detail.message or failure.reason,
        status=failure.status or status,
        code=detail.code or code,
        retry_after_s=failure.retry_after_s,
    )


def _about_request(
    candidate: Candidate, failure: Failure, inbound: WireFormat
) -> ProxyError:
    """Pass on what an upstream says about the request itself."""
    detail = failure.detail
    status = failure.status or 400
    status = status if status < 500 else 400
    code, kind = detail.code or "invalid_request", detail.type
    if candidate.wire is not inbound and failure.kind != INEXPRESSIBLE:
        code, kind = _neutral_code(status, detail), None
    error = ClientError(
        detail.message or "The provider refused the request.",
        status=status,
        code=code,
        param=detail.param,
        kind=kind,
    )
    if _is_verbatim(candidate, failure, inbound):
        error.raw = detail.raw
    return error


def _neutral_code(status: int, detail: ErrorDetail) -> str:
    """Return the stable word for what another dialect said of a request."""
    if status in _TOO_LONG and _CONTEXT.search(f"{detail.code} {detail.message}"):
        return "context_length_exceeded"
    if detail.code in _KEPT_CODES:
        return str(detail.code)
    return _CODES.get(status, "invalid_request")


def _is_verbatim(candidate: Candidate, failure: Failure, inbound: WireFormat) -> bool:
    return (
        failure.is_verbatim and candidate.wire is inbound and bool(failure.detail.raw)
    )


def _hope(each: Failed) -> int:
    kind = each[1].kind
    return _ORDER.index(kind) if kind in _ORDER else len(_ORDER)


def _attempts(failed: Sequence[Failed], skipped: Sequence[Skip]) -> str:
    """Name what was tried: providers and kinds, no keys and no vendor's own words."""
    named = [
        f"{candidate.route.provider.slug}: {_short(failure)}"
        for candidate, failure in failed[:_MOST_NAMED]
    ]
    count = "1 attempt" if len(failed) == 1 else f"{len(failed)} attempts"
    told = f"{count}: {'; '.join(named)}"
    # Who the key may not use is not the client's to know.
    passed = [skip for skip in skipped if skip.reason.startswith(_TOLD)]
    reasons = [f"{s.route.provider.slug}: {_plain(s.reason)}" for s in passed]
    if reasons:
        told += (
            f". Passed over: {'; '.join(list(dict.fromkeys(reasons))[:_MOST_NAMED])}"
        )
    return f"({told})"


def _plain(reason: str) -> str:
    return reason.replace(":", " ").replace("_", " ")


def _short(failure: Failure) -> str:
    kind = failure.kind.replace("_", " ")
    return kind if failure.status is None else f"{failure.status} {kind}"
