"""The stretch of time a dashboard is about, in the zone of who looks at it.

Every zone in use is a whole number of quarters of an hour away from UTC, and so is every
change of the clocks: the viewer's midnight is always the edge of a 15-minute rollup.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Final, NamedTuple

from django.utils.dateparse import parse_date, parse_datetime

from usage import rollups

DAY: Final = timedelta(days=1)
HOUR: Final = timedelta(hours=1)
LONGEST: Final = timedelta(days=1100)
_BY_QUARTERS: Final = timedelta(hours=2)
_BY_HOURS: Final = timedelta(hours=50)
_BY_LOCAL_DAYS: Final = timedelta(days=9)
_BY_DAYS: Final = timedelta(days=124)
_EARLIEST: Final = 2000
_LATEST: Final = 2100


class Choice(NamedTuple):
    """A relative range: hours back from now, or days with the viewer's today last."""

    name: str
    label: str
    words: str
    hours: int = 0
    days: int = 0


CHOICES: Final = {
    each.name: each
    for each in (
        Choice("1h", "1 h", "the last hour", hours=1),
        Choice("24h", "24 h", "the last 24 hours", hours=24),
        Choice("7d", "7 d", "the last 7 days", days=7),
        Choice("30d", "30 d", "the last 30 days", days=30),
        Choice("90d", "90 d", "the last 90 days", days=90),
    )
}
USUAL: Final = "7d"


@dataclass(frozen=True)
class Period:
    """A stretch of time between two edges of quarters of an hour.

    Shapes:  ``until`` is not part of it; ``days`` is its length in the viewer's days
             where it begins at a midnight, else 0; ``name`` is blank for an absolute
             range, which never refreshes.
    """

    since: datetime
    until: datetime
    zone: tzinfo
    words: str
    name: str = ""
    days: int = 0

    @property
    def length(self) -> timedelta:
        """How long it is in real time."""
        return self.until - self.since

    def before(self) -> Period:
        """Return the stretch of the same length that ends where this one begins."""
        if self.days:
            since = _moved(self.since, self.zone, -self.days)
            until = _moved(self.until, self.zone, -self.days)
        else:
            since, until = self.since - self.length, self.since
        return replace(self, since=since, until=until, words="the time before")

    def in_days(self) -> Period:
        """Widen it to whole UTC days."""
        since = midnight(self.since)
        until = midnight(self.until - timedelta(microseconds=1)) + DAY
        return replace(self, since=since, until=until, days=0)

    def steps(self) -> list[datetime]:
        """Cut it into the columns of a chart: their starts, oldest first.

        Shapes:  quarters, hours, days of the viewer, and beyond nine days UTC days or
                 seven of them, which cost less to add up: the first and the last
                 column are then cut where the range is.
        """
        if self.length <= _BY_QUARTERS:
            return _every(self.since, self.until, rollups.QUARTER)
        if self.length <= _BY_HOURS:
            return _every(self.since, self.until, HOUR)
        if self.length <= _BY_LOCAL_DAYS:
            return self._local_days()
        step = DAY if self.length <= _BY_DAYS else 7 * DAY
        return [self.since, *_every(midnight(self.since) + step, self.until, step)]

    @property
    def first_day(self) -> date:
        """The first UTC day it touches."""
        return self.since.date()

    @property
    def last_day(self) -> date:
        """The last UTC day it touches."""
        return (self.until - timedelta(microseconds=1)).date()

    @property
    def has_local_steps(self) -> bool:
        """Say whether the columns follow the viewer's clock rather than UTC."""
        return self.length <= _BY_LOCAL_DAYS

    @property
    def has_day_steps(self) -> bool:
        """Say whether a column is a day or more."""
        return self.length > _BY_HOURS

    def _local_days(self) -> list[datetime]:
        starts = [self.since]
        day = self.since.astimezone(self.zone).date() + DAY
        while (start := local_midnight(day, self.zone)) < self.until:
            starts.append(start)
            day += DAY
        return starts


def chosen(asked: Mapping[str, str], *, now: datetime, zone: tzinfo) -> Period:
    """Read a range from an address: ``range``, or ``from`` and ``to``.

    Shapes:  dates are whole days of the viewer, the last one included; a time without
             a zone is the viewer's. What cannot be read falls back to the usual range.
    """
    absolute = _absolute(asked.get("from", ""), asked.get("to", ""), now, zone)
    if absolute is not None:
        return absolute
    choice = CHOICES.get(asked.get("range", ""), CHOICES[USUAL])
    until = next_quarter(now.astimezone(UTC))
    if choice.hours:
        since = until - timedelta(hours=choice.hours)
    else:
        first = now.astimezone(zone).date() - timedelta(days=choice.days - 1)
        since = local_midnight(first, zone)
    return Period(since, until, zone, choice.words, choice.name, choice.days)


def _absolute(since: str, until: str, now: datetime, zone: tzinfo) -> Period | None:
    begin = _moment(since, zone, last=False)
    if begin is None:
        return None
    end = _moment(until, zone, last=True) or next_quarter(now.astimezone(UTC))
    if begin >= end:
        return None
    end = min(end, begin + LONGEST)
    words = f"{_told(begin, zone)} to {_told(end, zone)}"
    days = 0
    local_begin, local_end = begin.astimezone(zone), end.astimezone(zone)
    if local_begin.time() == time() and local_end.time() == time():
        days = (local_end.date() - local_begin.date()).days
        words = f"{_named(local_begin.date())} to {_named(local_end.date() - DAY)}"
    return Period(begin, end, zone, words, days=days)


def _moment(text: str, zone: tzinfo, *, last: bool) -> datetime | None:
    """Read an edge, moved outwards to a quarter of an hour; None for nonsense."""
    try:
        day = parse_date(text)
        at = None if day else parse_datetime(text)
    except ValueError:
        return None
    if day is not None:
        if not _EARLIEST <= day.year <= _LATEST:
            return None
        return local_midnight(day + DAY if last else day, zone)
    if at is None or not _EARLIEST <= at.year <= _LATEST:
        return None
    at = (at if at.tzinfo else at.replace(tzinfo=zone)).astimezone(UTC)
    return next_quarter(at) if last else rollups.quarter(at)


def local_midnight(day: date, zone: tzinfo) -> datetime:
    """Return when a day begins in a zone, as UTC.

    Where the clocks skip midnight, the day begins at the first time that exists.
    """
    return datetime.combine(day, time(), zone).astimezone(UTC)


def midnight(at: datetime) -> datetime:
    """Cut a UTC time to its day."""
    return at.replace(hour=0, minute=0, second=0, microsecond=0)


def next_quarter(at: datetime) -> datetime:
    """Move a UTC time up to the edge of a quarter of an hour."""
    start = rollups.quarter(at)
    return start if start == at else start + rollups.QUARTER


def _every(start: datetime, until: datetime, step: timedelta) -> list[datetime]:
    count = max(0, -(-(until - start) // step))
    return [start + step * number for number in range(count)]


def _moved(at: datetime, zone: tzinfo, days: int) -> datetime:
    """Move a moment by days of the wall clock, not by multiples of 24 hours."""
    local = at.astimezone(zone).replace(tzinfo=None) + timedelta(days=days)
    return rollups.quarter(local.replace(tzinfo=zone).astimezone(UTC))


def _named(day: date) -> str:
    return f"{day.day} {day:%b %Y}"


def _told(at: datetime, zone: tzinfo) -> str:
    local = at.astimezone(zone)
    return f"{_named(local.date())} {local:%H:%M}"
