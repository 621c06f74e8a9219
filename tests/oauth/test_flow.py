"""Prove the pure rules of a sign-in: randoms, challenge, pasted addresses."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from oauth import flow
from oauth.vendors.base import TokenRefusedError

REDIRECT = "http://localhost:1455/auth/callback"
STATE = "state-0123456789"


def read(text: str, state: str = STATE) -> str:
    return flow.read_callback(text, state=state, redirect_url=REDIRECT)


def test_state_verifier_and_nonce_are_independent_randoms() -> None:
    asked: list[int] = []

    def make(size: int) -> bytes:
        asked.append(size)
        return bytes([len(asked)]) * size

    made = flow.new_randoms(make)
    assert asked == [32, 64, 32]
    assert len({made.state, made.verifier, made.nonce}) == 3
    seen = {flow.new_randoms().state for _ in range(50)}
    assert len(seen) == 50
    # RFC 7636 4.1: 43 to 128 characters of the unreserved set.
    assert re.fullmatch(r"[A-Za-z0-9_-]{86}", flow.new_randoms().verifier)


def test_challenge_is_s256_of_the_verifier() -> None:
    # RFC 7636, appendix B.
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    assert flow.challenge(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


@pytest.mark.parametrize(
    "text",
    [
        f"{REDIRECT}?code=abc&state={STATE}", f"  {REDIRECT}?state={STATE}&code=abc\n",
        f"{REDIRECT}#code=abc&state={STATE}", f"?code=abc&state={STATE}",
        f"code=abc&state={STATE}", f"abc#{STATE}",
        f"{REDIRECT}?code=abc&scope=a%20b&state={STATE}",
    ],
)  # fmt: skip
def test_pasted_callback_gives_its_code(text: str) -> None:
    assert read(text) == "abc"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "Paste the address"), ("x" * 9000, "too long"),
        (f"{REDIRECT}?code=abc", "another sign-in"),
        (f"{REDIRECT}?code=abc&state=other", "another sign-in"),
        (f"{REDIRECT}?code=&state={STATE}", "another sign-in|no code"),
        (f"{REDIRECT}?state={STATE}", "no code"), ("abc", "after the code"),
        ("abc#other", "another sign-in"), ("#" + STATE, "no code"),
        (f"https://localhost:1455/auth/callback?code=abc&state={STATE}", "not the address"),
        (f"http://evil.example/auth/callback?code=abc&state={STATE}", "not the address"),
        (f"http://localhost:1456/auth/callback?code=abc&state={STATE}", "not the address"),
        (f"http://localhost:1455/other?code=abc&state={STATE}", "not the address"),
        (f"http://me@localhost:1455/auth/callback?code=abc&state={STATE}", "not the address"),
        (f"http://localhost:99999/auth/callback?code=abc&state={STATE}", "not the address"),
        (f"{REDIRECT}?code=abc&state={STATE}&state=x", "twice"),
        (f"{REDIRECT}?code=a&code=b&state={STATE}", "twice"),
        ("a b#" + STATE, "printable"), ("ü#" + STATE, "printable"),
        ("a\x00#" + STATE, "printable"), (f"{REDIRECT}?{'a=1&' * 60}", "no code"),
    ],
)  # fmt: skip
def test_pasted_nonsense_is_refused_without_showing_it(text: str, why: str) -> None:
    with pytest.raises(flow.PasteError, match=why) as refusal:
        read(text)
    assert "abc" not in str(refusal.value)


def test_blank_state_never_matches() -> None:
    with pytest.raises(flow.PasteError):
        read(f"{REDIRECT}?code=abc&state=", state="")


def test_refusal_in_the_address_counts_only_with_the_right_state() -> None:
    with pytest.raises(TokenRefusedError) as refusal:
        read(f"{REDIRECT}?error=access_denied&state={STATE}")
    assert (refusal.value.code, refusal.value.is_final) == ("access_denied", True)
    with pytest.raises(flow.PasteError):
        read(f"{REDIRECT}?error=access_denied&state=other")


def test_odd_error_words_are_cut_to_plain_ones() -> None:
    with pytest.raises(TokenRefusedError) as refusal:
        read(f"{REDIRECT}?error=%3Cscript%3E{'x' * 90}&state={STATE}")
    assert re.fullmatch(r"[a-z]{60}", refusal.value.code)


def test_pasted_addresses_are_never_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> Callable[[], None]:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setattr("socket.getaddrinfo", refuse)
    assert read(f"{REDIRECT}?code=abc&state={STATE}") == "abc"
