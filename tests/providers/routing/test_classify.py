"""What an upstream says is named rightly, and its hints are read."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.routing.classify import classify
from providers.routing.hints import LEAST_S, MOST_S, parse_duration, read_hint

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("status", "code", "text", "kind"),
    [
        (401, "invalid_api_key", "Incorrect API key provided", "auth"),
        (403, None, "forbidden", "auth"),
        (403, None, "insufficient_user_quota", "quota"),
        (401, None, "quota exceeded for this key", "rate_limit"),
        (402, None, "", "quota"),
        (429, None, "Rate limit reached for gpt-4o", "rate_limit"),
        (429, "insufficient_quota", "You exceeded your current quota", "quota"),
        (429, "rate_limit_error", "You exceeded your current quota", "quota"),
        (429, "usage_limit_reached", "", "quota"),
        (400, None, "Your credit balance is too low", "quota"),
        (400, "context_length_exceeded", "maximum context length", "request"),
        (400, None, "prompt is too long: 300000 tokens", "request"),
        (400, "content_filter", "policy violation", "request"),
        (403, None, "blocked by content policy", "request"),
        (400, None, "The model `x` is not supported", "model"),
        (404, "model_not_found", "The model `x` does not exist", "model"),
        (404, None, "model not found", "model"),
        (404, None, "page not found", "request"),
        (400, None, "Invalid API key", "auth"),
        (400, None, "messages: field required", "request"),
        (413, None, "", "request"),
        (422, None, "unknown field", "request"),
        (418, None, "", "request"),
        (
            403,
            None,
            "this model requires moderation; your input was flagged",
            "request",
        ),
        (400, "invalid_value", "Invalid value: 'insufficient_quota'.", "request"),
        (400, "invalid_value", "Invalid value: 'invalid_api_key'. Use: 'a'", "request"),
        (400, None, "unknown variant `rate limit`, expected `user`", "request"),
        (400, None, "Invalid 'x': 'a' credit balance' is no name", "request"),
        (400, None, 'Bad role "x" payment required"', "request"),
        (400, None, "You've no insufficient funds left, don't retry", "quota"),
        (400, None, 'model "x" not found, try pulling it first', "model"),
        (404, None, "The model `a.b` does not exist or isn't yours", "model"),
        (408, None, "", "timeout"),
        (500, None, "internal error", "server_error"),
        (500, None, "overloaded", "unavailable"),
        (501, None, "", "server_error"),
        (502, None, "", "unavailable"),
        (503, None, "", "unavailable"),
        (504, None, "", "unavailable"),
        (529, "overloaded_error", "Overloaded", "unavailable"),
        (302, None, "", "server_error"),
    ],
)
def test_failures_are_named(
    status: int, code: str | None, text: str, kind: str
) -> None:
    assert classify(status, text=text, codes=(code,)) == kind


@given(st.integers(100, 999), st.text(max_size=300), st.text(max_size=20))
def test_nothing_an_upstream_says_breaks_the_table(
    status: int, text: str, code: str
) -> None:
    assert classify(status, text=text, codes=(code, None))


@pytest.mark.parametrize(
    ("headers", "text", "seconds"),
    [
        ({"retry-after": "17"}, "", 17),
        ({"retry-after": "1.5"}, "", 1.5),
        ({"retry-after": "0"}, "", LEAST_S),
        ({"retry-after": "-5"}, "", LEAST_S),
        ({"retry-after": "1e9"}, "", MOST_S),
        ({"retry-after": "soon"}, "", None),
        ({"retry-after": "nan"}, "", None),
        ({"retry-after": "Fri, 15 Jan 2027 08:00:30 GMT"}, "", 30),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:00 GMT"}, "", LEAST_S),
        ({"retry-after-ms": "2500", "retry-after": "9"}, "", 2.5),
        ({"anthropic-ratelimit-unified-reset": str(int(NOW) + 90)}, "", 90),
        (
            {
                "anthropic-ratelimit-tokens-remaining": "0",
                "anthropic-ratelimit-tokens-reset": "2027-01-15T08:01:00Z",
                "anthropic-ratelimit-requests-remaining": "7",
                "anthropic-ratelimit-requests-reset": "2027-01-15T09:00:00Z",
            },
            "",
            60,
        ),
        (
            {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "6m0s"},
            "",
            360,
        ),
        (
            {
                "x-codex-primary-used-percent": "100",
                "x-codex-primary-reset-after-seconds": "400",
                "x-codex-secondary-used-percent": "80",
                "x-codex-secondary-reset-after-seconds": "90000",
            },
            "",
            400,
        ),
        ({}, json.dumps({"error": {"resets_at": NOW + 50}}), 50),
        ({}, json.dumps({"error": {"resets_in_seconds": 70}}), 70),
        ({}, json.dumps({"error": {"details": [{"retryDelay": "34.5s"}]}}), 34.5),
        (
            {},
            json.dumps([{"error": {"metadata": {"quotaResetDelay": "1h2m3s"}}}]),
            3723,
        ),
        ({}, "Rate limit reached. Please try again in 6m0s.", 360),
        ({}, "Please try again in 500ms", LEAST_S),
        ({}, "Please retry after 20 seconds.", 20),
        ({}, "quota resets in 2 hours, 5 minutes", 7500),
        ({}, "try again later", None),
        ({}, "", None),
    ],
)
def test_hints_are_read(
    headers: dict[str, str], text: str, seconds: float | None
) -> None:
    assert read_hint(headers, text, now_s=NOW) == pytest.approx(seconds)


@given(
    st.dictionaries(
        st.sampled_from(
            [
                "retry-after",
                "retry-after-ms",
                "x-ratelimit-remaining-tokens",
                "x-ratelimit-reset-tokens",
                "anthropic-ratelimit-unified-reset",
            ]
        ),
        st.text(max_size=30),
    ),
    st.text(max_size=200),
)
def test_a_hint_is_nothing_or_between_a_second_and_a_day(
    headers: dict[str, str], text: str
) -> None:
    found = read_hint(headers, text, now_s=NOW)
    assert found is None or LEAST_S <= found <= MOST_S


def test_durations_add_up() -> None:
    assert parse_duration("1h2m3s") == 3723
    assert parse_duration("500ms") == 0.5
    assert parse_duration("12") == 12
    assert parse_duration("2 hours") is None


@pytest.mark.parametrize("word", ["retry", "reset", "retry in 1s ", "available again"])
def test_an_error_made_to_be_slow_is_read_as_fast_as_any(word: str) -> None:
    start = time.perf_counter()
    read_hint({}, word * (64_000 // len(word)), now_s=NOW)
    assert time.perf_counter() - start < 0.5
