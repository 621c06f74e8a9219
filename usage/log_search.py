"""Read what people type to search the request log: ``status:429 key:ci cost>0.1``.

A word is a term: a name, what stands between (``:`` or a comparison) and a value, in
quotes when it holds blanks. The same terms are the filters of an address, so text and
chips mean the same. A word that is wrong is named with the reason; the others count.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Final
from uuid import UUID

from django.utils.dateparse import parse_date, parse_datetime

from usage.models import Request

LONGEST: Final = 2_000
MOST_TERMS: Final = 32
_LONGEST_VALUE: Final = 200
_LONGEST_WORD: Final = 60
_WORD: Final = re.compile(
    r"""(?:(?P<name>[A-Za-z_]+)(?P<sign>:|>=|<=|>|<))?"""
    r"""(?:"(?P<quoted>(?:[^"\\]|\\.)*)"(?=\s|$)|(?P<plain>\S+))"""
)
_COMPARED: Final = re.compile(r"^(>=|<=|>|<)\s*(.+)$")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_AGO: Final = re.compile(r"^(\d{1,5})([mhdw])$")
_AGO_S: Final = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_PURPOSES: Final = ("client", "playground", "probe", "verify", "replay")
_OUTCOMES: Final = tuple(each.name.lower() for each in Request.Outcome)
_NANO: Final = 10**9


class TermError(ValueError):
    """A value that its name does not take; the text says what it takes."""


@dataclass(frozen=True, slots=True)
class Term:
    """One filter; ``value`` begins with its comparison where the name has one."""

    name: str
    value: str

    @property
    def text(self) -> str:
        """The term as it is typed."""
        if self.name in MEASURES:
            return f"{self.name}{self.value}"
        return f"{self.name}:{_quoted(self.value)}"


@dataclass(frozen=True, slots=True)
class Problem:
    """A word that counts for nothing, and why."""

    word: str
    why: str


