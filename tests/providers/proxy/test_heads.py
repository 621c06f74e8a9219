from __future__ import annotations

import pytest

from providers.proxy.errors import UpstreamError
from providers.proxy.heads import error_head


@pytest.mark.parametrize(
    ("wait_s", "retryable", "told"),
    [
        (None, None, None),
        (7.0, None, None),
        (7.0, True, b"true"),
        (18_000.0, None, b"false"),
        (18_000.0, True, b"false"),
        (None, False, b"false"),
    ],
)
def test_t126_nobody_is_told_to_sleep_for_hours_and_try_again(
    wait_s: float | None, retryable: bool | None, told: bytes | None
) -> None:
    error = UpstreamError("Nobody is there.", retry_after_s=wait_s)
    error.retryable = retryable
    head = dict(error_head(b"id", error, attempts=0))
    assert head.get(b"x-should-retry") == told
    assert head.get(b"retry-after") == (b"%d" % wait_s if wait_s else None)
