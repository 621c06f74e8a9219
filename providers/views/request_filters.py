"""The filter of the request log: what was typed, the chips, and their addresses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from django.http import HttpRequest, QueryDict

from usage import log_search
from usage.log_search import Problem, Search, Term

STATUSES: Final = ("2xx", "4xx", "5xx")
SPANS: Final = (("1 h", "1h"), ("24 h", "24h"), ("7 d", "7d"))
_PLACE: Final = ("cursor", "v", "q", "from", "top", "news")
_EXAMPLES: Final = (
    "outcome:failed since:24h",
    "fallback:yes",
    "latency>10s",
    "cost>0.1",
    "status:429",
    "unpriced:yes",
)


@dataclass(frozen=True)
class Chip:
    """A filter that is on, and the address without it."""

    term: Term
    url: str

    @property
    def label(self) -> str:
        """Its name as the chip shows it."""
        return self.term.name.capitalize()


@dataclass(frozen=True)
class Choice:
    """One of a few values that exclude each other."""

    label: str
    url: str
    is_on: bool


@dataclass(frozen=True)
class FilterBar:
    """Everything the bar above the log shows."""

    search: Search
    typed: str
    chips: list[Chip]
    statuses: list[Choice]
    spans: list[Choice]

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The words that count for nothing."""
        return self.search.problems

    @property
    def examples(self) -> tuple[str, ...]:
        """Searches to start with."""
        return _EXAMPLES

    @property
    def names(self) -> list[str]:
        """Every name a filter may have."""
        return list(log_search.NAMES)


def read(request: HttpRequest) -> FilterBar:
    """Read the filters that are on, and those that were typed."""
    search = on(request)
    typed = request.GET.get("q", "").strip()
    if typed:
        search = log_search.merged(search, log_search.parse(typed))
    rest = others(request.GET)
    return FilterBar(
        search=search,
        typed=typed[: log_search.LONGEST],
        chips=[
            Chip(term, address([each for each in search.terms if each != term], rest))
            for term in search.terms
        ],
        statuses=_choices(search, rest, "status", [(s, s) for s in STATUSES]),
        spans=_choices(search, rest, "since", list(SPANS)),
    )


def on(request: HttpRequest) -> Search:
    """Read the filters of an address, the typed ones left out."""
    pairs = [(name, value) for name, values in request.GET.lists() for value in values]
    return log_search.from_pairs(pairs)


def address(terms: list[Term] | tuple[Term, ...], rest: QueryDict) -> str:
    """Return the address of some filters, with what else is in it."""
    query = rest.copy()
    for term in terms:
        query.appendlist(term.name, term.value)
    return f"?{query.urlencode()}"


def others(query: QueryDict) -> QueryDict:
    """Return the part of an address that is neither a filter nor a place in the list."""
    kept = query.copy()
    for name in (*log_search.NAMES, *_PLACE):
        kept.pop(name, None)
    return kept


def _choices(
    search: Search, rest: QueryDict, name: str, values: list[tuple[str, str]]
) -> list[Choice]:
    others = [term for term in search.terms if term.name != name]
    chosen = search.values(name)
    found = [Choice("All", address(others, rest), not chosen)]
    for label, value in values:
        url = address([*others, Term(name, value)], rest)
        found.append(Choice(label, url, chosen == [value]))
    return found
