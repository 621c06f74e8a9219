"""Turn a search of the request log into conditions of the database."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from fnmatch import fnmatchcase
from functools import reduce
from operator import or_
from typing import Any, Final
from uuid import UUID

from django.core.exceptions import BadRequest
from django.db.models import Exists, F, OuterRef, Q, Subquery, Sum
from django.db.models.functions import Coalesce
from django.db.models.lookups import (
    GreaterThan,
    GreaterThanOrEqual,
    LessThan,
    LessThanOrEqual,
)
from django.utils.dateparse import parse_date, parse_datetime

from usage import dimensions, log_search, rollups
from usage.log_search import MEASURES, Search, Term
from usage.models import Attempt, ClientKey, CostAdjustment, Dimension, Request

LOOK_AT: Final = 50_000
_LOOK_AT_FEWER: Final = 10_000
"""Where each row that is looked at lies somewhere else on the disk."""

_MOST_NAMES: Final = 200
_MOST_CANDIDATES: Final = 2_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NEAR: Final = timedelta(hours=1)
_TOKENS: Final = (
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "output_tokens",
)
_SIGNS: Final = {">": "gt", ">=": "gte", "<": "lt", "<=": "lte"}
_KINDS: Final[dict[str, Any]] = {
    "gt": GreaterThan,
    "gte": GreaterThanOrEqual,
    "lt": LessThan,
    "lte": LessThanOrEqual,
}
_NAMED: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "error": (dimensions.ERROR, ("error_dim",)),
    "model": (dimensions.MODEL, ("model_asked_dim", "model_served_dim")),
    "asked": (dimensions.MODEL, ("model_asked_dim",)),
    "served": (dimensions.MODEL, ("model_served_dim",)),
    "provider": (dimensions.PROVIDER, ("provider_dim",)),
    "tried": (dimensions.PROVIDER, ()),
    "agent": (dimensions.AGENT, ("agent_dim",)),
    "session": (dimensions.SESSION, ("session_dim",)),
    "user": (dimensions.END_USER, ("end_user_dim",)),
    "dialect": (dimensions.DIALECT, ("dialect_dim",)),
    "purpose": (dimensions.PURPOSE, ("purpose_dim",)),
}
_DAILY: Final = {"session": rollups.SESSION, "user": rollups.END_USER}
_GLOBS: Final = frozenset({"error", "model", "asked", "served", "provider", "tried"})


@dataclass
class Narrowed:
    """A search as the database takes it.

    Shapes:  ``bounds`` are followed along an index and cost nothing; ``tried`` is
             looked up row by row, None when there is no such filter. ``keys`` are the
             client keys it names, by their row; ``by_day`` are the numbers of what
             the daily rollups know, by their kind.
    """

    bounds: Q = field(default_factory=Q)
    tried: Q | None = None
    look_at: int = LOOK_AT
    is_empty: bool = False
    unknown: list[Term] = field(default_factory=list)
    keys: dict[int, str] = field(default_factory=dict)
    by_day: dict[str, list[int]] = field(default_factory=dict)


def narrow(search: Search, *, now: datetime, zone: tzinfo = UTC) -> Narrowed:
    """Turn terms into conditions; two queries at most, and one for each pattern."""
    made = Narrowed()
    for term in search.terms:
        if term.name in ("since", "until"):
            sign = "gte" if term.name == "since" else "lt"
            moment = moment_of(term.value, now=now, zone=zone)
            made.bounds &= Q(**{f"at__{sign}": moment})
    if ids := search.values("id"):
        made.bounds &= reduce(or_, map(_by_id, ids))
    if names := search.values("key"):
        known = _keys(names)
        made.bounds &= Q(client_key_id__in=[pk for pks in known.values() for pk in pks])
        made.unknown += [Term("key", name) for name in names if name not in known]
        made.is_empty = not known
        made.keys = {pk: name for name, pks in known.items() for pk in pks}
    _by_names(search, made)
    for one in _plain(search):
        made.tried = one if made.tried is None else made.tried & one
    if search.values("tried") or made.keys:
        made.look_at = _LOOK_AT_FEWER
    return made


def moment_of(value: str, *, now: datetime, zone: tzinfo = UTC) -> datetime:
    """Return the moment that a since or until means."""
    ago = log_search.seconds_ago(value)
    if ago is not None:
        return now - timedelta(seconds=ago)
    moment = parse_datetime(value)
    if moment is None:
        day = parse_date(value)
        if day is None:
            raise BadRequest("A time in this address is damaged.")
        moment = datetime(day.year, day.month, day.day)  # noqa: DTZ001 - set below
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)


def _plain(search: Search) -> Iterable[Q]:
    """Return the conditions that no name needs to be looked up for."""
    if statuses := search.values("status"):
        yield reduce(or_, map(_status, statuses))
    if outcomes := search.values("outcome"):
        wanted = [o for o in Request.Outcome if o.name.lower() in outcomes]
        yield Q(outcome__in=wanted)
    yes: dict[str, Q] = {
        "stream": Q(stream=True),
        "fallback": Q(attempts__gt=1, serving_attempt__isnull=False),
        "unpriced": Q(unpriced=True),
        "estimated": Q(estimated=True),
    }
    for name, condition in yes.items():
        values = set(search.values(name))
        if len(values) == 1:
            yield condition if values == {"yes"} else ~condition
    for name, read in MEASURES.items():
        for value in search.values(name):
            yield _measure(name, value, read)


def _measure(name: str, value: str, read: Callable[[str], int]) -> Q:
    sign, text = log_search.comparison(value)
    lookup, limit = _SIGNS[sign], read(text)
    if name in ("latency", "ttft"):
        return Q(**{f"{name}_ms__{lookup}": limit})
    if name == "attempts":
        return Q(**{f"attempts__{lookup}": limit})
    if name == "cost":
        return _cost(lookup, limit)
    known = reduce(or_, (Q(**{f"{each}__isnull": False}) for each in _TOKENS))
    whole: Any = Coalesce(F(_TOKENS[0]), 0)
    for each in _TOKENS[1:]:
        whole = whole + Coalesce(F(each), 0)
    return known & _compare(whole, lookup, limit)


def _cost(lookup: str, limit: int) -> Q:
    """Compare what a request costs now, corrections included."""
    plain = Q(**{f"cost_nano_usd__{lookup}": limit})
    if not CostAdjustment.objects.exists():
        return plain
    own = CostAdjustment.objects.filter(request_id=OuterRef("id")).order_by()
    changed = Exists(own)
    delta = Subquery(
        own.values("request_id").annotate(sum=Sum("delta_nano_usd")).values("sum")
    )
    whole = Coalesce(F("cost_nano_usd"), 0) + Coalesce(delta, 0)
    return (~Q(changed) & plain) | (Q(changed) & _compare(whole, lookup, limit))


def _compare(expression: Any, lookup: str, limit: int) -> Q:
    return Q(_KINDS[lookup](expression, limit))


def _status(text: str) -> Q:
    if text.endswith("xx"):
        start = int(text[0]) * 100
        return Q(status__gte=start, status__lt=start + 100)
    return Q(status=int(text))


def _by_id(text: str) -> Q:
    """Bound a search to an id, or to the ids that begin like this.

    The first twelve digits of an id are its time, so one partition is read.
    """
    digits = text.replace("-", "")
    low, high = UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))
    try:
        times = [_time_of(low) - _NEAR, _time_of(high) + _NEAR]
    except OverflowError:
        return Q(pk__in=[])
    return Q(id__gte=low, id__lte=high, at__range=times)


def _by_names(search: Search, made: Narrowed) -> None:
    """Look up the numbers behind names; one query, and one for each pattern."""
    wanted = [term for term in search.terms if term.name in _NAMED]
    numbers = _numbers(wanted)
    for name in dict.fromkeys(term.name for term in wanted):
        found: list[int] = []
        for term in wanted:
            if term.name == name:
                found += numbers[term]
                made.unknown += [term] if not numbers[term] else []
        if not found:
            made.is_empty = True
            continue
        if name in _DAILY:
            made.by_day[_DAILY[name]] = found
        one = _holds(name, found)
        made.tried = one if made.tried is None else made.tried & one


def _holds(name: str, numbers: list[int]) -> Q:
    columns = _NAMED[name][1]
    if not columns:
        tries = Attempt.objects.filter(
            request_id=OuterRef("id"), at=OuterRef("at"), provider_dim__in=numbers
        )
        return Q(Exists(tries))
    return reduce(or_, (Q(**{f"{each}__in": numbers}) for each in columns))


def _numbers(terms: list[Term]) -> dict[Term, list[int]]:
    found: dict[Term, list[int]] = {term: [] for term in terms}
    exact = [term for term in terms if not _is_pattern(term)]
    if exact:
        pairs = {(_NAMED[term.name][0], term.value) for term in exact}
        where = reduce(or_, (Q(kind=kind, value=value) for kind, value in pairs))
        rows = Dimension.objects.filter(where).values_list("kind", "value", "pk")
        known = {(kind, value): pk for kind, value, pk in rows}
        for term in exact:
            number = known.get((_NAMED[term.name][0], term.value))
            found[term] = [] if number is None else [number]
    patterns = [term for term in terms if _is_pattern(term)]
    for kind, value, number in _like(patterns):
        for term in patterns:
            fits = _NAMED[term.name][0] == kind and fnmatchcase(value, _glob(term))
            if fits and len(found[term]) < _MOST_NAMES:
                found[term].append(number)
    return found


def _is_pattern(term: Term) -> bool:
    return term.name in _GLOBS and "*" in term.value


def _glob(term: Term) -> str:
    """Return a pattern in which only ``*`` has a meaning."""
    return re.sub(r"[\[\]?]", lambda found: f"[{found[0]}]", term.value)


def _like(patterns: list[Term]) -> list[tuple[str, str, int]]:
    """Return (kind, value, number) of names that may match, in the index's order."""
    if not patterns:
        return []
    where = Q()
    for term in patterns:
        start, *_, end = term.value.split("*")
        kind = _NAMED[term.name][0]
        where |= Q(kind=kind, value__startswith=start, value__endswith=end)
    rows = Dimension.objects.filter(where).order_by("kind", "value")
    return list(rows.values_list("kind", "value", "pk")[:_MOST_CANDIDATES])


def _keys(names: list[str]) -> dict[str, list[int]]:
    """Return client keys by name, revoked ones too: their requests stay."""
    found: dict[str, list[int]] = {}
    rows = ClientKey.objects.filter(name__in=names).order_by("pk")
    for name, pk in rows.values_list("name", "pk")[:_MOST_NAMES]:
        found.setdefault(name, []).append(pk)
    return found


def _time_of(row_id: UUID) -> datetime:
    return _EPOCH + timedelta(milliseconds=row_id.int >> 80)
