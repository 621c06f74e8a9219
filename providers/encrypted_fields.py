"""Name the encrypted columns of this floor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from poolsite.secrets import EncryptedField, register

if TYPE_CHECKING:
    from providers.models import ApiKey


def _origin(row: ApiKey) -> str:
    return row.origin


register(
    EncryptedField(
        "providers.ApiKey",
        "secret",
        "enc_kid",
        origin_of=_origin,
        state_column="state",
    )
)
