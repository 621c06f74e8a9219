"""Decide what a sign-in may do next: randoms, challenge, pasted addresses.

Nothing here opens a connection, reads a row or looks at a clock.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Final
from urllib.parse import parse_qs, urlsplit

from oauth.vendors.base import Randoms, TokenRefusedError

LIFETIME_S: Final = 600
"""How long a sign-in by browser may take; vendors name their own for devices."""

_LONGEST_PASTE: Final = 8_192
_LONGEST_CODE: Final = 4_096
_STATE_BYTES: Final = 32
_VERIFIER_BYTES: Final = 64
_NONCE_BYTES: Final = 32

MakeBytes = Callable[[int], bytes]


class PasteError(ValueError):
    """What was pasted cannot be used; the text says why and shows none of it."""


def new_randoms(make: MakeBytes = secrets.token_bytes) -> Randoms:
    """Make the three randoms of one sign-in, each by a call of its own."""
    return Randoms(
        state=_url_text(make(_STATE_BYTES)),
        verifier=_url_text(make(_VERIFIER_BYTES)),
        nonce=_url_text(make(_NONCE_BYTES)),
    )


def challenge(verifier: str) -> str:
    """Return the S256 challenge of a verifier.

    Source: RFC 7636, 4.2.
    """
    return _url_text(hashlib.sha256(verifier.encode("ascii")).digest())


def digest(text: str) -> str:
    """Return what a random is looked up by: rows never hold it in the clear."""
    return hashlib.sha256(text.encode()).hexdigest()


def read_callback(text: str, *, state: str, redirect_url: str) -> str:
    """Return the code in what a person pasted, or a listener received.

    The address is taken apart, never asked for.

    Shapes: an address of ``redirect_url`` with ``code`` and ``state``, its query
        alone, or ``code#state`` as some vendors show it.
    Errors: PasteError; TokenRefusedError when the address says that the vendor or
        the person refused.
    """
    pasted = text.strip()
    if not pasted:
        raise PasteError("Paste the address the browser ended at.")
    if len(pasted) > _LONGEST_PASTE:
        raise PasteError("This is too long to be the address of a sign-in.")
    if not pasted.isascii() or not pasted.isprintable() or " " in pasted:
        raise PasteError("An address holds printable characters without spaces.")
    fields = _fields(pasted, redirect_url)
    if not _same(fields.get("state", ""), state):
        raise PasteError(
            "This address belongs to another sign-in, or its end is missing. Start "
            "again and paste the whole address."
        )
    if "error" in fields:
        raise TokenRefusedError(_word(fields["error"]), is_final=True)
    code = fields.get("code", "")
    if not 0 < len(code) <= _LONGEST_CODE:
        raise PasteError("There is no code in this address.")
    return code


def _fields(pasted: str, redirect_url: str) -> dict[str, str]:
    if "://" in pasted:
        _check_place(pasted, redirect_url)
        parts = urlsplit(pasted)
        return _query(parts.query) or _query(parts.fragment)
    if pasted.startswith("?") or "=" in pasted.partition("#")[0].rstrip("="):
        return _query(pasted.removeprefix("?"))
    code, mark, state = pasted.partition("#")
    if not mark:
        raise PasteError(
            "The part after the code is missing: paste the whole text, with the # in it."
        )
    return {"code": code, "state": state}


def _check_place(pasted: str, redirect_url: str) -> None:
    wrong = PasteError("This is not the address the vendor sends browsers to.")
    try:
        came, expected = urlsplit(pasted), urlsplit(redirect_url)
        pair = (came.hostname, came.port), (expected.hostname, expected.port)
    except ValueError as exc:
        raise wrong from exc
    is_same = came.scheme == expected.scheme and came.path == expected.path
    if not is_same or pair[0] != pair[1] or came.username is not None:
        raise wrong


def _query(text: str) -> dict[str, str]:
    try:
        found = parse_qs(text, max_num_fields=40)
    except ValueError as exc:
        raise PasteError("There is no code in this address.") from exc
    if any(len(values) > 1 for values in found.values()):
        # A second state or code could be read otherwise by somebody else.
        raise PasteError("This address says one thing twice.")
    return {name: values[0] for name, values in found.items()}


def _same(one: str, other: str) -> bool:
    return bool(other) and hmac.compare_digest(one.encode(), other.encode())


def _word(text: str) -> str:
    plain = "".join(sign for sign in text if sign.isalnum() or sign in "_-.")
    return plain[:60] or "refused"


def _url_text(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
