"""Every place where vendors say how long to stay away, and what is left."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.routing.durations import parse_duration
from providers.routing.hints import LEAST_S, MOST_S, read_hint
from providers.routing.quota_signal import QuotaSignal, quota_signal

NOW = 1_800_000_000.0
_WORDS = ("remaining", "limit", "reset")


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


def test_a_limit_on_spending_lasts_until_the_next_month() -> None:
    text = '{"error": {"details": {"error_code": "enforced_spend_limit_reached"}}}'
    # 30 January 2027, 20:00 UTC: four hours and a day before February.
    late = 1_801_339_200.0
    assert read_hint({}, text, now_s=late) == MOST_S
    assert read_hint({}, text, now_s=late + 86_400) == 4 * 3600


def test_a_quota_of_a_day_lasts_until_midnight_in_california() -> None:
    quota = {"@type": "x/QuotaFailure", "violations": [{"quotaId": "RequestsPerDay"}]}
    delay = {"@type": "x/RetryInfo", "retryDelay": "34s"}
    text = json.dumps({"error": {"details": [quota, delay]}})
    # NOW is 08:00 UTC on 15 January, the very start of a day there.
    assert read_hint({}, text, now_s=NOW + 3600) == 23 * 3600


@pytest.mark.parametrize(
    ("headers", "signal"),
    [
        ({}, None),
        (
            {
                "x-ratelimit-limit-requests": "100",
                "x-ratelimit-remaining-requests": "25",
                "x-ratelimit-reset-requests": "6m0s",
                "x-ratelimit-limit-tokens": "1000",
                "x-ratelimit-remaining-tokens": "900",
            },
            QuotaSignal(0.25, 360.0),
        ),
        (
            {
                "anthropic-ratelimit-requests-limit": "50",
                "anthropic-ratelimit-requests-remaining": "49",
                "anthropic-ratelimit-output-tokens-limit": "8000",
                "anthropic-ratelimit-output-tokens-remaining": "800",
                "anthropic-ratelimit-output-tokens-reset": "2027-01-15T08:01:00Z",
            },
            QuotaSignal(0.1, 60.0),
        ),
        (
            {
                "anthropic-ratelimit-unified-5h-status": "allowed_warning",
                "anthropic-ratelimit-unified-reset": str(int(NOW) + 90),
            },
            QuotaSignal(0.1, 90.0),
        ),
        ({"anthropic-ratelimit-unified-5h-status": "rejected"}, QuotaSignal(0.0)),
        (
            {
                "x-codex-primary-used-percent": "20",
                "x-codex-secondary-used-percent": "85",
                "x-codex-secondary-reset-after-seconds": "90000",
            },
            QuotaSignal(pytest.approx(0.15), 90000.0),  # type: ignore[arg-type]
        ),
        (
            {
                "x-codex-primary-used-percent": "120",
                "x-codex-primary-reset-at": str(int(NOW) + 7),
            },
            QuotaSignal(0.0, 7.0),
        ),
        ({"x-ratelimit-remaining-requests": "0"}, QuotaSignal(0.0)),
        ({"x-ratelimit-remaining-requests": "7"}, None),
        ({"x-ratelimit-remaining-requests": "nan"}, None),
    ],
)
def test_what_is_left_is_read(
    headers: dict[str, str], signal: QuotaSignal | None
) -> None:
    assert quota_signal(headers, now_s=NOW) == signal


def test_without_a_clock_a_moment_is_no_wait() -> None:
    headers = {
        "anthropic-ratelimit-unified-5h-status": "allowed",
        "anthropic-ratelimit-unified-reset": str(int(NOW)),
    }
    assert quota_signal(headers) == QuotaSignal(1.0)


@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_nothing_told_of_a_quota_breaks_its_reader(
    left: str, limit: str, reset: str
) -> None:
    headers = {
        "x-ratelimit-remaining-tokens": left,
        "x-ratelimit-limit-tokens": limit,
        "x-ratelimit-reset-tokens": reset,
    }
    found = quota_signal(headers, now_s=NOW)
    assert found is None or 0.0 <= found.remaining <= 1.0


@pytest.mark.parametrize(
    "hostile",
    [
        "9" * 400,
        "9" * 400 + "s",
        "9" * 5000 + "d",
        "1e308",
        "-1e308",
        "inf",
        "999999999",
        "9999-12-31T23:59:59-23:59",
        "0001-01-01T00:00:00+23:59",
        "Mon, 01 Jan 99999999999 00:00:00 GMT",
        "Mon, 01 Jan 2026 00:00:00 +99999999",
    ],
)
def test_no_number_a_vendor_sends_breaks_or_outlasts_anything(hostile: str) -> None:
    left, most, reset = (f"x-ratelimit-{w}-requests" for w in _WORDS)
    for headers in (
        {"retry-after": hostile},
        {"retry-after-ms": hostile},
        {"anthropic-ratelimit-unified-reset": hostile},
        {left: "0", most: "10", reset: hostile},
        {left: hostile, most: hostile, reset: hostile},
        {"x-codex-primary-used-percent": hostile, "x-codex-primary-reset-at": hostile},
    ):
        hint = read_hint(headers, "", now_s=NOW)
        assert hint is None or LEAST_S <= hint <= MOST_S
        told = quota_signal(headers, now_s=NOW)
        assert told is None or 0.0 <= told.remaining <= 1.0
        assert told is None or told.reset_s is None or 0 <= told.reset_s <= 31 * 86_400
