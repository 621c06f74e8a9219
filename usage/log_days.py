"""Say on which days a session or an end user was active, from the daily rollups.

A session is a needle in the log; its days are a few look-ups away.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from typing import Final

from django.db.models import Q

from usage import dimensions, rollups
from usage.models import Dimension, RollupDay

_DAYS_BACK: Final = 400
Span = tuple[datetime, datetime]


def active(numbers: Mapping[str, list[int]], start: datetime, end: datetime) -> Span:
    """Narrow a span to the days that can hold what is searched for.

    Shapes:  ``numbers`` are the values of each rollup kind, alternatives of a kind. A
             replay counts under its purpose only, so days with replays stay in.
    Cost:    one query of as many rows as there were active days, for at most 400 days.
    """
    first = max(start, end - timedelta(days=_DAYS_BACK))
    if first >= end:
        return start, end
    days = (first.astimezone(UTC).date(), end.astimezone(UTC).date())
    replays = Dimension.objects.filter(kind=dimensions.PURPOSE, value="replay")
    where = Q(kind=rollups.PURPOSE, ref__in=replays.values("pk"))
    for kind, values in numbers.items():
        where |= Q(kind=kind, ref__in=values)
    rows = RollupDay.objects.filter(where, bucket__range=days)
    found = sorted(set(rows.values_list("bucket", flat=True)))
    if not found:
        # Older rows than the look-ups reach are still searched.
        return (start, first) if start < first else (start, start)
    low = datetime.combine(found[0], time(), UTC)
    high = datetime.combine(found[-1] + timedelta(days=1), time(), UTC)
    return (start if start < first else max(start, low)), min(end, high)
