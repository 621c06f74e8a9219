"""Encrypt secrets, digest client keys and sign internal tokens.

Pure: no Django, no I/O. The roots come in as arguments; ``poolsite.secrets`` connects
them to rows, ``poolsite.client_keys`` knows the shape of a client key.

A stored secret is a Fernet token (AES-128-CBC and HMAC-SHA256). Fernet has neither a
key id nor associated data, so both are added here: the key id stands in a column
beside the token, and row and origin stand inside the plaintext, where a database
writer cannot change them.
"""

from __future__ import annotations

import binascii
import hmac
import json
from base64 import b64decode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from cryptography.fernet import Fernet, InvalidToken

from poolsite.client_keys import (
    ParsedKey,
    mask_client_key,
    mask_vendor_secret,
    new_client_key,
    parse_client_key,
)
from poolsite.clock import Clock
from poolsite.destinations import origin_of
from poolsite.secret_type import Secret

__all__ = [
    "INTERNAL_TOKEN_PREFIX",
    "InternalClaim",
    "KeyRing",
    "ParsedKey",
    "Peppers",
    "Sealed",
    "Secret",
    "UnreadableKind",
    "UnreadableSecretError",
    "make_internal_token",
    "mask_client_key",
    "mask_vendor_secret",
    "new_client_key",
    "origin_of",
    "parse_client_key",
    "read_internal_token",
    "secret_context",
]

INTERNAL_TOKEN_PREFIX: Final = "ppi_"  # noqa: S105 - a public mark, no secret
INTERNAL_TOKEN_LIFETIME_S: Final = 60
_CLOCK_SKEW_S: Final = 5
_ID_LENGTH: Final = 8
_KEY_BYTES: Final = 32
_MAC_BYTES: Final = 32
_PLAINTEXT_VERSION: Final = 1
_SMALLEST_PEPPER_BYTES: Final = 16
_FERNET_VERSION: Final = 0x80
_SMALLEST_FERNET_BYTES: Final = 73


class UnreadableKind(StrEnum):
    """Why a stored secret cannot be used."""

    UNKNOWN_KEY = "unknown_key"
    CORRUPT = "corrupt"
    CONTEXT_MISMATCH = "context_mismatch"
    ORIGIN_MISMATCH = "origin_mismatch"


_REASONS: Final = {
    UnreadableKind.UNKNOWN_KEY: "it was encrypted with a key that is not loaded",
    UnreadableKind.CORRUPT: "its ciphertext is damaged",
    UnreadableKind.CONTEXT_MISMATCH: "it belongs to another row",
    UnreadableKind.ORIGIN_MISMATCH: "it is bound to another address",
}


class UnreadableSecretError(Exception):
    """A stored secret cannot be used; the message is fit for any screen."""

    def __init__(self, kind: UnreadableKind) -> None:
        super().__init__(f"The stored secret is unreadable: {_REASONS[kind]}.")
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Sealed:
    """A ciphertext and the id of the key that made it."""

    kid: str
    token: str


def secret_context(table: str, row: int | str, column: str) -> str:
    """Name the place a secret is bound to, the same on both planes.

    Shapes: table is the lower-case model label (``providers.apikey``).
    """
    return f"{table}:{row}:{column}"


