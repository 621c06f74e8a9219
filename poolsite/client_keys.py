"""Make, recognise and mask keys: our own clients' and the vendors'.

A client key is ``pp_`` + 8 public characters + ``_`` + 43 secret characters + 6 of a
checksum, all base62. The checksum lets the door refuse a mistyped or invented key
before anything is looked up; it is no protection, the 256-bit secret is.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from typing import Final
from zlib import crc32

from poolsite.secret_type import Secret

_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PUBLIC_LENGTH: Final = 8
_SECRET_LENGTH: Final = 43
_CHECK_LENGTH: Final = 6
_KEY_LENGTH: Final = 3 + _PUBLIC_LENGTH + 1 + _SECRET_LENGTH + _CHECK_LENGTH
_SYNTAX: Final = re.compile(r"pp_([0-9A-Za-z]{8})_[0-9A-Za-z]{49}")
_PREFIX: Final = re.compile(r"[^-_]{1,6}[-_]")
_ELLIPSIS: Final = "…"
_TAIL_LENGTH: Final = 4
# A shown tail of a short secret would give most of it away.
_HIDDEN_AT_LEAST: Final = 8


@dataclass(frozen=True, slots=True)
class ParsedKey:
    """A well-formed client key: whether it exists is for the snapshot to say."""

    public_id: str
    key: Secret

    @property
    def last4(self) -> str:
        """The last four characters, which may be stored and shown."""
        return self.key.reveal()[-_TAIL_LENGTH:]


def new_client_key() -> ParsedKey:
    """Make a client key from 256 random bits; reveal it once, store its digest."""
    public_id = _random(_PUBLIC_LENGTH)
    body = f"pp_{public_id}_{_random(_SECRET_LENGTH)}"
    return ParsedKey(public_id, Secret(body + _checksum(body)))


def parse_client_key(text: str) -> ParsedKey | None:
    """Read a client key, or say that this cannot be one.

    Fails: None for anything of another shape or with a wrong checksum, so that no
        look-up is spent on it.
    Cost:  under 2 us; no I/O.
    """
    if len(text) != _KEY_LENGTH:
        return None
    match = _SYNTAX.fullmatch(text)
    if match is None or _checksum(text[:-_CHECK_LENGTH]) != text[-_CHECK_LENGTH:]:
        return None
    return ParsedKey(match[1], Secret(text))


def mask_client_key(public_id: str, last4: str) -> str:
    """Show which client key is meant: ``pp_ab12…wxyz``."""
    return f"pp_{public_id[:4]}{_ELLIPSIS}{last4[-_TAIL_LENGTH:]}"


def mask_vendor_secret(secret: str | Secret) -> str:
    """Show which vendor secret is meant: its prefix, an ellipsis, its last four.

    The length never shows. A secret too short to spare four characters shows none.
    """
    text = secret.reveal() if isinstance(secret, Secret) else secret
    match = _PREFIX.match(text)
    prefix = match[0] if match else ""
    if len(text) - len(prefix) - _TAIL_LENGTH < _HIDDEN_AT_LEAST:
        return _ELLIPSIS
    return f"{prefix}{_ELLIPSIS}{text[-_TAIL_LENGTH:]}"


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _checksum(text: str) -> str:
    number = crc32(text.encode("ascii"))
    digits = []
    for _ in range(_CHECK_LENGTH):
        number, digit = divmod(number, 62)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
