"""What an upstream's failure means for the next step."""

from __future__ import annotations

import json
from typing import Any

import pytest

from poolsite.destinations import Category
from providers.formats.errors import ErrorDetail
from providers.proxy import verdict
from providers.proxy.exchange import Failure
from providers.proxy.senses import health_word
from providers.routing.quota_signal import QuotaSignal

NOW = 1_800_000_000.0


def judged(status: int, words: str, code: str | None = None, **headers: str) -> Failure:
    raw = json.dumps({"error": {"message": words, "code": code}}).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    detail = ErrorDetail(message=words, code=code, raw=raw)
    return verdict.judge_status(status, detail, named, now_s=NOW)


@pytest.mark.parametrize(
    ("status", "words", "kind"),
    [
        (400, "image exceeds 5 MB maximum", "image_size"),
        (400, "image dimensions exceed max allowed size", "image_dimension"),
    ],
)
def test_image_errors_abort_verbatim_and_cool_nobody(
    status: int, words: str, kind: str
) -> None:
    failure = judged(status, words, retry_after="9")
    assert (failure.kind, failure.scope) == (kind, verdict.REQUEST)
    assert failure.is_verbatim
    assert not failure.is_transient
    assert failure.retry_after_s is None
    assert health_word(failure) == ""


def test_a_request_too_long_asks_for_a_larger_model() -> None:
    failure = judged(400, "prompt is too long: 300000 tokens")
    assert (failure.kind, failure.scope) == ("context_overflow", verdict.LARGER)
    assert failure.is_verbatim
    assert health_word(failure) == ""


@pytest.mark.parametrize(
    ("status", "words", "scope", "is_transient", "health"),
    [
        (401, "no", verdict.CANDIDATE, False, "auth"),
        (402, "no", verdict.CANDIDATE, False, "quota"),
        (404, "", verdict.ORIGIN, False, "server_error"),
        (404, "page not found", verdict.ORIGIN, False, "server_error"),
        (404, "model not found", verdict.CANDIDATE, False, "model"),
        (408, "", verdict.CANDIDATE, False, "timeout"),
        (429, "", verdict.CANDIDATE, False, "rate_limit"),
        (500, "", verdict.CANDIDATE, True, "server_error"),
        (503, "", verdict.CANDIDATE, True, "unavailable"),
        (503, "overloaded", verdict.CANDIDATE, True, "unavailable"),
        (529, "overloaded", verdict.CANDIDATE, False, "unavailable"),
        (302, "", verdict.ORIGIN, False, "server_error"),
        (418, "teapot", verdict.REQUEST, False, ""),
    ],
)
def test_the_class_decides(
    status: int, words: str, scope: str, is_transient: bool, health: str
) -> None:
    failure = judged(status, words)
    assert (failure.scope, failure.is_transient) == (scope, is_transient)
    assert health_word(failure) == health


def test_hint_and_allowance_travel_with_a_failure() -> None:
    failure = judged(
        429,
        "slow down",
        retry_after="7",
        x_ratelimit_remaining_requests="0",
        x_ratelimit_reset_requests="7s",
    )
    assert failure.retry_after_s == 7
    assert failure.signal == QuotaSignal(0.0, 7.0)


@pytest.mark.parametrize(
    ("detail", "kind", "status"),
    [
        (ErrorDetail(type="overloaded_error"), "overloaded", 503),
        (ErrorDetail(message="rate limit", status=200), "rate_limit", 429),
        (ErrorDetail(status=503), "unavailable", 503),
        (ErrorDetail(type="invalid_request_error", message="no"), "format", 400),
        (ErrorDetail(message="prompt is too long"), "context_overflow", 400),
        (ErrorDetail(message="what?"), "server_error", None),
    ],
)
def test_an_error_inside_a_200_is_judged_by_its_words(
    detail: ErrorDetail, kind: str, status: int | None
) -> None:
    failure = verdict.judge_body(detail, now_s=NOW)
    assert (failure.kind, failure.status) == (kind, status)
    assert not failure.is_verbatim


@pytest.mark.parametrize(
    ("category", "before_head", "kind", "is_transient"),
    [
        (Category.REFUSED, True, "connect", True),
        (Category.DNS, True, "connect", False),
        (Category.TLS, True, "connect", False),
        (Category.TIMEOUT, True, "timeout", False),
        (Category.TIMEOUT, False, "timeout", False),
        (Category.TOO_LARGE, False, "server_error", False),
        (Category.REFUSED, False, "server_error", True),
    ],
)
def test_a_broken_call_is_judged_by_where_it_broke(
    category: Category, before_head: bool, kind: str, is_transient: bool
) -> None:
    failure = verdict.judge_transport(category, before_head=before_head)
    assert (failure.kind, failure.is_transient) == (kind, is_transient)


def test_what_a_vendor_words_is_bounded() -> None:
    hostile: Any = "\u202e<b>" * 10_000
    failure = judged(500, hostile)
    assert len(failure.reason) <= 200
