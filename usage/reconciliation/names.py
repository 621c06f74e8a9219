"""Tell which of a vendor's model names means which of the ledger's.

A vendor bills the dated model behind an alias, or writes "Claude Sonnet 4.5" for
claude-sonnet-4-5-20250929. Two names mean one model only where one of them is a reading
of the other: two dated models are never put together.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from pricing.readings import fold, readings

_DAY: Final = re.compile(r"(20\d\d)-(\d\d)-(\d\d)")


@lru_cache(maxsize=8192)
def _plain(name: str) -> str:
    """Return a name in one spelling; words in any order, numbers in theirs."""
    text = _DAY.sub(r"\1\2\3", fold(name).replace("/", "-"))
    parts = text.split("-")
    words = sorted(part for part in parts if not part.isdigit())
    return " ".join([*words, *(part for part in parts if part.isdigit())])


@lru_cache(maxsize=8192)
def _readings(name: str) -> frozenset[str]:
    text = _DAY.sub(r"\1\2\3", name)
    return frozenset(_plain(each) for each in readings(text))


def related(billed: str, known: str) -> bool:
    """Tell whether one name is a reading of the other."""
    return _plain(billed) in _readings(known) or _plain(known) in _readings(billed)


def assign(known: Iterable[str], billed: Iterable[str]) -> dict[str, str]:
    """Give each name of the ledger the name it is billed under.

    Shapes:  a name that no bill names, or that several may mean, is left out.
    """
    names = sorted(set(billed) - {""})
    by_plain: dict[str, list[str]] = {}
    for name in names:
        by_plain.setdefault(_plain(name), []).append(name)
    found: dict[str, str] = {}
    open_names = []
    for name in sorted(set(known)):
        same = by_plain.get(_plain(name), [])
        if len(same) == 1 or name in same:
            found[name] = name if name in same else same[0]
        else:
            open_names.append(name)
    taken = set(found.values())
    for name in open_names:
        fitting = [each for each in names if related(each, name)]
        free = [each for each in fitting if each not in taken]
        choice = free or fitting
        if len(choice) == 1:
            found[name] = choice[0]
    return found
