"""Read what token endpoints answer: tokens, refusals, claims; all of it bounded."""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

from oauth.vendors.base import Grant, TokenRefusedError

_LONGEST_BODY: Final = 1_000_000
_LONGEST_TOKEN: Final = 16_384
_LONGEST_TEXT: Final = 120
_LONGEST_WAIT_S: Final = 86_400
_LONGEST_LIFE_S: Final = 10 * 366 * 86_400
_MOST_SCOPES: Final = 60
_CODE: Final = re.compile(r"[A-Za-z0-9_.-]{1,60}")
_CLIENT_ERROR: Final = 400
_SERVER_ERROR: Final = 500
_TOO_MANY: Final = 429

FINAL_CODES: Final = frozenset(
    {
        "access_denied",
        "account_auth_invalidated",
        "account_deactivated",
        "account_deleted",
        "account_session_expired",
        "account_suspended",
        "app_session_terminated",
        "expired_token",
        "invalid_grant",
        "refresh_token_expired",
        "refresh_token_invalidated",
        "refresh_token_reused",
        "token_expired",
        "token_invalidated",
    }
)
"""Words after which the same token or code is of no use any more."""

_TROUBLES: Final = frozenset({"server_error", "temporarily_unavailable"})

SENTENCES: Final[Mapping[str, str]] = {
    "access_denied": "The sign-in was refused at the vendor.",
    "expired_token": "The code expired before it was used; start again.",
    "device_flow_disabled": "The vendor has switched sign-in by code off.",
    "invalid_client": "The vendor does not know this client id or secret.",
    "no_subscription": "This account has no subscription to the service.",
    "rate_limited": "The vendor asks to wait before the next try.",
    "unavailable": "The vendor's sign-in does not answer as it should.",
}


def parse(body: bytes) -> dict[str, Any]:
    """Read a JSON object; whatever is none reads as an empty one."""
    if len(body) > _LONGEST_BODY:
        return {}
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def part(data: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return an object within an object, empty where there is none."""
    value = data.get(name)
    return value if isinstance(value, dict) else {}


def text(value: Any, limit: int = _LONGEST_TEXT) -> str:
    """Return a text that can be stored and shown; blank for anything else."""
    if not isinstance(value, str) or len(value) > limit or not value.isprintable():
        return ""
    return value.strip()


def whole(value: Any, *, least: int = 0, most: int = _LONGEST_LIFE_S) -> int | None:
    """Return a number of seconds told as number or as digits; None when it is none."""
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value[:12])
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if value != value or not least <= value <= most:
        return None
    return int(value)


def token(value: Any) -> str:
    """Return a token, blank when this cannot be one."""
    found = text(value, _LONGEST_TOKEN)
    return found if found.isascii() and " " not in found else ""


def error_code(data: Mapping[str, Any]) -> str:
    """Return the word a refusal is known by, in whichever shape it came."""
    error = data.get("error")
    if isinstance(error, dict):
        error = error.get("code") or error.get("type") or error.get("status")
    found = error if isinstance(error, str) else data.get("code")
    if isinstance(found, str) and _CODE.fullmatch(found):
        return found.lower()
    return ""


def refusal(
    status: int,
    headers: Mapping[str, str],
    data: Mapping[str, Any],
    *,
    now_s: float,
    in_flow: bool = False,
) -> TokenRefusedError:
    """Judge an answer without a token.

    Shapes: ``in_flow`` says that a sign-in is under way, which any refusal
        ends; a stored token is given up only on words that say so.
    """
    code = error_code(data)
    wait = retry_after(headers, now_s)
    if status == _TOO_MANY:
        return refused("rate_limited", is_final=False, retry_after_s=wait)
    is_silent = not code and not (in_flow and status >= _CLIENT_ERROR)
    if status >= _SERVER_ERROR or is_silent or code in _TROUBLES:
        return refused("unavailable", is_final=False, retry_after_s=wait)
    is_final = in_flow or code in FINAL_CODES
    return refused(code or "refused", is_final=is_final, retry_after_s=wait)


def refused(
    code: str, *, is_final: bool, retry_after_s: int | None = None
) -> TokenRefusedError:
    """Return the error of a word, with its sentence where there is one."""
    return TokenRefusedError(
        code,
        is_final=is_final,
        retry_after_s=retry_after_s,
        sentence=SENTENCES.get(code, ""),
    )


def retry_after(headers: Mapping[str, str], now_s: float) -> int | None:
    """Return the seconds a vendor asks to wait, a day at most."""
    told = headers.get("retry-after", "").strip()
    seconds = whole(told)
    if seconds is None and told:
        try:
            moment = parsedate_to_datetime(told)
        except ValueError:
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        seconds = max(0, round(moment.timestamp() - now_s))
    return None if seconds is None else min(seconds, _LONGEST_WAIT_S)


def grant_of(data: Mapping[str, Any], *, now_s: float) -> Grant:
    """Read a token answer.

    Errors: TokenRefusedError when there is no access token in it.
    """
    access = token(data.get("access_token"))
    if not access:
        raise refused("unavailable", is_final=False)
    life = whole(data.get("expires_in"))
    if life is None:
        life = seconds_left(data.get("expires_at"), now_s)
    owner = claims(data.get("id_token"))
    return Grant(
        access_token=access,
        refresh_token=token(data.get("refresh_token")) or None,
        expires_in_s=life,
        scopes=scopes_of(data.get("scope")),
        subject=text(owner.get("sub")),
        label=text(owner.get("email")),
    )


def scopes_of(value: Any) -> tuple[str, ...]:
    """Return scopes told as a list or as one text."""
    if isinstance(value, str):
        value = value.replace(",", " ").split()
    if not isinstance(value, list):
        return ()
    return tuple(found for each in value[:_MOST_SCOPES] if (found := text(each)))


def claims(value: Any) -> dict[str, Any]:
    """Return what a JWT says; it came from the issuer itself, over TLS.

    Source: OpenID Connect Core, 3.1.3.7: the signature need not be checked then.
    """
    middle = token(value).split(".")[1:2]
    if not middle:
        return {}
    try:
        return parse(urlsafe_b64decode(middle[0] + "=" * (-len(middle[0]) % 4)))
    except ValueError:
        return {}


def seconds_left(value: Any, now_s: float) -> int | None:
    """Return the life left of a token whose file tells when it ends.

    Shapes: seconds or milliseconds since 1970, or an ISO time.
    """
    moment: float | None = None
    if isinstance(value, str) and not value.isdigit():
        try:
            read = datetime.fromisoformat(value[:40])
        except ValueError:
            return None
        moment = (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()
    elif (number := whole(value, most=10**14)) is not None:
        moment = number / 1_000 if number > 10**11 else float(number)
    return None if moment is None else max(0, round(moment - now_s))
