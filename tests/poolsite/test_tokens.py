"""Prove that a token is shown once, bound to scopes, a person and a time."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from poolsite import setup, tokens
from poolsite.actor import CLI
from poolsite.clock import ManualClock
from poolsite.models import ApiToken, AuditEvent, OneTimeToken, User

pytestmark = pytest.mark.django_db


def make(user: User, name: str = "ci", **values: Any) -> tuple[ApiToken, str]:
    return tokens.create_token(
        CLI, user=user, name=name, **{"scopes": ["read"], **values}
    )


def test_text_is_found_again_and_stored_nowhere(olivia: User) -> None:
    token, text = make(olivia)
    assert tokens.find_token(text) == token
    row = ApiToken.objects.values().get()
    assert text not in str(row)
    assert text.split("_", 2)[2] not in str(row)
    assert tokens.find_token(text[:-1]) is None
    assert tokens.find_token(text + "x") is None


def test_use_is_noted_once_a_minute(olivia: User) -> None:
    clock = ManualClock()
    token, text = make(olivia, clock=clock)
    for seconds in (0, 30, 31):
        clock.advance(seconds)
        tokens.find_token(text, clock=clock)
    token.refresh_from_db()
    assert token.last_used_at == clock.now()


def test_expired_token_and_one_of_a_person_kept_out_are_none(olivia: User) -> None:
    clock = ManualClock()
    _, text = make(olivia, expires_at=clock.now() + timedelta(hours=1), clock=clock)
    assert tokens.find_token(text, clock=clock) is not None
    clock.advance(3600)
    assert tokens.find_token(text, clock=clock) is None
    _, second = make(olivia, "other")
    User.objects.update(is_active=False)
    assert tokens.find_token(second) is None


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"name": " "}, "name"), ({"name": "x" * 121}, "name"),
        ({"name": "a\x00"}, "name"), ({"scopes": []}, "scopes"),
        ({"scopes": ["root"]}, "scopes"), ({"name": "taken"}, "name"),
    ],
)  # fmt: skip
def test_bad_token_is_refused(values: dict[str, Any], field: str, olivia: User) -> None:
    make(olivia, "taken")
    with pytest.raises(tokens.TokenError) as refusal:
        make(olivia, **values)
    assert refusal.value.field == field


def test_expiry_in_the_past_is_refused(olivia: User) -> None:
    clock = ManualClock()
    with pytest.raises(tokens.TokenError, match="past"):
        make(olivia, expires_at=clock.now(), clock=clock)


def test_revoking_twice_is_one_event(olivia: User) -> None:
    token, text = make(olivia)
    tokens.revoke_token(CLI, token)
    tokens.revoke_token(CLI, token)
    assert tokens.find_token(text) is None
    assert AuditEvent.objects.filter(action="api_token.revoke").count() == 1


def test_setup_token_works_once_and_only_the_newest(db: None) -> None:
    clock = ManualClock()
    first = setup.new_token(clock=clock)
    second = setup.new_token(clock=clock)
    assert not setup.token_is_valid(first, clock=clock)
    assert setup.token_is_valid(second, clock=clock)
    assert setup.use_token(second, clock=clock)
    assert not setup.use_token(second, clock=clock)
    assert not setup.token_is_valid(second, clock=clock)
    assert second not in str(OneTimeToken.objects.values())
    assert AuditEvent.objects.filter(action="setup.token").count() == 2


def test_setup_token_grows_old(db: None) -> None:
    clock = ManualClock()
    token = setup.new_token(clock=clock)
    clock.advance(setup.LIFETIME.total_seconds())
    assert not setup.use_token(token, clock=clock)


def test_no_setup_token_once_somebody_exists(olivia: User) -> None:
    with pytest.raises(setup.SetupError, match="sign in"):
        setup.new_token()
