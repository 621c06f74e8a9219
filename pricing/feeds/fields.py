"""Read single fields of what others publish: any of them may be of any type.

Nothing here raises for a bad value: it is None, or blank, or left out. Only a whole
answer that is no JSON of the source's outer shape is an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from poolsite.money import AmountError, per_million_nano_from_usd
from pricing.feeds.feed_errors import FeedError

LONGEST_NAME: Final = 200
MOST_MODELS: Final = 50_000
MOST_TOKENS: Final = 1_000_000_000
HIGHEST_TOKEN_PRICE: Final = Decimal(100_000)
"""USD per million tokens; what is above is a slip of the comma."""
HIGHEST_UNIT_PRICE: Final = Decimal(100)
"""USD for one image, second, request or call."""

_LONGEST_URL: Final = 500
_LONGEST_NUMBER: Final = 40
_MOST_PLACES: Final = 30
_MOST_MODALITIES: Final = 20
_MILLION: Final = Decimal(1_000_000)
_DATE: Final = re.compile(r"\d{4}(-\d{2}(-\d{2})?)?")
_LAST_SECOND: Final = 4_102_444_800
"""The year 2100: a release after it is a bug of the source."""
_MODALITIES: Final = {
    "text": "text",
    "image": "image",
    "images": "image",
    "audio": "audio",
    "video": "video",
    "pdf": "pdf",
    "file": "pdf",
}


def document(raw: bytes, source: str) -> dict[str, Any]:
    """Decode an answer whose outermost value is an object.

    Shapes:  fractions are Decimal, exactly as written; None where that is impossible.
    Errors:  FeedError.
    """
    try:
        decoded = _DECODER.decode(raw)
    except (msgspec.DecodeError, ValueError) as exc:
        raise FeedError(f"What {source} answered is no JSON.") from exc
    except RecursionError as exc:
        raise FeedError(f"What {source} answered is nested too deeply.") from exc
    if not isinstance(decoded, dict):
        raise FeedError(f"What {source} answered is no JSON object.")
    return decoded


def check_amount(read: int, offered: int, source: str) -> None:
    """Refuse a whole answer of which little could be read.

    Errors:  FeedError when nothing, or less than half of what is there, is a model,
             and for more models than the world has.
    """
    if offered > MOST_MODELS:
        raise FeedError(f"{source} lists more than {MOST_MODELS:,} models.")
    if not read:
        raise FeedError(f"What {source} answered lists no models.")
    if read * 2 < offered:
        raise FeedError(
            f"Only {read:,} of {offered:,} models of {source} could be read."
        )


def identifier(value: Any) -> str:
    """Return an id, blank for what may be none: unprintable, too long, no text."""
    if not isinstance(value, str) or not value or len(value) > LONGEST_NAME:
        return ""
    return value if value.isprintable() and value == value.strip() else ""


def label(value: Any) -> str:
    """Return a name to show, blank when it cannot be shown."""
    return identifier(value.strip()) if isinstance(value, str) else ""


def web_address(value: Any) -> str:
    """Return an http(s) address without its closing slash, blank for what is none."""
    if not isinstance(value, str) or len(value) > _LONGEST_URL:
        return ""
    address = value.strip().rstrip("/")
    if not address.isprintable() or " " in address:
        return ""
    try:
        parts = urlsplit(address)
    except ValueError:
        return ""
    return address if parts.scheme in ("http", "https") and parts.hostname else ""


def names(value: Any) -> tuple[str, ...]:
    """Return the names of environment variables that could be ones."""
    if not isinstance(value, list):
        return ()
    found = (label(each) for each in value[:_MOST_MODALITIES])
    return tuple(each for each in found if re.fullmatch(r"[A-Z0-9_]+", each))


def table(value: Any) -> dict[str, Any]:
    """Return an object, empty for what is none."""
    return value if isinstance(value, dict) else {}


def tokens(value: Any) -> int | None:
    """Return a limit in tokens, None for none, zero and the absurd."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    if not 0 < value <= MOST_TOKENS:
        return None
    return int(value)


def modalities(value: Any) -> tuple[str, ...]:
    """Return the modalities we have words for, each once, in the source's order."""
    if not isinstance(value, list):
        return ()
    found = (
        _MODALITIES.get(each)
        for each in value[:_MOST_MODALITIES]
        if isinstance(each, str)
    )
    return tuple(dict.fromkeys(each for each in found if each))


def day(value: Any) -> str:
    """Return YYYY-MM-DD or less of it; also from seconds since 1970."""
    if isinstance(value, str):
        return value if _DATE.fullmatch(value) else ""
    if isinstance(value, bool) or not isinstance(value, int):
        return ""
    if not 0 < value < _LAST_SECOND:
        return ""
    return datetime.fromtimestamp(value, UTC).date().isoformat()


def is_past(value: Any, date: str) -> bool:
    """Tell whether a day of the source has come."""
    found = day(value)
    return bool(found) and found <= date


def per_million(value: Any) -> int | None:
    """Return a price given in USD per million tokens."""
    return _price(_number(value), HIGHEST_TOKEN_PRICE)


def per_token(value: Any) -> int | None:
    """Return a price given in USD per token, as nano-USD per million."""
    number = _number(value)
    return _price(_times_million(number), HIGHEST_TOKEN_PRICE)


def per_unit(value: Any) -> int | None:
    """Return a price given in USD per image, second, request, as nano-USD per million.

    Fails:   None also for zero: a source that counts no units writes zero.
    """
    number = _number(value)
    return _price(_times_million(number), HIGHEST_UNIT_PRICE * _MILLION) or None


def first(values: Iterable[int | None]) -> int | None:
    """Return the first known value."""
    return next((each for each in values if each is not None), None)


def _safe_decimal(text: str) -> Decimal | None:
    try:
        return Decimal(text)
    except InvalidOperation:
        return None


_DECODER: Final = msgspec.json.Decoder(float_hook=_safe_decimal)


def _number(value: Any) -> Decimal | None:
    """Return a finite amount of zero or more."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return Decimal(value) if value >= 0 else None
    if isinstance(value, str):
        if len(value) > _LONGEST_NUMBER or not value.isascii() or "_" in value:
            return None
        value = _safe_decimal(value.strip())
    if not isinstance(value, Decimal) or not value.is_finite() or value < 0:
        return None
    # An exponent may be absurd where the digits are few: arithmetic would overflow.
    if value and not -_MOST_PLACES <= value.adjusted() <= _MOST_PLACES:
        return None
    return value.copy_abs()


def _times_million(number: Decimal | None) -> Decimal | None:
    """Move the point six places without rounding."""
    if number is None or number > MOST_TOKENS:
        return None
    return number.scaleb(6)


def _price(number: Decimal | None, most: Decimal) -> int | None:
    if number is None or number > most:
        return None
    try:
        return per_million_nano_from_usd(number)
    except AmountError:
        return None
