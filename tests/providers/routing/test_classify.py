"""Every row of the table of failures, by its name, and what vendors say beside it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.formats.errors import ErrorDetail
from providers.proxy.verdict import judge_status
from providers.routing.classify import (
    ROWS,
    ROWS_WITHOUT_STATUS,
    classify,
    classify_words,
    row_of,
    row_of_words,
    status_in,
)
from providers.routing.steps import STEPS
from providers.routing.vendor_errors import verification_link
from tests.providers.routing.failure_rows import GOOGLE, OTHER, SAID, TABLE

GOOGLE_TYPE = "type.googleapis.com/google.rpc."


@pytest.mark.parametrize(
    ("name", "status", "code", "text", "kind"),
    TABLE,
    ids=[f"{name}-{number}" for number, (name, *_) in enumerate(TABLE)],
)
def test_row(name: str, status: int, code: str | None, text: str, kind: str) -> None:
    row = row_of(status, text=text, codes=(code,))
    assert row is not None
    assert (row.name, row.kind) == (name, kind)
    assert classify(status, text=text, codes=(code,)) == kind


def test_every_row_is_shown() -> None:
    assert {row.name for row in ROWS} == {name for name, *_ in TABLE}
    assert {row.name for row in ROWS_WITHOUT_STATUS} <= {name for name, *_ in SAID}
    assert {row.kind for row in (*ROWS, *ROWS_WITHOUT_STATUS)} <= STEPS.keys()


@pytest.mark.parametrize(
    ("status", "code", "text", "kind"), OTHER, ids=[str(each[:3]) for each in OTHER]
)
def test_what_no_row_knows_or_quotes(
    status: int, code: str | None, text: str, kind: str
) -> None:
    assert classify(status, text=text, codes=(code,)) == kind


@pytest.mark.parametrize(
    ("name", "code", "text", "kind"), SAID, ids=[str(each[:3]) for each in SAID]
)
def test_an_error_without_a_status(
    name: str, code: str | None, text: str, kind: str
) -> None:
    row = row_of_words(text, (code,))
    assert (None if row is None else row.name) == (name or None)
    assert classify_words(text, (code,)) == (kind or None)


@pytest.mark.parametrize(
    ("status", "message", "details", "kind"),
    [each[1:] for each in GOOGLE],
    ids=[each[0] for each in GOOGLE],
)
def test_googles_details(
    status: int, message: str, details: list[dict[str, Any]], kind: str
) -> None:
    typed = [{**each, "@type": GOOGLE_TYPE + each["@type"]} for each in details]
    error = {"code": status, "message": message, "status": "X", "details": typed}
    for body in ({"error": error}, [{"error": error}]):
        raw = json.dumps(body).encode()
        assert classify(status, text=message, raw=raw) == kind


@pytest.mark.parametrize(
    ("link", "shown"),
    [
        ("https://accounts.google.com/a?b=c", "https://accounts.google.com/a?b=c"),
        (
            f"https://accounts.google.com/a?b={'c' * 200}",
            "https://accounts.google.com/",
        ),
        ("https://accounts.google.com.evil.test/", ""),
        ("http://accounts.google.com/", ""),
        ("https://[", ""),
    ],
)
def test_a_person_is_sent_to_googles_own_page_only(link: str, shown: str) -> None:
    info = {
        "@type": GOOGLE_TYPE + "ErrorInfo",
        "reason": "VALIDATION_REQUIRED",
        "domain": "cloudcode-pa.googleapis.com",
        "metadata": {"validation_link": link},
    }
    links = {"@type": GOOGLE_TYPE + "Help", "links": [{"url": link}]}
    for details in ([info], [{**info, "metadata": {}}, links]):
        raw = json.dumps({"error": {"message": "Verify", "details": details}}).encode()
        assert verification_link(raw) == shown
        detail = ErrorDetail(message="Verify", raw=raw)
        failure = judge_status(403, detail, {}, now_s=0.0)
        assert failure.reason == f"403 Verify {shown}".rstrip()
    assert (
        verification_link(b'{"error": {"details": [1, "VALIDATION_REQUIRED"]}}') == ""
    )


def test_anthropics_spend_limit_hides_in_its_details() -> None:
    error = {
        "type": "rate_limit_error",
        "message": "You have hit a limit",
        "details": {"error_code": "enforced_spend_limit_reached"},
    }
    raw = json.dumps({"type": "error", "error": error}).encode()
    assert classify(429, text="You have hit a limit", raw=raw) == "quota"


@given(st.integers(100, 999), st.text(max_size=300), st.text(max_size=20), st.binary())
def test_nothing_an_upstream_says_breaks_the_table(
    status: int, text: str, code: str, raw: bytes
) -> None:
    assert classify(status, text=text, codes=(code, None), raw=raw) in STEPS
    classify_words(text, (code,))


def test_a_status_counts_beside_a_marker_only() -> None:
    assert status_in("upstream returned 503") == 503
    assert status_in("status code: 429") == 429
    assert status_in("HTTP/1.1 502 Bad Gateway") == 502
    assert status_in("request id 50315, took 429 ms") is None
    assert status_in("(401) no") == 401
