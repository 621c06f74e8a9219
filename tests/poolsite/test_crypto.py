"""Prove that secrets stay bound, hidden and readable only by the right key."""

from __future__ import annotations

import base64
import copy
import json
import pickle
import traceback

import msgspec
import pytest
from cryptography.fernet import Fernet
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsite.clock import ManualClock
from poolsite.crypto import (
    InternalClaim,
    KeyRing,
    Peppers,
    Secret,
    UnreadableKind,
    UnreadableSecretError,
    make_internal_token,
    mask_client_key,
    mask_vendor_secret,
    new_client_key,
    parse_client_key,
    read_internal_token,
)

OLD, NEW, OTHER = (Fernet.generate_key() for _ in range(3))
RING = KeyRing([NEW, OLD])
CONTEXT = "api_key:42:secret"
ORIGIN = "https://api.example.com:443"
MARKER = "sk-canary-5f3d9a"
PEPPERS = Peppers([b"n" * 32, b"o" * 32])
ROOT = b"r" * 32
BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


@given(st.text(), st.text(max_size=40), st.none() | st.text(max_size=40))
@settings(max_examples=200)
def test_sealed_text_comes_back(text: str, context: str, origin: str | None) -> None:
    sealed = RING.seal(text, context=context, origin=origin)
    opened = RING.open(sealed.token, context=context, origin=origin, kid=sealed.kid)
    assert opened.reveal() == text
    assert opened.origin == origin
    assert sealed.kid == RING.primary_kid


@given(st.data())
@settings(max_examples=200)
def test_a_changed_token_is_never_opened(data: st.DataObject) -> None:
    token = RING.seal(MARKER, context=CONTEXT, origin=ORIGIN).token
    place = data.draw(st.integers(0, len(token) - 1))
    char = data.draw(st.sampled_from(BASE62 + "-_=+ é"))
    changed = token[:place] + char + token[place + 1 :]
    same = _bytes_of(changed) == _bytes_of(token)
    if same:
        return
    with pytest.raises(UnreadableSecretError):
        RING.open(changed, context=CONTEXT, origin=ORIGIN, kid=RING.primary_kid)


def _bytes_of(token: str) -> bytes | None:
    try:
        return base64.urlsafe_b64decode(token)
    except ValueError:
        return None


@pytest.mark.parametrize(
    ("ring", "context", "origin", "kid", "kind"),
    [
        (KeyRing([OTHER]), CONTEXT, ORIGIN, True, UnreadableKind.UNKNOWN_KEY),
        (KeyRing([OTHER]), CONTEXT, ORIGIN, False, UnreadableKind.UNKNOWN_KEY),
        (RING, "api_key:43:secret", ORIGIN, True, UnreadableKind.CONTEXT_MISMATCH),
        (
            RING,
            CONTEXT,
            "https://evil.example:443",
            True,
            UnreadableKind.ORIGIN_MISMATCH,
        ),
        (RING, CONTEXT, None, True, UnreadableKind.ORIGIN_MISMATCH),
    ],
)
def test_secret_is_unreadable_for_a_named_reason(
    ring: KeyRing, context: str, origin: str | None, kid: bool, kind: UnreadableKind
) -> None:
    sealed = RING.seal(MARKER, context=CONTEXT, origin=ORIGIN)
    with pytest.raises(UnreadableSecretError) as caught:
        ring.open(
            sealed.token,
            context=context,
            origin=origin,
            kid=sealed.kid if kid else None,
        )
    assert caught.value.kind is kind
    assert MARKER not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("token", ["", "abc", "gAAAAA", "é" * 100, "x" * 120])
@pytest.mark.parametrize("kid", [None, RING.primary_kid])
def test_damage_is_told_from_a_lost_key(token: str, kid: str | None) -> None:
    with pytest.raises(UnreadableSecretError) as caught:
        RING.open(token, context=CONTEXT, origin=ORIGIN, kid=kid)
    assert caught.value.kind is UnreadableKind.CORRUPT


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"v":2,"ctx":"","origin":null,"s":""}', b'{"v":1,"ctx":"","origin":null,"s":1}'])  # fmt: skip
def test_foreign_plaintext_is_corrupt(body: bytes) -> None:
    token = Fernet(NEW).encrypt(body).decode()
    with pytest.raises(UnreadableSecretError) as caught:
        RING.open(token, context="", origin=None)
    assert caught.value.kind is UnreadableKind.CORRUPT


def test_older_key_still_opens_and_does_not_seal() -> None:
    sealed = KeyRing([OLD]).seal(MARKER, context=CONTEXT, origin=None)
    assert RING.open(sealed.token, context=CONTEXT, origin=None).reveal() == MARKER
    assert RING.kids == (RING.primary_kid, sealed.kid)
    assert RING.primary_kid != sealed.kid


@pytest.mark.parametrize(
    "keys", [[], [""], ["short"], [NEW, NEW], [MARKER], [b"\xff" * 44]]
)
def test_bad_rings_are_refused_without_showing_the_key(keys: list[str | bytes]) -> None:
    with pytest.raises(ValueError, match="encryption key") as caught:
        KeyRing(keys)
    assert MARKER not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("peppers", [[], [""], [b"short"], [b"n" * 32, "n" * 32]])
def test_bad_peppers_are_refused(peppers: list[str | bytes]) -> None:
    with pytest.raises(ValueError, match="pepper"):
        Peppers(peppers)


