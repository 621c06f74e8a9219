"""Read which ChatGPT account a token was given to, out of the token itself."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from typing import Any, Final

import msgspec

from providers.formats.base import UNREADABLE

_CLAIM: Final = "https://api.openai.com/auth"


def account_of(secret: str) -> str:
    """Return the account in a token's claims, blank where there is none to read."""
    claims = secret.split(".")[1] if secret.count(".") == 2 else ""
    try:
        text = urlsafe_b64decode(claims + "=" * (-len(claims) % 4))
        found = msgspec.json.decode(text or b"{}", type=dict[str, Any]).get(_CLAIM)
    except UNREADABLE:
        return ""
    account = found.get("chatgpt_account_id") if isinstance(found, dict) else ""
    return account if isinstance(account, str) else ""