class KeyRing:
    """The encryption keys: the first seals, every one opens.

    A new key joins at the end (it only opens) and moves to the front once every
    node holds it, so that no node ever meets a token it cannot read.

    Errors: ValueError for an empty ring, a malformed key or one given twice; the
        message never holds the key.
    """

    __slots__ = ("_by_kid", "kids")

    def __init__(self, keys: Sequence[bytes | str]) -> None:
        if not keys:
            raise ValueError("At least one encryption key is needed.")
        self._by_kid = {_kid(raw): Fernet(raw) for raw in map(_fernet_key, keys)}
        self.kids: tuple[str, ...] = tuple(self._by_kid)
        if len(self.kids) != len(keys):
            raise ValueError("An encryption key is given twice.")

    @property
    def primary_kid(self) -> str:
        """The id of the key that seals."""
        return self.kids[0]

    def seal(
        self,
        plaintext: str,
        *,
        context: str,
        origin: str | None,
        kid: str | None = None,
    ) -> Sealed:
        """Encrypt a secret for one row and one address.

        Shapes: context is made by ``secret_context``; origin is
            ``scheme://host:port``, or None for a secret that is never sent; kid picks
            another key of the ring than the first, while a rotation is under way.
        """
        sealing_kid = kid if kid in self._by_kid else self.primary_kid
        body = {
            "v": _PLAINTEXT_VERSION,
            "ctx": context,
            "origin": origin,
            "s": plaintext,
        }
        data = json.dumps(body, separators=(",", ":")).encode()
        token = self._by_kid[sealing_kid].encrypt(data)
        return Sealed(sealing_kid, token.decode("ascii"))

    def open(
        self, token: str, *, context: str, origin: str | None, kid: str | None = None
    ) -> Secret:
        """Decrypt a secret and prove it belongs to this row and address.

        Shapes: kid, when known, is tried alone: a damaged token is then told from one
            made with a lost key.
        Errors: UnreadableSecretError with its kind.
        Cost:   about 10 us with the first key.
        """
        body = _read_plaintext(self._decrypt(token, kid))
        if body.context != context:
            raise UnreadableSecretError(UnreadableKind.CONTEXT_MISMATCH)
        if body.origin != origin:
            raise UnreadableSecretError(UnreadableKind.ORIGIN_MISMATCH)
        return Secret(body.text, origin)

    def _decrypt(self, token: str, kid: str | None) -> bytes:
        # Bytes, since for text outside ASCII Fernet raises something else.
        data = token.encode("ascii", "replace")
        if kid:
            fernet = self._by_kid.get(kid)
            if fernet is None:
                raise UnreadableSecretError(UnreadableKind.UNKNOWN_KEY)
            try:
                return fernet.decrypt(data)
            except InvalidToken as exc:
                raise UnreadableSecretError(UnreadableKind.CORRUPT) from exc
        for fernet in self._by_kid.values():
            try:
                return fernet.decrypt(data)
            except InvalidToken:
                continue
        whole = _looks_like_fernet(token)
        raise UnreadableSecretError(
            UnreadableKind.UNKNOWN_KEY if whole else UnreadableKind.CORRUPT
        )


class Peppers:
    """The keys of client-key digests: the first digests, every one compares.

    A keyed digest keeps a stolen dump from confirming a guess and a database writer
    from minting a key.

    Errors: ValueError for none, one shorter than 16 bytes, or one given twice.
    """

    __slots__ = ("_by_id", "ids")

    def __init__(self, peppers: Sequence[bytes | str]) -> None:
        raw = [_bytes(pepper) for pepper in peppers]
        if not raw:
            raise ValueError("At least one pepper is needed.")
        if any(len(pepper) < _SMALLEST_PEPPER_BYTES for pepper in raw):
            raise ValueError("A pepper has at least 16 bytes.")
        self._by_id = {_short_id(pepper, b"pepper"): pepper for pepper in raw}
        self.ids: tuple[str, ...] = tuple(self._by_id)
        if len(self.ids) != len(raw):
            raise ValueError("A pepper is given twice.")

    @property
    def pepper_id(self) -> str:
        """The id of the pepper that makes new digests."""
        return self.ids[0]

    def digest(self, key: str | Secret) -> tuple[str, str]:
        """Return the pepper's id and the hex digest to store for a client key."""
        return self.pepper_id, _hex_mac(self._by_id[self.pepper_id], key)

    def digest_with(self, pepper_id: str, key: str | Secret) -> str | None:
        """Return the digest under a named pepper, None when it is not loaded."""
        pepper = self._by_id.get(pepper_id)
        return None if pepper is None else _hex_mac(pepper, key)

    def matches(self, key: str | Secret, *, pepper_id: str, digest: str) -> bool:
        """Compare a presented key with a stored digest in constant time.

        Cost: about 2 us.
        """
        made = self.digest_with(pepper_id, key)
        return made is not None and hmac.compare_digest(made, digest)


@dataclass(frozen=True, slots=True)
class InternalClaim:
    """What an internal token says: whose limits and which purpose.

    Shapes: model_row binds the call to one model at one provider; None = to nobody.
    """

    key_id: str
    purpose: str
    model_row: int | None = None