def test_secret_does_not_leak_by_printing_or_storing() -> None:
    secret = Secret(MARKER, ORIGIN)
    shown = [
        str(secret),
        repr(secret),
        f"{secret}",
        f"{secret:>40}",
        f"{secret}",
        repr([secret]),
    ]
    assert not any(MARKER in text for text in shown)
    for dump in (pickle.dumps, json.dumps, msgspec.json.encode, msgspec.msgpack.encode):
        with pytest.raises(TypeError):
            dump(secret)
    with pytest.raises(TypeError):
        hash(secret)
    with pytest.raises(TypeError):
        vars(secret)
    assert copy.deepcopy([secret])[0].reveal() == MARKER


def test_secrets_compare_by_value_and_origin() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a", ORIGIN) != Secret("a")
    assert Secret("a") != "a"
    assert not Secret("")


def test_client_key_has_the_documented_shape() -> None:
    made = new_client_key()
    text = made.key.reveal()
    assert len(text) == 61
    assert text.startswith(f"pp_{made.public_id}_")
    parsed = parse_client_key(text)
    assert parsed == made
    assert parsed is not None
    assert text not in repr(parsed)
    assert made.last4 == text[-4:]


@given(st.integers(0, 60), st.sampled_from(BASE62 + "_-. é"))
@settings(max_examples=200)
def test_one_wrong_character_is_always_noticed(place: int, char: str) -> None:
    text = new_client_key().key.reveal()
    changed = text[:place] + char + text[place + 1 :]
    assert (parse_client_key(changed) is None) is (changed != text)


@given(st.text(max_size=80))
@settings(max_examples=200)
def test_arbitrary_text_is_no_client_key(text: str) -> None:
    assert parse_client_key(text) is None
    assert parse_client_key(f"pp_{text}") is None


def test_client_keys_use_the_whole_alphabet_and_differ() -> None:
    made = {new_client_key().key.reveal() for _ in range(500)}
    assert len(made) == 500
    assert set("".join(text[12:55] for text in made)) == set(BASE62)


def test_digest_is_keyed_and_matches_under_every_loaded_pepper() -> None:
    key = new_client_key().key
    pepper_id, digest = PEPPERS.digest(key)
    assert pepper_id == PEPPERS.pepper_id == PEPPERS.ids[0]
    assert PEPPERS.matches(key.reveal(), pepper_id=pepper_id, digest=digest)
    old = Peppers([b"o" * 32])
    old_id, old_digest = old.digest(key)
    assert old_digest != digest
    assert PEPPERS.matches(key, pepper_id=old_id, digest=old_digest)
    assert not old.matches(key, pepper_id=pepper_id, digest=digest)
    assert not PEPPERS.matches("pp_x", pepper_id=pepper_id, digest=digest)


def test_masks_show_what_the_design_allows() -> None:
    assert mask_client_key("ab12cd34", "wxyz") == "pp_ab12…wxyz"
    assert mask_vendor_secret("sk-ant-api03-abcdefghijklmnop") == "sk-…mnop"
    assert mask_vendor_secret(Secret("gsk_abcdefghijklmnop")) == "gsk_…mnop"
    assert mask_vendor_secret("github_pat_abcdefghijklmnop") == "github_…mnop"
    assert mask_vendor_secret("AIzaSyabcdefghijklmnop") == "…mnop"
    assert mask_vendor_secret("longprefix-abcdefghijklmnop") == "…mnop"
    assert mask_vendor_secret("sk-short") == "…"
    assert mask_vendor_secret("") == "…"


@given(st.text(max_size=60))
@settings(max_examples=200)
def test_mask_hides_at_least_eight_characters(text: str) -> None:
    assert len(mask_vendor_secret(text)) - 1 <= max(0, len(text) - 8)


def test_internal_token_names_key_and_purpose_for_a_minute() -> None:
    clock = ManualClock()
    token = make_internal_token(ROOT, key_id="ab12cd34", purpose="probe", clock=clock)
    assert read_internal_token(ROOT, token.reveal(), clock=clock) == InternalClaim(
        "ab12cd34", "probe"
    )
    clock.advance(59)
    assert read_internal_token(ROOT, token.reveal(), clock=clock) is not None
    clock.advance(1)
    assert read_internal_token(ROOT, token.reveal(), clock=clock) is None


def test_internal_token_of_another_root_or_a_long_life_is_refused() -> None:
    clock = ManualClock()
    token = make_internal_token(ROOT, key_id="k", purpose="probe", clock=clock)
    assert read_internal_token(b"s" * 32, token.reveal(), clock=clock) is None
    eternal = make_internal_token(
        ROOT, key_id="k", purpose="probe", clock=clock, lifetime_s=3_600
    )
    assert read_internal_token(ROOT, eternal.reveal(), clock=clock) is None
    with pytest.raises(ValueError, match="16 bytes"):
        make_internal_token(b"", key_id="k", purpose="probe", clock=clock)


@given(st.data())
@settings(max_examples=200)
def test_a_changed_internal_token_is_refused(data: st.DataObject) -> None:
    clock = ManualClock()
    token = make_internal_token(ROOT, key_id="k", purpose="probe", clock=clock).reveal()
    place = data.draw(st.integers(0, len(token) - 2))
    char = data.draw(st.sampled_from(BASE62 + "-_=. é"))
    changed = token[:place] + char + token[place + 1 :]
    if changed != token:
        assert read_internal_token(ROOT, changed, clock=clock) is None
    assert (
        read_internal_token(ROOT, data.draw(st.text(max_size=80)), clock=clock) is None
    )
