"""Take secrets and pictures out of a body before it is written anywhere.

A body is kept to be read by people, so what looks like a key goes, also where it is
none. What is told here is a shape, not a proof: a password in plain words stays, and
so does a secret that an answer spells out over several events of a stream.

It runs in a thread beside the event loop, and a search holds the interpreter until it
is done. That is why everything goes in slices.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

HIDDEN: Final = b"[hidden]"
LONGEST_RUN: Final = 512
_SLICE: Final = 16 * 1024

# Long runs without a break are pictures, sound or files, however they are wrapped.
_MEDIA: Final = re.compile(rb"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{%d,}+" % LONGEST_RUN)
_REST: Final = re.compile(rb"[A-Za-z0-9+/_-]*+={0,2}")
_PRIVATE_KEY: Final = re.compile(
    rb"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----.*?"
    rb"(?:-----END [A-Z ]{0,30}PRIVATE KEY-----|\Z)",
    re.DOTALL,
)
_SECRETS: Final = re.compile(
    rb"\bp[a-z]{1,2}_[0-9A-Za-z]{6,16}_[0-9A-Za-z_-]{20,}"  # the pool's own keys
    rb"|\bppi_[0-9A-Za-z._=-]{20,}"
    rb"|\b(?:sk|rk|pk|gsk|xai|pplx|hf|r8|nvapi|ghp|gho|ghs|ghu|glpat|xox[abeoprs]"
    rb"|github_pat|fw|tvly|csk|dop_v1|npm|shpat|whsec)[-_][0-9A-Za-z_-]{16,}"
    rb"|\bAIza[0-9A-Za-z_-]{30,}|\bya29\.[0-9A-Za-z_-]{20,}"
    rb"|\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b"
    rb"|\beyJ[0-9A-Za-z_-]{8,}\.[0-9A-Za-z_-]{8,}\.[0-9A-Za-z_-]*"  # JSON web tokens
)
_SCHEMES: Final = re.compile(
    # A word without a digit is a word, however long.
    rb"\b((?:bearer|basic|token)\s+)(?=[A-Za-z._~+/-]*[0-9=])[0-9A-Za-z._~+/=-]{12,}",
    re.IGNORECASE,
)
# The value of a member or variable that is named like a secret; quotation marks may
# themselves be quoted, as they are in a prompt that holds JSON.
_NAMED: Final = re.compile(
    rb"((?:api[_-]?key|authorization|passw(?:or)?d|passphrase|client[_-]?secret"
    rb"|secret[_-]?(?:access[_-]?)?key|access[_-]?token|refresh[_-]?token"
    rb"|auth[_-]?token)"
    rb"(?:\\*[\"'])?\s*[:=]\s*(?:\\*[\"'])?(?:(?:bearer|basic|token)\s+)?)"
    rb"(?![\s\"'\\{\[]|(?:bearer|basic|token)\s)[^\s\"'\\,;&]{6,}",
    re.IGNORECASE,
)


def redacted(data: bytes) -> bytes:
    """Return a body without what looks like a secret or a picture.

    Cost:    some 170 us a kilobyte of text, at most about a millisecond of it without
             letting other threads run.
    """
    if b"PRIVATE KEY-----" in data:
        data = _PRIVATE_KEY.sub(HIDDEN, data)
    return b"".join(map(_clean, _slices(without_media(data))))


def without_media(data: bytes) -> bytes:
    """Return a body with every long run of base64 replaced by its length."""
    parts: list[bytes] = []
    kept = place = 0
    while place < len(data):
        found = _MEDIA.search(data, place, place + _SLICE)
        if found is None:
            # A run may begin before the window's end and go on behind it.
            place += _SLICE - LONGEST_RUN
            continue
        rest = _REST.match(data, found.end())
        end = found.end() if rest is None else rest.end()
        start = found.start()
        parts += data[kept:start], b"[%d characters removed]" % (end - start)
        kept = place = end
    parts.append(data[kept:])
    return b"".join(parts)


def _clean(part: bytes) -> bytes:
    part = _SECRETS.sub(HIDDEN, part)
    part = _SCHEMES.sub(rb"\1" + HIDDEN, part)
    return _NAMED.sub(rb"\1" + HIDDEN, part)


def _slices(data: bytes) -> Iterator[bytes]:
    """Cut where no secret can be: at a blank, else at a comma."""
    start = 0
    while len(data) - start > _SLICE:
        middle, most = start + _SLICE // 2, start + _SLICE
        end = data.rfind(b" ", middle, most)
        if end < 0:
            end = data.rfind(b",", middle, most)
        end = most if end < 0 else end
        yield data[start:end]
        start = end
    yield data[start:]
