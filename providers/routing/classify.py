"""Say what kind of failure an upstream's answer is, from status, code and words.

One table, read from the top: the first row that matches decides. Codes come before
words and words before the bare status, because vendors use one status for several
things: a 429 may mean an empty account, a 400 a missing model, a 403 a quota.

Source: reference facts collected for the seeds' features, August 2026.
"""

from __future__ import annotations

import re
from typing import Final, Literal

import msgspec

FailureKind = Literal[
    "auth",
    "quota",
    "rate_limit",
    "unavailable",
    "server_error",
    "timeout",
    "model",
    "request",
]
"""The words of ``providers.proxy.ports.Health``, and ``request``: the client's fault."""

MAX_TEXT: Final = 16 * 1024
_ECHOING: Final = frozenset({400, 404, 422})


class Rule(msgspec.Struct, frozen=True):
    """One row: every condition it names must hold.

    Shapes:  no ``statuses`` = any; ``codes`` are compared with the error's type and
             code; ``words`` is searched in the lower-cased text.
    """

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


def _rule(
    kind: FailureKind,
    *statuses: int,
    codes: tuple[str, ...] = (),
    words: tuple[str, ...] = (),
) -> Rule:
    pattern = re.compile("|".join(words)) if words else None
    return Rule(kind, frozenset(statuses), frozenset(codes), pattern)


_QUOTA_WORDS: Final = (
    r"insufficient[ _](user[ _])?quota",
    r"insufficient[ _](credit|balance|funds)",
    r"credit balance",
    r"payment required",
    r"plans? (&|and) billing",
    r"billing[ _](hard[ _])?limit",
    r"spend(ing)?[ _]limit",
    r"out of (credit|fund)",
    r"exceeded your current quota",
    r"usage[ _]limit[ _]reached",
    "已欠费",
)
_RATE_WORDS: Final = (
    r"rate[ _-]?limit",
    r"too many requests",
    r"throttl",
    r"resource[ _](has been )?exhausted",
    r"quota exceeded",
    r"exceeded.{0,40}quota",
)
_MODEL_WORDS: Final = (
    r"model[^.]{0,120}(not found|not exist|not configured|not enabled|not available"
    r"|not supported|disabled|unavailable|no access|deprecated|decommissioned)",
    r"(not found|unknown|invalid|unsupported|no such)[ _]model",
    r"(does not exist|not have access to)[^.]{0,60}model",
    r"模型不存在",
    r"不支持.{0,10}模型",
)
_AUTH_WORDS: Final = (
    r"\b(invalid|incorrect|missing|expired)[ _](x-)?api[ _-]?key",
    r"api[ _-]?key (is )?(not valid|invalid|expired|required|missing)",
    r"unauthorized",
    r"authentication",
    r"invalid[ _]token",
    r"token (has )?expired",
    "未提供令牌",
)
_REQUEST_WORDS: Final = (
    r"context[ _](length|window)[ _]exceeded",
    r"maximum context length",
    r"prompt is too long",
    r"too many tokens",
    r"content[ _](filter|policy)",
    r"policy violation",
    r"usage polic(y|ies)",
    r"\bmoderation\b",
    r"\b(input|prompt|content|message)s? (was|were|is|has been|have been) flagged",
    r"safety",
)
_OPENING: Final = re.compile(r"""(?<!\w)['"`\u2018\u201c]""")
_CLOSING: Final = re.compile(r"""['"`\u2019\u201d](?!\w)""")

RULES: Final[tuple[Rule, ...]] = (
    _rule(
        "model",
        codes=("model_not_found", "model_not_supported", "deployment_not_found"),
    ),
    _rule(
        "request",
        codes=("context_length_exceeded", "content_filter", "content_policy_violation"),
    ),
    _rule(
        "quota",
        400,
        402,
        403,
        429,
        codes=(
            "insufficient_quota",
            "insufficient_user_quota",
            "credit_balance_exhausted",
            "billing_error",
            "billing_hard_limit_reached",
            "billing_not_active",
            "enforced_spend_limit_reached",
            "usage_limit_reached",
            "usage_limit_exceeded",
            "insufficient_balance",
        ),
    ),
    _rule("quota", 400, 429, codes=("servicequotaexceededexception",)),
    _rule(
        "auth",
        400,
        401,
        403,
        codes=(
            "api_key_invalid",
            "unrecognizedclientexception",
            "invalidsignatureexception",
            "expiredtokenexception",
        ),
    ),
    _rule("quota", 400, 401, 402, 403, 429, words=_QUOTA_WORDS),
    _rule("quota", 402),
    _rule("rate_limit", 429),
    _rule("rate_limit", 400, 401, 403, words=_RATE_WORDS),
    _rule("request", 400, 403, 422, words=_REQUEST_WORDS),
    _rule("model", 400, 403, 404, 422, words=_MODEL_WORDS),
    _rule("auth", 401, 403),
    _rule("auth", 400, words=_AUTH_WORDS),
    _rule("timeout", 408),
    # Bedrock's word for a model that failed, which is no fault of the request.
    _rule("server_error", 424),
    _rule("unavailable", 502, 503, 504, 521, 522, 523, 524, 529),
    _rule("unavailable", 500, words=("overloaded", "capacity", *_RATE_WORDS)),
    _rule("request", 400, 404, 405, 406, 409, 410, 411, 413, 414, 415, 416, 422, 451),
)


def classify(
    status: int, *, text: str = "", codes: tuple[str | None, ...] = ()
) -> FailureKind:
    """Name the kind of failure of an answer that was not a success.

    Shapes:  ``text`` is the error's words or body; ``codes`` its type and code, where
             it has them.
    Fails:   never: an unknown 4xx is the request's fault, all else the server's.
    """
    lowered = text[:MAX_TEXT].lower()
    if status in _ECHOING:
        # Vendors quote what they refuse. A client whose role or tool is called
        # "insufficient_quota" must not park the pool's credentials for hours.
        lowered = _without_quotes(lowered)
    given = frozenset(code.lower() for code in codes if code)
    for rule in RULES:
        if rule.matches(status, given, lowered):
            return rule.kind
    return "request" if 400 <= status < 500 else "server_error"


def _without_quotes(text: str) -> str:
    """Cut all from the first quotation mark to the last: inner ones end nothing."""
    opening = _OPENING.search(text)
    if opening is None:
        return text
    end = opening.end()
    for closing in _CLOSING.finditer(text, end):
        end = closing.end()
    return text[: opening.start()] + text[end:]
