"""What a vendor says of the account behind a credential, in one shape.

Amounts stay decimal text from the wire to the screen: nothing is computed with them
but comparisons, and a rounded balance is a wrong one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final, Protocol

BALANCE: Final = "balance"
CREDITS: Final = "credits"
QUOTA: Final = "quota"
UNSUPPORTED: Final = "unsupported"

PERCENT: Final = "percent"
REMAINING: Final = "remaining"

_LARGEST: Final = Decimal(10) ** 15
_PLACES: Final = 12
_LONGEST_PLAN: Final = 60
MOST_ITEMS: Final = 50
LONGEST_NAME: Final = 25
"""Of a quota a vendor names itself: as much as its key has room for."""
_MILLISECONDS_FROM: Final = 10**11


class AccountError(Exception):
    """A vendor did not tell; ``code`` says why in one word for rows and screens."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Item:
    """One figure of an account.

    Shapes:  ``value`` and ``limit`` are decimal text, blank = the vendor names none;
             ``resets_at`` is ISO 8601 in UTC or blank.
    Units:   ``unit`` is a currency (USD, CNY), a vendor's own unit (DIEM, flows) or
             ``percent``, which is always what is left.
    """

    key: str
    label: str
    value: str
    unit: str
    limit: str = ""
    resets_at: str = ""


@dataclass(frozen=True, slots=True)
class Status:
    """What a vendor said.

    Shapes:  ``primary`` is the key of the item that says whether one may go on; blank
             where none does (an account without a limit).
    """

    kind: str
    items: tuple[Item, ...] = ()
    primary: str = REMAINING
    plan: str = ""


class Fetch(Protocol):
    """Ask the vendor's own host for JSON.

    Errors:  AccountError ``http_<status>``, ``request_failed``, ``invalid_response``.
    """

    def __call__(
        self,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Any:
        """Send one request; with a body it is a POST."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a reader has to work with.

    Shapes:  ``is_china`` tells the Chinese site of a vendor from its global one;
             ``reveal`` returns the secret for vendors that want it in another header
             or sign with it; ``project`` is what a cloud counts by, or blank.
    """

    fetch: Fetch
    is_china: bool
    now: datetime
    reveal: Callable[[], str]
    project: str = ""


Reader = Callable[[Question], Status]


def amount(value: Any) -> str:
    """Return a number as plain decimal text.

    Errors:  AccountError for what is no finite number of a credible size.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise AccountError("invalid_response")
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation as exc:
        raise AccountError("invalid_response") from exc
    if not number.is_finite() or abs(number) > _LARGEST:
        raise AccountError("invalid_response")
    if int(number.as_tuple().exponent) < -_PLACES:
        # What a vendor's subtraction of floats leaves; 1e-999999 is a megabyte of text.
        number = round(number, _PLACES)
    text = f"{number.normalize():f}"
    return "0" if text in ("-0", "") else text


def percent_left(used: Any, *, scale: int = 1) -> str:
    """Turn a share that is used into what is left of a hundred."""
    left = 100 - Decimal(amount(used)) * scale
    bounded = min(max(left, Decimal(0)), Decimal(100))
    return amount(str(round(bounded, 2)))


def moment(value: Any) -> str:
    """Read a time of reset, whatever way it is written; blank when it is none.

    Shapes:  ISO text, seconds or milliseconds since 1970.
    """
    try:
        if isinstance(value, str) and not value.isdigit():
            at = datetime.fromisoformat(value.strip())
            at = at if at.tzinfo else at.replace(tzinfo=UTC)
        elif isinstance(value, str | int | float) and not isinstance(value, bool):
            seconds = float(value)
            if seconds <= 0:
                return ""
            if seconds > _MILLISECONDS_FROM:
                seconds /= 1000
            at = datetime.fromtimestamp(seconds, UTC)
        else:
            return ""
    except (ValueError, OverflowError, OSError):
        return ""
    return at.astimezone(UTC).isoformat(timespec="seconds")


def part(data: Any, *names: str) -> dict[str, Any]:
    """Follow names into an answer.

    Errors:  AccountError when something on the way is no object.
    """
    for name in names:
        data = data.get(name) if isinstance(data, dict) else None
    if not isinstance(data, dict):
        raise AccountError("invalid_response")
    return data


def objects(data: Any) -> list[dict[str, Any]]:
    """Return the objects of a list; what is no list has none."""
    rows = data if isinstance(data, list) else []
    return [row for row in rows if isinstance(row, dict)][:MOST_ITEMS]


def plan_name(value: Any) -> str:
    """Return the name of a plan, bounded and printable; blank when it is none."""
    text = value.strip() if isinstance(value, str) else ""
    return "".join(sign for sign in text if sign.isprintable())[:_LONGEST_PLAN]


def told(status: Status) -> Status:
    """Return a status that tells something.

    Errors:  AccountError ``no_account_status_data`` for one without figures.
    """
    if not status.items:
        raise AccountError("no_account_status_data")
    return status