@dataclass(frozen=True, slots=True)
class Search:
    """What the log is narrowed to.

    Shapes:  terms of one name are alternatives, comparisons and times all hold.
    """

    terms: tuple[Term, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Say whether nothing is narrowed."""
        return not self.terms

    @property
    def text(self) -> str:
        """The whole search as it is typed."""
        return " ".join(term.text for term in self.terms)

    def values(self, name: str) -> list[str]:
        """Return the values given for a name."""
        return [term.value for term in self.terms if term.name == name]


def parse(text: str) -> Search:
    """Read a text.

    Fails:   never raises; what is not understood becomes a problem.
    Cost:    at most LONGEST characters are read.
    """
    terms: list[Term] = []
    problems: list[Problem] = []
    if len(text) > LONGEST:
        text = text[:LONGEST]
        problems.append(
            Problem("…", f"only the first {LONGEST} characters of the text count")
        )
    for match in _WORD.finditer(_CONTROL.sub(" ", text)):
        try:
            terms.append(_term(match))
        except TermError as error:
            problems.append(Problem(_short(match[0]), str(error)))
    return _bounded(terms, problems)


def from_pairs(pairs: Iterable[tuple[str, str]]) -> Search:
    """Read filters that were given one by one, as in an address.

    Shapes:  names that are no filter's are skipped: an address holds other things.
    """
    terms: list[Term] = []
    problems: list[Problem] = []
    for name, value in pairs:
        if name not in NAMES or not value.strip():
            continue
        try:
            terms.append(Term(name, _checked(name, value)))
        except TermError as error:
            problems.append(Problem(_short(f"{name}:{value}"), str(error)))
    return _bounded(terms, problems)


def merged(first: Search, then: Search) -> Search:
    """Add what was typed to the filters that are on; a name typed anew replaces."""
    anew = {term.name for term in then.terms}
    kept = tuple(term for term in first.terms if term.name not in anew)
    return joined(Search(kept, first.problems), then)


def joined(first: Search, then: Search) -> Search:
    """Put two searches together."""
    terms = [*first.terms, *then.terms]
    return _bounded(terms, [*first.problems, *then.problems])


# Values as the finder needs them


def comparison(value: str) -> tuple[str, str]:
    """Split a comparison into its sign and what follows."""
    match = _COMPARED.match(value)
    if match is None:
        raise TermError("it needs a comparison, as in cost>0.1")
    return match[1], match[2].strip()


def seconds_ago(value: str) -> int | None:
    """Return how far back a relative time such as 24h lies, None for another kind."""
    match = _AGO.match(value)
    return None if match is None else int(match[1]) * _AGO_S[match[2]]


def nano_usd(text: str) -> int:
    """Read an amount in USD."""
    number = _number(text.removeprefix("$"), {}, "an amount in USD, as in cost>0.1")
    return int(number * _NANO)


def milliseconds(text: str) -> int:
    """Read a duration: 800, 800ms, 2s, 1.5m."""
    units = {"ms": 1, "s": 1_000, "m": 60_000}
    return int(_number(text, units, "a duration, as in latency>2s or ttft>800ms"))


def count(text: str) -> int:
    """Read a number: 900, 10k, 1.5M."""
    units = {"k": 1_000, "K": 1_000, "M": 1_000_000}
    return int(_number(text, units, "a number, as in tokens>10k"))


def _number(text: str, units: Mapping[str, int], what: str) -> Decimal:
    factor = 1
    for unit, times in units.items():
        if text.endswith(unit):
            text, factor = text.removesuffix(unit), times
            break
    try:
        found = Decimal(text) if len(text) <= 20 and "_" not in text else None
    except InvalidOperation:
        found = None
    if found is None or not found.is_finite() or not 0 <= found <= 10**9:
        raise TermError(f"it takes {what}")
    return found * factor


# The names and what each takes


def _as_name(value: str) -> str:
    return value


def _as_status(value: str) -> str:
    value = value.lower()
    if not re.fullmatch(r"[1-5](?:[0-9]{2}|xx)", value):
        raise TermError("it takes a status such as 429, or a class such as 5xx")
    return value


def _one_of(*values: str) -> Callable[[str], str]:
    def check(value: str) -> str:
        value = value.lower()
        if value not in values:
            raise TermError(f"it takes {', '.join(values)}")
        return value

    return check


def _as_id(value: str) -> str:
    digits = value.replace("-", "").lower()
    if not re.fullmatch(r"[0-9a-f]{8,32}", digits):
        raise TermError("it takes a request id, or its first 8 characters or more")
    return str(UUID(digits)) if len(digits) == 32 else digits


def _as_time(value: str) -> str:
    if _AGO.match(value):
        return value
    try:
        good = parse_datetime(value) or parse_date(value)
    except ValueError:
        good = None
    if good is None or not 1971 <= good.year <= 2999:
        raise TermError("it takes 2026-11-20, 2026-11-20T08:00, or 24h, 7d")
    return value


def _measured(read: Callable[[str], int]) -> Callable[[str], str]:
    def check(value: str) -> str:
        sign, rest = comparison(value)
        read(rest)
        return f"{sign}{rest}"

    return check


_YES: Final = _one_of("yes", "no")
MEASURES: Final[Mapping[str, Callable[[str], int]]] = {
    "cost": nano_usd,
    "latency": milliseconds,
    "ttft": milliseconds,
    "tokens": count,
    "attempts": count,
}
"""Names that are compared, and how the number is read."""

NAMES: Final[Mapping[str, Callable[[str], str]]] = {
    "status": _as_status,
    "outcome": _one_of(*_OUTCOMES),
    "error": _as_name,
    "key": _as_name,
    "model": _as_name,
    "asked": _as_name,
    "served": _as_name,
    "provider": _as_name,
    "tried": _as_name,
    "agent": _as_name,
    "session": _as_name,
    "user": _as_name,
    "dialect": _as_name,
    "purpose": _one_of(*_PURPOSES),
    "stream": _YES,
    "fallback": _YES,
    "unpriced": _YES,
    "estimated": _YES,
    **{name: _measured(read) for name, read in MEASURES.items()},
    "id": _as_id,
    "since": _as_time,
    "until": _as_time,
}
"""Every name, and what checks its value and writes it in one way."""


def _term(match: re.Match[str]) -> Term:
    name, sign, quoted, plain = match.group("name", "sign", "quoted", "plain")
    value = plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
    if quoted is None and value.count('"') % 2:
        raise TermError("the quotation mark is not closed")
    if name is None:
        return _bare(value)
    if name.lower() not in NAMES:
        raise TermError(
            f"there is no filter {_short(name)}; a model with a colon in its name is "
            f"written model:{_short(match[0])}"
            if sign == ":"
            else f"there is no filter {_short(name)}"
        )
    name = name.lower()
    if sign != ":":
        if name not in MEASURES:
            raise TermError(f"{name} is not compared; write {name}:value")
        value = f"{sign}{value}"
    return Term(name, _checked(name, value))


def _bare(value: str) -> Term:
    """Read a word without a name: a request's id, or a model."""
    try:
        return Term("id", str(UUID(value)))
    except ValueError:
        return Term("model", _checked("model", value))


def _checked(name: str, value: str) -> str:
    value = value.strip()
    if not value:
        raise TermError("it has no value")
    if len(value) > _LONGEST_VALUE:
        raise TermError(f"it is longer than {_LONGEST_VALUE} characters")
    if _CONTROL.search(value):
        raise TermError("it holds control characters")
    return NAMES[name](value)


def _bounded(terms: Sequence[Term], problems: Sequence[Problem]) -> Search:
    once = tuple(dict.fromkeys(terms))
    if len(once) > MOST_TERMS:
        over = Problem(_short(once[MOST_TERMS].text), f"at most {MOST_TERMS} filters")
        return Search(once[:MOST_TERMS], (*problems, over)[:MOST_TERMS])
    return Search(once, tuple(problems[:MOST_TERMS]))


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_WORD else f"{text[:_LONGEST_WORD]}…"


def _quoted(value: str) -> str:
    if value and not re.search(r'[\s"\\]', value):
        return value
    inner = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{inner}"'
