"""Name the ground's own encrypted columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from poolsite.secrets import EncryptedField, exempt, register

if TYPE_CHECKING:
    from poolsite.delivery.rows import AlertChannel
    from poolsite.models import Canary, Setting


def _setting_context(row: Setting) -> str:
    # By name: a setting is known before its row exists.
    return f"poolsite.setting:{row.key}"


def _canary_context(row: Canary) -> str:
    return "poolsite.canary"


def _channel_origin(row: AlertChannel) -> str:
    return row.target_origin


register(
    # A webhook's URL often is its password; the signing secret is never sent at all.
    EncryptedField(
        "poolsite.AlertChannel", "target", "target_kid", origin_of=_channel_origin
    ),
    EncryptedField("poolsite.AlertChannel", "secret", "secret_kid"),
    EncryptedField(
        "poolsite.Setting", "ciphertext", "enc_kid", context_of=_setting_context
    ),
    EncryptedField("poolsite.Canary", "token", "kid", context_of=_canary_context),
)
exempt("poolsite.User", "password", because="a one-way hash made by Django")
exempt("poolsite.EncryptionKey", "kid", because="names a key, stands beside no text")
