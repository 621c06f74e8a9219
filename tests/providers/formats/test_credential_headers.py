from __future__ import annotations

import pytest

from providers.formats import registry
from providers.formats.credential_headers import (
    SIGNED,
    UnknownSchemeError,
    credential_headers,
)

WIRE = registry.get("anthropic")


@pytest.mark.parametrize(
    ("scheme", "headers"),
    [
        ("", {"x-api-key": "s3cret"}),
        ("bearer", {"authorization": "Bearer s3cret"}),
        ("x-api-key", {"x-api-key": "s3cret"}),
        ("x-goog-api-key", {"x-goog-api-key": "s3cret"}),
        ("api-key", {"api-key": "s3cret"}),
        ("none", {}),
        *[(scheme, {}) for scheme in sorted(SIGNED)],
    ],
)
def test_a_scheme_says_where_a_secret_travels(
    scheme: str, headers: dict[str, str]
) -> None:
    assert credential_headers(WIRE, scheme, "s3cret") == headers


def test_an_unknown_scheme_sends_nothing() -> None:
    with pytest.raises(UnknownSchemeError):
        credential_headers(WIRE, "smoke", "s3cret")
