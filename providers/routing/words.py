"""The codes and words vendors use for each kind of failure; read by ``classify``.

Patterns are searched in lower-cased text. They are bounded, so that an error made to be
slow costs no more than any other.

Source: reference facts collected for the seeds' features, August 2026.
"""

from __future__ import annotations

from typing import Final

IMAGE_DIMENSION: Final = (
    r"image dimensions? exceeds? max",
    r"image[^.]{0,40}(too many pixels|dimensions? (too|exceed))",
    r"at least one of the image dimensions",
)
IMAGE_SIZE: Final = (
    r"image exceeds[^.]{0,40}\bmb\b",
    r"image[^.]{0,40}exceeds[^.]{0,40}\d\s?mb\b",
    r"image (is )?too large",
)
CONTEXT_CODES: Final = (
    "context_length_exceeded",
    "context_window_exceeded",
    "model_context_window_exceeded",
)
CONTEXT: Final = (
    r"context[ _](length|window)[ _]exceeded",
    r"maximum context length",
    r"maximum number of tokens",
    r"token limit",
    r"too many (input )?tokens",
    r"(prompt|input) is too long",
    r"token count[^.]{0,60}exceed",
    r"exceeds?[^.]{0,40}(context|token limit)",
    r"request too large for model",
)
POLICY_CODES: Final = ("content_filter", "content_policy_violation")
POLICY: Final = (
    r"content[ _](filter|policy)",
    r"policy violation",
    r"usage polic(y|ies)",
    r"\bmoderation\b",
    r"\b(input|prompt|content|message)s? (was|were|is|has been|have been) flagged",
    r"safety",
)
DEAD_CODES: Final = (
    "account_deactivated",
    "account_suspended",
    "account_deleted",
    "organization_disabled",
    "organization_restricted",
)
DEAD: Final = (
    r"access (has been |was )?terminated",
    r"terminated your access",
    r"organi[sz]ation[^.]{0,40}(disabled|restricted)",
    r"account[^.]{0,40}(deactivated|suspended)",
)
SIGN_IN_CODES: Final = (
    "refresh_token_expired",
    "refresh_token_reused",
    "refresh_token_invalidated",
    "invalid_grant",
    "token_invalidated",
    "token_expired",
    "app_session_terminated",
    "account_session_expired",
    "account_auth_invalidated",
)
QUOTA_CODES: Final = (
    "insufficient_quota",
    "insufficient_user_quota",
    "credit_balance_exhausted",
    "billing_error",
    "billing_hard_limit_reached",
    "billing_not_active",
    "enforced_spend_limit_reached",
    "spend_limit_reached",
    "usage_limit_reached",
    "usage_limit_exceeded",
    "insufficient_balance",
    "payment_required",
)
QUOTA: Final = (
    r"insufficient[ _](user[ _])?quota",
    r"insufficient[ _](credit|balance|funds)",
    r"credit balance",
    r"payment required",
    r"plans? (&|and) billing",
    r"billing[ _](hard[ _])?limit",
    r"spend(ing)?[ _]limit",
    r"out of (credit|fund)",
    r"exceeded your current quota",
    r"quota (is |has been )?(used up|exhausted)",
    r"usage[ _]limit[ _]reached",
    r"specified api usage limit",
    "已欠费",
)
AUTH_CODES: Final = (
    "api_key_invalid",
    "invalid_api_key",
    "unrecognizedclientexception",
    "invalidsignatureexception",
    "expiredtokenexception",
)
AUTH: Final = (
    r"\b(invalid|incorrect|missing|expired)[ _](x-)?api[ _-]?key",
    r"\binvalid[ _]key\b",
    r"api[ _-]?key (is )?(not valid|invalid|expired|required|missing)",
    r"no (credentials|api[ _-]?key) found",
    r"unauthorized",
    r"forbidden",
    r"access denied",
    r"authenticat(e|ion)",
    r"invalid[ _]token",
    r"token (has )?expired",
    r"oauth token refresh failed",
    "未提供令牌",
)
BUSY: Final = (
    "overloaded_error",
    "model_capacity_exhausted",
    "model_capacity_exceeded",
    "server_is_overloaded",
    "slow_down",
)
OVERLOADED: Final = (
    r"overloaded",
    r"\bcapacity\b",
    r"rate[ _-]?limit",
    r"too many requests",
    r"throttl",
)
RATE: Final = (
    r"rate[ _-]?limit",
    r"too many requests",
    r"throttl",
    r"resource[ _](has been )?exhausted",
    r"quota exceeded",
    r"exceeded.{0,40}quota",
    r"usage limit",
)
RATE_OF_TOKENS: Final = (r"tokens per (minute|day)", r"\btp[md]\b")
MODEL_CODES: Final = (
    "model_not_found",
    "model_not_supported",
    "model_not_available",
    "dedicated_endpoint_not_running",
    "deployment_not_found",
    "deploymentnotfound",
)
MODEL_OF_TYPE: Final = (r"^model: ", r"is not available")
MODEL: Final = (
    r"model[^.]{0,120}(not found|not exist|not configured|not enabled|not available"
    r"|not supported|not authorized|disabled|unavailable|no access|deprecated"
    r"|decommissioned|permission denied)",
    r"(not found|unknown|invalid|unsupported|no such|unavailable)[ _]model",
    r"(does not exist|not have access to)[^.]{0,60}model",
    # An aggregator's word for a model that none of its own providers serves.
    r"no (endpoints|allowed providers)( are)? (found|available)",
    r"模型不存在",
    r"模型[^.]{0,20}(未配置|未启用|不可用|不支持|未找到|无权限)",
    r"不支持.{0,10}模型",
)
DIALECT: Final = (
    r"unsupported legacy protocol",
    r"unsupported request",
    r"bad_response_status_code",
    r"please use /v1/responses",
    r"unexpected content[ -]type",
)
NOWHERE: Final = (
    r"^\s*$",
    r"page not found",
    r"^(404 )?not found[.!]?$",
    r"no (such )?(route|endpoint)",
    r"cannot (post|get) /",
    r"invalid url",
    r"method not allowed",
)
FORMAT: Final = (
    r"string should match pattern",
    r"tool_use[._]id",
    r"messages\.\d+\.content",
    r"invalid request format",
    r"\bcode\W{0,3}1210\b",
)
INVALID: Final = (r"invalid[_ ](request|argument|parameter)", r"validationexception")
TIMEOUT: Final = (r"time-?out", r"timed out", r"deadline exceeded")
NETWORK: Final = (
    r"unexpected eof",
    r"connection (was )?(reset|aborted|refused|closed|error)",
    r"(host|network)[^.]{0,20}unreachable",
    r"broken pipe",
    r"service unavailable",
    r"bad gateway",
    r"temporarily unavailable",
    r"\bunavailable\b",
)
