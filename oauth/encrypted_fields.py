"""Name the encrypted columns of this floor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from poolsite.secrets import EncryptedField, register

if TYPE_CHECKING:
    from oauth.models import Account


def _origin(row: Account) -> str:
    return row.origin


register(
    EncryptedField(
        "oauth.Account",
        "access_token",
        "access_kid",
        origin_of=_origin,
        state_column="state",
    ),
    # A refresh token goes to the vendor's token endpoint, which the vendor's module
    # fixes; it never follows the origin of the models' endpoint.
    EncryptedField("oauth.Account", "refresh_token", "refresh_kid"),
    EncryptedField("oauth.Account", "previous_refresh_token", "previous_refresh_kid"),
    # Codes, verifiers and fresh tokens of a sign-in go to the vendor's own addresses.
    EncryptedField("oauth.SignIn", "progress", "progress_kid"),
)
