"""Count tokens by a rule of this upstream's own.

The product under test must not know the rule: it estimates from bytes, and the
difference between the two is what the estimate tests measure. The rule behaves like a
word-piece tokenizer: common short words are one token, long words break into pieces of
irregular length, digits go in threes, punctuation stands alone. Over English prose it
comes to about four bytes a token.
"""

from __future__ import annotations

import re
import zlib

_PIECE = re.compile(r" ?[A-Za-z]+|\d{1,3}|\s|[^\sA-Za-z\d]")
_IMAGE_TOKENS = {"low": 85, "high": 765}


def count_tokens(text: str) -> int:
    """Return the number of tokens in text.

    Counting is additive over splits made in front of a space, which is how the
    generated text is cut into chunks.
    """
    return sum(_piece_tokens(piece) for piece in _PIECE.findall(text))


def count_image(detail: str) -> int:
    """Return the tokens one image costs at this detail."""
    return _IMAGE_TOKENS.get(detail, _IMAGE_TOKENS["high"])


def _piece_tokens(piece: str) -> int:
    letters = piece.strip()
    if not letters:
        return 0 if piece == " " else 1
    if not letters.isascii():
        return max(1, len(letters.encode()) // 2)
    if not letters.isalpha() or len(letters) <= 4:
        return 1
    irregular = zlib.crc32(letters.lower().encode())
    if len(letters) <= 8 and irregular % 5:
        return 1
    return -(-len(letters) // (3 + irregular % 3))
