"""Read the token files other programs keep, as somebody pastes or uploads them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from oauth.vendors import answers
from oauth.vendors.base import Grant, TokenRefusedError

_LONGEST: Final = 200_000


def broken(sentence: str) -> TokenRefusedError:
    """Return the refusal of a file, with a sentence that shows nothing of it."""
    return TokenRefusedError("bad_file", is_final=True, sentence=sentence)


def load(text: str) -> dict[str, Any]:
    """Read a JSON object.

    Errors: TokenRefusedError naming the line that cannot be read.
    """
    if len(text) > _LONGEST:
        raise broken("This is too long to be a token file.")
    try:
        data = json.loads(text)
    except json.JSONDecodeError as exc:
        raise broken(f"Line {exc.lineno} cannot be read as JSON.") from exc
    except (ValueError, RecursionError) as exc:
        raise broken("This cannot be read as JSON.") from exc
    if not isinstance(data, dict):
        raise broken("A token file holds one JSON object.")
    return data


def is_file(text: str) -> bool:
    """Tell a pasted file from a pasted token."""
    return text.lstrip()[:1] in {"{", "["}


def bare(text: str, *, prefixes: tuple[str, ...] = ()) -> str:
    """Return a pasted token.

    Errors: TokenRefusedError for what cannot be one.
    """
    found = answers.token(text.strip())
    if not found:
        raise broken("A token holds printable characters without spaces.")
    if prefixes and not found.startswith(prefixes):
        raise broken(f"Such a token starts with {' or '.join(prefixes)}.")
    return found


def flat(data: Mapping[str, Any], now_s: float) -> Grant:
    """Read a file with snake_case or camelCase names and some kind of expiry.

    Errors: TokenRefusedError without a usable access token.
    """
    access = answers.token(data.get("access_token", data.get("accessToken")))
    if not access:
        raise broken("There is no access token in this file.")
    refresh = answers.token(data.get("refresh_token", data.get("refreshToken")))
    owner = answers.claims(data.get("id_token"))
    ends = next(
        (
            data[name]
            for name in ("expiry_date", "expiresAt", "expires_at", "expired")
            if name in data
        ),
        None,
    )
    return Grant(
        access_token=access,
        refresh_token=refresh or None,
        expires_in_s=answers.seconds_left(ends, now_s),
        scopes=answers.scopes_of(data.get("scope", data.get("scopes"))),
        subject=answers.text(owner.get("sub")),
        label=answers.text(owner.get("email") or data.get("email")),
    )
