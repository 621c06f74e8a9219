"""Say numbers and times the way the whole console says them.

Unknown is not zero: every function takes ``None`` and answers ``UNKNOWN`` for it.
Nothing here knows of Django or of HTML; the template tags wrap these in markup.
"""

from __future__ import annotations

from datetime import datetime, tzinfo
from decimal import Decimal
from typing import Final

UNKNOWN: Final = "-"
_THOUSAND: Final = 1_000
_CURRENCIES: Final = {"USD": "$", "CNY": "\N{YEN SIGN}", "EUR": "\N{EURO SIGN}"}
_DAY_S: Final = 86_400
_DIVIDERS: Final = str.maketrans("-_()[]/", "       ")
_SUFFIXES: Final = ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "k"))


def short_count(number: int | None) -> str:
    """Shorten a count to three digits: ``999``, ``1.24 M``, ``56.1 k``."""
    if number is None:
        return UNKNOWN
    size = abs(number)
    for scale, suffix in _SUFFIXES:
        # 999,950 would print as "1000 k": let it take the next suffix instead.
        if size >= scale or (size * 1000 >= scale * 999.5 and scale > _THOUSAND):
            return f"{_three_digits(number / scale)} {suffix}"
    return str(number)


def _three_digits(value: float) -> str:
    size = abs(value)
    if size >= 100:
        return f"{value:.0f}"
    if size >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}"


def left(value: Decimal | str | None, unit: str) -> str:
    """Write what is left of an account: ``$12.50``, ``¥88.80``, ``74 %``, ``9 DIEM``."""
    if value in (None, ""):
        return UNKNOWN
    number = Decimal(str(value))
    if unit == "percent":
        return f"{number:.0f} %"
    sign = _CURRENCIES.get(unit)
    if sign is None:
        return f"{number.normalize():,f} {unit}".strip()
    minus = "-" if number < 0 else ""
    return f"{minus}{sign}{abs(number):,.2f}"


def exact_count(number: int | None) -> str:
    """Write a count in full: ``1,240,112``."""
    return UNKNOWN if number is None else f"{number:,}"


def duration_ms(milliseconds: float | None) -> str:
    """Write a latency: ``842 ms``, ``3.2 s``, ``4 m 05 s``."""
    if milliseconds is None:
        return UNKNOWN
    if milliseconds < 1 and milliseconds != 0:
        return f"{milliseconds:.2f} ms"
    if milliseconds < 999.5:
        return f"{milliseconds:.0f} ms"
    seconds = milliseconds / _THOUSAND
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} m {rest:02d} s"


def span(seconds: float | None) -> str:
    """Write a length of time in its two largest units: ``2 h 10 m``, ``3 d 4 h``."""
    if seconds is None:
        return UNKNOWN
    left = max(0, round(seconds))
    parts = []
    for size, unit in ((_DAY_S, "d"), (3600, "h"), (60, "m"), (1, "s")):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or "0 s"


def percent(part: float | None, whole: float | None = 1) -> str:
    """Write a share: ``0.4 %``, ``12 %``; unknown when there is nothing to share."""
    if part is None or not whole:
        return UNKNOWN
    value = 100 * part / whole
    if value and abs(value) < 0.05:
        return "< 0.1 %" if value > 0 else "> -0.1 %"
    digits = 1 if abs(value) < 9.95 and value else 0
    return f"{value:.{digits}f} %"


def change(now: float | None, before: float | None) -> float | None:
    """Return the relative change, or None when there is nothing to compare with."""
    if now is None or not before:
        return None
    return (now - before) / before


def data_size(size: int | None) -> str:
    """Write a number of bytes: ``512 B``, ``3.4 KB``, ``1.2 GB``."""
    if size is None:
        return UNKNOWN
    value = float(size)
    for unit in ("B", "KB", "MB", "GB"):
        if value < 999.5:
            return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= _THOUSAND
    return f"{value:.1f} TB"


def relative(at: datetime, now: datetime) -> str:
    """Say how long ago, or how soon; empty from 24 hours on, where a date is clearer."""
    seconds = (now - at).total_seconds()
    size = abs(seconds)
    if size >= _DAY_S:
        return ""
    if size < 5:
        return "just now" if seconds >= 0 else "now"
    if size < 60:
        text = f"{int(size)} s"
    elif size < 3600:
        text = f"{int(size // 60)} min"
    else:
        text = f"{int(size // 3600)} h"
    return f"{text} ago" if seconds >= 0 else f"in {text}"


def moment(at: datetime, zone: tzinfo, now: datetime) -> str:
    """Write a date and time of day in ``zone``, without the year when it is this one."""
    local = at.astimezone(zone)
    day = f"{local.day} {local:%b}"
    if local.year != now.astimezone(zone).year:
        day = f"{day} {local.year}"
    return f"{day}, {local:%H:%M}"


def both_zones(at: datetime, zone: tzinfo, utc: tzinfo) -> str:
    """Write the moment in full, local first, then UTC: what a tooltip says."""
    local = at.astimezone(zone)
    text = f"{local:%Y-%m-%d %H:%M:%S} {local.tzname() or ''}".rstrip()
    if local.utcoffset():
        text = f"{text} · {at.astimezone(utc):%Y-%m-%d %H:%M:%S} UTC"
    return text


def middle(text: str, length: int = 16) -> str:
    """Cut an id in the middle, where it differs least: ``0198f2…9c41``."""
    if len(text) <= length:
        return text
    keep = max(2, length - 1)
    head = (keep + 1) // 2
    return f"{text[:head]}…{text[len(text) - (keep - head) :]}"


def initials(name: str) -> str:
    """Return up to two letters that stand for a name on a small tile."""
    words = name.translate(_DIVIDERS).split()
    if not words:
        return "?"
    if len(words) == 1:
        return words[0][:2]
    return words[0][0] + words[1][0]
