"""Keep money as whole nano-USD, from the first decimal text to the shown figure.

One nano-USD is 1/1,000,000,000 of a dollar. Amounts are ``int``; prices are ``int``
nano-USD per million units. ``Decimal`` appears only at the edges, ``float`` never:
a binary fraction cannot hold 0.1, and a bill must add up.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Final

NANO_PER_USD: Final = 1_000_000_000
UNITS_PER_PRICE: Final = 1_000_000
_NANO_PLACES: Final = 9
_CENT_PLACES: Final = 2
_DOLLAR_PLACES: Final = 4
_MICRO_PLACES: Final = 6
_UNKNOWN: Final = "-"
# A bound on what is believable, and on the work a hostile exponent can cause.
_LARGEST_EXPONENT: Final = 15
_LONGEST_TEXT: Final = 80
_SIGNIFICANT_DIGITS: Final = 4


class AmountError(ValueError):
    """The text or number is not an amount of money."""


def nano_from_usd(value: Decimal | str, *, exact: bool = False) -> int:
    """Turn a decimal amount of dollars into nano-USD.

    Units:  dollars in, nano-USD out; rounded half to even below one nano, or refused
        when ``exact``, which is what a person's own input deserves.
    Errors: AmountError for text that is no finite decimal, for more than 15 digits
        before the point, and for a finer fraction when ``exact``; TypeError for float.
    """
    return _scaled(_decimal(value), _NANO_PLACES, exact=exact)


def per_million_nano_from_usd(value: Decimal | str, *, exact: bool = False) -> int:
    """Turn a price in USD per million units into nano-USD per million units.

    Errors: as ``nano_from_usd``; also AmountError when the price is negative.
    """
    return _price(_scaled(_decimal(value), _NANO_PLACES, exact=exact))


def per_million_nano_from_usd_per_unit(
    value: Decimal | str, *, exact: bool = False
) -> int:
    """Turn a price in USD per single unit into nano-USD per million units.

    Errors: as ``per_million_nano_from_usd``.
    """
    return _price(_scaled(_decimal(value), _NANO_PLACES + 6, exact=exact))


def usd_from_nano(nano: int) -> Decimal:
    """Return nano-USD as an exact decimal amount of dollars."""
    digits = tuple(int(digit) for digit in str(abs(nano)))
    return Decimal((int(nano < 0), digits, -_NANO_PLACES))


def ceil_div(numerator: int, denominator: int) -> int:
    """Divide whole numbers and round up.

    Errors: ZeroDivisionError; ValueError for a negative denominator.
    """
    if denominator < 0:
        raise ValueError("The denominator must be positive.")
    return -(-numerator // denominator)


def format_usd(nano: int | None) -> str:
    """Show an amount with the digits it can be followed by; unknown as ``-``.

    Units: nano-USD in; rounded half to even for the eye only. From 100 dollars on
        cents; from one dollar on four decimals; below six, or four digits of what is
        smaller still. Trailing zeros are left out after the cents.
    """
    if nano is None:
        return _UNKNOWN
    sign = "-" if nano < 0 else ""
    places = _places(abs(nano))
    shown = _divide_half_even(abs(nano), 10 ** (_NANO_PLACES - places))
    whole, fraction = divmod(shown, 10**places)
    decimals = f"{fraction:0{places}d}".rstrip("0").ljust(_CENT_PLACES, "0")
    return f"{sign}${whole:,}.{decimals}"


def format_price(nano_per_million: int | None) -> str:
    """Show a price per million units exactly, with at least two decimals.

    A price is a fact, not a total: ``$0.075`` must not be shown as ``$0.08``.
    """
    if nano_per_million is None:
        return _UNKNOWN
    sign = "-" if nano_per_million < 0 else ""
    whole, fraction = divmod(abs(nano_per_million), NANO_PER_USD)
    places = f"{fraction:09d}".rstrip("0").ljust(2, "0")
    return f"{sign}${whole:,}.{places}"


def _places(amount: int) -> int:
    if amount >= 100 * NANO_PER_USD:
        return _CENT_PLACES
    if amount >= NANO_PER_USD:
        return _DOLLAR_PLACES
    significant = _NANO_PLACES - len(str(amount)) + _SIGNIFICANT_DIGITS
    return min(_NANO_PLACES, max(_MICRO_PLACES, significant))


def _decimal(value: Decimal | str) -> Decimal:
    if isinstance(value, str):
        if len(value) > _LONGEST_TEXT or not value.isascii() or "_" in value:
            raise AmountError("Not an amount of money.")
        try:
            value = Decimal(value.strip())
        except InvalidOperation as exc:
            raise AmountError("Not an amount of money.") from exc
    if not isinstance(value, Decimal):
        raise TypeError("Money comes as Decimal or text, never as float.")
    if not value.is_finite():
        raise AmountError("An amount of money is finite.")
    if value and value.adjusted() >= _LARGEST_EXPONENT:
        raise AmountError("The amount is too large.")
    return value


def _scaled(value: Decimal, places: int, *, exact: bool) -> int:
    """Multiply by a power of ten in whole numbers, so no decimal context rounds."""
    sign, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int):
        raise AmountError("An amount of money is finite.")
    number = int("".join(map(str, digits)) or "0")
    shift = exponent + places
    scaled: int
    if number == 0:
        return 0
    if shift >= 0:
        scaled = number * 10**shift
    elif -shift > len(digits) + 1:
        # Far below half of the smallest unit; the power would be needless work.
        scaled, number = 0, 1
    else:
        scaled = _divide_half_even(number, 10**-shift)
    if exact and (shift < 0 and (scaled == 0 or scaled * 10**-shift != number)):
        raise AmountError("The amount is finer than one nano-dollar.")
    return -scaled if sign else scaled


def _divide_half_even(numerator: int, denominator: int) -> int:
    quotient, rest = divmod(numerator, denominator)
    twice = rest * 2
    if twice > denominator or (twice == denominator and quotient % 2):
        quotient += 1
    return quotient


def _price(nano: int) -> int:
    if nano < 0:
        raise AmountError("A price is not negative.")
    return nano
