"""What looks like a secret or a picture is gone before anything is written."""

from __future__ import annotations

import json
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.usage.bodies.planted import SECRETS
from usage.bodies.redact import HIDDEN, redacted

SHAPES: Final = (
    "Use {} for it.",
    '{{"key": "{}"}}',
    "export KEY={}\\n",
    "curl -H 'x-api-key: {}' https://example.com",
)


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS.keys())
@pytest.mark.parametrize("shape", SHAPES, ids=["text", "json", "shell", "header"])
def test_known_keys_are_hidden_wherever_they_stand(secret: str, shape: str) -> None:
    text = json.dumps({"messages": [{"content": shape.format(secret)}]}).encode()
    clean = redacted(text)
    assert secret.encode() not in clean
    assert HIDDEN in clean


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer abcdefghijklmnop",
        "Authorization: Basic dXNlcjpwYXNzd29yZA==",
        '"api_key": "0123456789abcdef"',
        r"{\"password\": \"correct horse\"}",
        "CLIENT_SECRET=0123456789",
        "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\nMIIE and no end",
    ],
)
def test_values_named_like_secrets_are_hidden(text: str) -> None:
    clean = redacted(text.encode()).decode()
    for part in ("abcdefghij", "dXNlcjp", "0123456789", "correct", "wJalr", "MIIE"):
        assert part not in clean
    assert HIDDEN.decode() in clean


def test_plain_words_stay_as_they_are() -> None:
    text = (
        b'{"model": "gpt-5", "messages": [{"role": "user", "content": "The token of '
        b"appreciation, a basic example, and risk-free skiing; password: {} "
        b'{\\"password\\": {\\"type\\": \\"string\\"}}"}], "max_tokens": 100}'
    )
    assert redacted(text) == text


@pytest.mark.parametrize("size", [512, 10_000, 300_000])
def test_pictures_are_replaced_by_their_length(size: int) -> None:
    picture = b"iVBORw0K" * (size // 8)
    text = b'{"url": "data:image/png;base64,' + picture + b'=="} and more'
    clean = redacted(text)
    assert clean == (
        b'{"url": "data:image/png;base64,[%d characters removed]"} and more'
        % (len(picture) + 2)
    )


@given(st.integers(0, 40_000), st.integers(1, 3))
def test_a_secret_is_found_wherever_a_slice_ends(before: int, times: int) -> None:
    secret = b"sk-proj-abcDEF0123456789abcDEF0123456789"
    text = b"word " * (before // 5) + b"x" * (before % 5) + b" " + secret * times
    assert secret not in redacted(text + b" rest")


@given(st.binary(max_size=2_000))
def test_any_bytes_are_taken(data: bytes) -> None:
    assert isinstance(redacted(data), bytes)
