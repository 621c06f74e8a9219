"""Every page and filter of usage and of the request log, as addresses to ask."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

GROUPS: Final = (
    *("provider", "model", "key", "team", "agent", "user", "session", "status"),
    "tag",
)
RANGES: Final = ("1h", "24h", "7d", "30d", "90d")
METRICS: Final = (
    *("requests", "errors", "tokens_in", "tokens_out", "tokens_cache", "latency"),
)
TOGETHER: Final = (
    *("provider=provider-03", "model=model-01", "key=seeded-07"),
    *("provider=provider-03&model=model-01", "provider=provider-03&key=seeded-07"),
    "provider=provider-03&model=model-01&key=seeded-07",
)
ALONE: Final = ("agent=codex", "team=Team+1", "status=503", "user=user-9", "tag=ci")
OTHERS: Final = (
    *("/", "/?range=1h", "/?range=7d", "/usage/now/", "/usage/views/"),
    *("/usage/difference/?range=7d", "/usage/difference/?range=90d"),
    *("/usage/exports/", "/usage/sessions/?range=24h", "/usage/sessions/?range=7d"),
    *("/usage/sessions/?range=30d", "/usage/sessions/?range=90d"),
    *("/usage/sessions/?range=90d&page=3", "/usage/?by=session&range=90d&page=3"),
)
FILTERS: Final = (
    *("status:503", "status:5xx", "status:429", "outcome:failed", "outcome:cut"),
    *("error:overloaded", "error:over*", "key:seeded-07", "key:seeded-rare"),
    *("model:model-01", "model:model-3*", "asked:model-02", "served:model-37"),
    *("provider:provider-03", "tried:provider-03", "tried:provider-0*"),
    *("agent:codex", "user:user-9", "user:nobody", "dialect:openai"),
    *("purpose:client", "purpose:probe", "stream:no", "fallback:yes"),
    *("unpriced:yes", "estimated:yes", "cost>0.1", "cost>5", "latency>10s"),
    *("latency>10m", "ttft>3s", "tokens>60k", "attempts>1", "attempts>5"),
    *("since:24h", "since:7d until:6d", "until:60d", "status:5xx since:24h"),
    *(
        "key:seeded-07 status:503",
        "key:seeded-07 latency>10s",
        "key:seeded-07 until:60d",
    ),
    *("key:seeded-rare status:503", "agent:codex status:503 cost>0.1 until:30d"),
    "provider:provider-03 model:model-01 key:seeded-07",
)
"""As they are typed: a name of each kind, common, rare and matching nothing."""

_LAST: Final = UUID(int=2**128 - 1)


def dashboards() -> Iterator[str]:
    """Yield every group in every range, the figures, the filters, the others."""
    for by, span in itertools.product(GROUPS, RANGES):
        yield f"/usage/?by={by}&range={span}"
        yield f"/usage/?by={by}&range={span}&compare=1"
    for metric in METRICS:
        yield f"/usage/?metric={metric}&range=30d"
        yield f"/usage/?metric={metric}&range=7d&by=model"
    for some, span in itertools.product(TOGETHER, RANGES):
        yield f"/usage/?by=model&range={span}&{some}"
    for some in ALONE:
        yield f"/usage/?by={some.partition('=')[0]}&range=30d&{some}"
    yield "/usage/?by=model&from=2026-01-05T06:15&to=2036-01-05T06:30"
    yield from OTHERS


def log(now: datetime) -> Iterator[str]:
    """Yield the request log: first pages, filters, next and deep pages, details."""
    from usage.models import Request

    rows = Request.objects.order_by("-at", "-id").values_list("id", "at", "session_dim")
    newest = rows[0]
    old = rows.filter(at__lt=now - timedelta(days=40))[0]
    yield from (
        "/requests/",
        "/requests/?live=1",
        f"/requests/?id={newest[0].hex[:12]}",
    )
    for session in _sessions(newest[2], old[2]):
        yield f"/requests/?{urlencode({'session': session})}"
        yield f"/usage/session/?{urlencode({'id': session})}"
    for text in FILTERS:
        yield f"/requests/?{query_of(text)}"
        yield f"/requests/?{query_of(text)}&cursor={_before(now - timedelta(days=20))}"
    for days in (1, 45, 80):
        yield f"/requests/?cursor={_before(now - timedelta(days=days))}"
        yield f"/requests/?cursor=n{_before(now - timedelta(days=days))[1:]}"
    yield from (f"/requests/{newest[0]}/", f"/requests/{old[0]}/")


def _sessions(*numbers: int | None) -> list[str]:
    from usage.models import Dimension

    known = [each for each in numbers if each is not None]
    rows = Dimension.objects.filter(pk__in=known).order_by("pk")
    return list(rows.values_list("value", flat=True))


def query_of(text: str) -> str:
    """Turn what is typed into the filters of an address, as the page does."""
    from usage import log_search

    search = log_search.parse(text)
    assert not search.problems, text
    return urlencode([(term.name, term.value) for term in search.terms])


def _before(moment: datetime) -> str:
    from usage import log_find

    cursor: Any = log_find.write_cursor("o", (moment.astimezone(UTC), _LAST))
    return str(cursor)