def make_internal_token(
    root: bytes | str,
    *,
    key_id: str,
    purpose: str,
    clock: Clock,
    lifetime_s: int = INTERNAL_TOKEN_LIFETIME_S,
    model_row: int | None = None,
) -> Secret:
    """Sign a short-lived token for a model call the product makes itself.

    Shapes: key_id names the client key whose limits apply, blank for nobody's;
        purpose is one of playground, probe, verify, replay. With a model_row the call
        goes to that model's own provider, whatever the name it asks for means.
    """
    expires = clock.time_ns() // 1_000_000_000 + lifetime_s
    said = [expires, key_id, purpose, *([] if model_row is None else [model_row])]
    claim = json.dumps(said, separators=(",", ":")).encode()
    signed = claim + hmac.digest(_internal_key(root), claim, "sha256")
    text = urlsafe_b64encode(signed).rstrip(b"=").decode("ascii")
    return Secret(INTERNAL_TOKEN_PREFIX + text)


def read_internal_token(
    root: bytes | str, token: str, *, clock: Clock
) -> InternalClaim | None:
    """Return what a valid, unexpired internal token says, else None.

    Fails: None for another shape, another root, an expired one, and one that would
        live longer than any we sign.
    """
    if not token.startswith(INTERNAL_TOKEN_PREFIX) or len(token) > 512:
        return None
    text = token.removeprefix(INTERNAL_TOKEN_PREFIX)
    try:
        # The strict decoder: the lenient one skips foreign characters.
        padded = text + "=" * (-len(text) % 4)
        signed = b64decode(padded.encode("ascii"), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        return None
    claim, mac = signed[:-_MAC_BYTES], signed[-_MAC_BYTES:]
    made = hmac.digest(_internal_key(root), claim, "sha256")
    if not claim or not hmac.compare_digest(made, mac):
        return None
    expires, key_id, purpose, *rest = json.loads(claim)
    left = expires - clock.time_ns() // 1_000_000_000
    if not 0 < left <= INTERNAL_TOKEN_LIFETIME_S + _CLOCK_SKEW_S:
        return None
    return InternalClaim(key_id, purpose, rest[0] if rest else None)


@dataclass(frozen=True, slots=True, repr=False)
class _Plaintext:
    context: str
    origin: str | None
    text: str


def _read_plaintext(data: bytes) -> _Plaintext:
    try:
        body = json.loads(data)
        version, context, origin, text = (body[k] for k in ("v", "ctx", "origin", "s"))
    except (ValueError, KeyError, TypeError) as exc:
        raise UnreadableSecretError(UnreadableKind.CORRUPT) from exc
    if version != _PLAINTEXT_VERSION or not isinstance(text, str):
        raise UnreadableSecretError(UnreadableKind.CORRUPT)
    return _Plaintext(context, origin, text)


def _fernet_key(key: bytes | str) -> bytes:
    try:
        data = _bytes(key)
        raw = urlsafe_b64decode(data)
    except (ValueError, binascii.Error):
        raw = b""
    if len(raw) != _KEY_BYTES:
        # Not chained: the cause would carry the key's bytes into a traceback.
        raise ValueError(
            "An encryption key is 32 bytes in URL-safe base64, as Fernet makes it."
        )
    return urlsafe_b64encode(raw)


def _kid(key: bytes) -> str:
    return _short_id(urlsafe_b64decode(key), b"kid")


def _short_id(key: bytes, label: bytes) -> str:
    return hmac.digest(key, label, "sha256").hex()[:_ID_LENGTH]


def _hex_mac(pepper: bytes, key: str | Secret) -> str:
    text = key.reveal() if isinstance(key, Secret) else key
    return hmac.digest(pepper, text.encode(), "sha256").hex()


def _internal_key(root: bytes | str) -> bytes:
    raw = _bytes(root)
    if len(raw) < _SMALLEST_PEPPER_BYTES:
        raise ValueError("The root of internal tokens has at least 16 bytes.")
    return hmac.digest(raw, b"provider-pool internal token 1", "sha256")


def _bytes(value: bytes | str) -> bytes:
    return value.encode() if isinstance(value, str) else value


def _looks_like_fernet(token: str) -> bool:
    """Tell a whole token of a lost key from a damaged one, without any key."""
    try:
        data = b64decode(token.encode("ascii"), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        return False
    return (
        len(data) >= _SMALLEST_FERNET_BYTES
        and data[0] == _FERNET_VERSION
        and (len(data) - 57) % 16 == 0
    )
