"""Prove that a static account's token is bound, replaced and forgotten."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from oauth import selectors, services, tokens
from oauth.models import Account
from poolsite import secrets, version
from poolsite.actor import CLI
from poolsite.clock import ManualClock
from poolsite.models import AuditEvent

pytestmark = pytest.mark.django_db
PLACE = services.Place("acme", "https://acme.example.com:443")
TOKEN = "tok-0123456789-secret"


def make(**values: Any) -> Account:
    return services.create_static_account(CLI, PLACE, **{"token": TOKEN, **values})


def test_token_is_sealed_to_its_row_and_origin() -> None:
    account = Account.objects.get(pk=make(label="me").pk)
    assert TOKEN not in str(Account.objects.values())
    opened = secrets.open_for(account, "access_token")
    assert (opened.reveal(), opened.origin) == (TOKEN, PLACE.origin)
    assert TOKEN not in str(AuditEvent.objects.values())
    assert TOKEN not in str(selectors.account_table())


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"token": ""}, "token"), ({"token": "  \n"}, "token"),
        ({"token": "two words"}, "token"), ({"token": "a\nb"}, "token"),
        ({"token": "ü"}, "token"), ({"token": "x" * 20_000}, "token"),
        ({"label": "x" * 121}, "label"), ({"label": "taken"}, "label"),
    ],
)  # fmt: skip
def test_bad_account_is_refused(values: dict[str, Any], field: str) -> None:
    make(label="taken")
    with pytest.raises(services.AccountError) as refusal:
        make(**values)
    assert refusal.value.field == field
    assert Account.objects.count() == 1


def test_expiry_in_the_past_is_refused() -> None:
    clock = ManualClock()
    with pytest.raises(services.AccountError, match="past"):
        make(expires_at=clock.now() - timedelta(seconds=1), clock=clock)


def test_worker_gets_a_newer_token_only_once_there_is_one() -> None:
    account = make()
    with pytest.raises(tokens.NoTokenError, match="needs_login"):
        tokens.newer_than(account.pk, account.token_version)
    seen = account.token_version
    services.replace_token(CLI, account, "tok-second-0123")
    found = tokens.newer_than(account.pk, seen)
    assert found.token_version == seen + 1
    assert secrets.open_for(found, "access_token").reveal() == "tok-second-0123"


def test_replacing_a_token_heals_the_account() -> None:
    account = make()
    Account.objects.update(state=Account.State.NEEDS_LOGIN, last_error="401")
    services.replace_token(CLI, account, "tok-second-0123")
    account.refresh_from_db()
    assert (account.state, account.last_error) == ("ok", "")


def test_disabled_and_removed_accounts_have_no_token_to_give() -> None:
    account = make()
    services.set_account_enabled(CLI, account, enabled=False)
    with pytest.raises(tokens.NoTokenError, match="gone"):
        tokens.newer_than(account.pk, 0)
    services.set_account_enabled(CLI, account, enabled=True)
    before = version.current()
    services.remove_account(CLI, account)
    services.remove_account(CLI, account)
    with pytest.raises(tokens.NoTokenError, match="gone"):
        tokens.newer_than(account.pk, 0)
    row = Account.objects.get()
    assert (row.access_token, row.access_kid) == ("", "")
    assert list(version.changed_since(Account, before)) == [row]
    assert AuditEvent.objects.filter(action="account.remove").count() == 1
    for change in (
        lambda: services.set_account_enabled(CLI, account, enabled=True),
        lambda: services.replace_token(CLI, account, "tok-x"),
    ):
        with pytest.raises(services.AccountError, match="removed"):
            change()


def test_accounts_go_with_their_provider() -> None:
    from providers.services import providers
    from tests import factories

    acme = factories.make_provider("acme")
    account = make()
    providers.remove_provider(CLI, acme)
    account.refresh_from_db()
    assert account.deleted_at is not None
    assert account.access_token == ""
    assert selectors.account_table() == []
