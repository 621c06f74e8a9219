"""Find a newer access token than the one an upstream refused.

What a data worker asks of the keeper ends here. The token of a static account is the
only one there is: it gets newer when somebody pastes another.
"""

from __future__ import annotations

from oauth.models import Account


class NoTokenError(Exception):
    """There is no newer token; ``reason`` is gone | needs_login."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def newer_than(account_id: int, seen_version: int) -> Account:
    """Return the account if its token is newer than the one seen.

    Errors:  NoTokenError.
    Cost:    one query.
    """
    account = Account.objects.filter(
        pk=account_id, enabled=True, deleted_at=None
    ).first()
    if account is None:
        raise NoTokenError("gone")
    if account.state != Account.State.OK or account.token_version <= seen_version:
        raise NoTokenError("needs_login")
    return account
