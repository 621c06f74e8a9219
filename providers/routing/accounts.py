"""Read from an answer which account of the vendor a secret belongs to.

Secrets of one account share its quota and its fate; only the vendor knows which do.

Source: vendors' API reference pages on response headers, August 2026.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_HEADERS: Final = ("openai-organization", "anthropic-organization-id")
_LONGEST: Final = 80


def account_of(headers: Mapping[str, str]) -> str:
    """Return the account an answer names, blank when it names none.

    Shapes:  header names in lower case; what is no plain word is no name.
    """
    for name in _HEADERS:
        told = headers.get(name)
        if told and len(told) <= _LONGEST and told.isascii() and told.isprintable():
            return told
    return ""
