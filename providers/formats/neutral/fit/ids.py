"""Make ids of tool calls legal for an upstream, always the same way.

A mapped id comes from the original alone, so the next request of the conversation maps
it alike and the upstream's prompt cache still fits.

Source: reference wire 2.5, P36.
"""

from __future__ import annotations

import re
from base64 import b32encode
from functools import lru_cache
from hashlib import sha256
from typing import Final

from providers.formats.capabilities import Capabilities

_PREFIX: Final = "call_"
_HASH_CHARS: Final = 26


def legal_id(original: str, caps: Capabilities) -> str:
    """Return an id the upstream takes: the original where it is legal."""
    length = caps.tool_id_length
    fits = len(original) == length if length else len(original) <= caps.tool_id_max
    if fits and _pattern(caps.tool_id_pattern).fullmatch(original):
        return original
    return made_id(original, caps)


def made_id(seed: str, caps: Capabilities) -> str:
    """Return a legal id made of a seed alone."""
    digest = b32encode(sha256(seed.encode("utf-8", "replace")).digest()).decode()
    digest = digest.lower()[:_HASH_CHARS]
    if caps.tool_id_length:
        return digest[: caps.tool_id_length]
    prefix = _PREFIX if _pattern(caps.tool_id_pattern).fullmatch(_PREFIX) else ""
    return (prefix + digest)[: caps.tool_id_max]


@lru_cache(maxsize=64)
def _pattern(characters: str) -> re.Pattern[str]:
    """Return what a legal id looks like; no class = anything."""
    return re.compile(f"[{characters}]+" if characters else r"(?s:.+)")
