"""The words of the fault table: faults, what is left when they strike, what follows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Left = Literal[
    "other key",
    "other account",
    "other provider",
    "other model",
    "other model elsewhere",
    "none",
]
LEFT: Final[tuple[Left, ...]] = (
    "other key",
    "other account",
    "other provider",
    "other model",
    "other model elsewhere",
    "none",
)
"""Who is left beside the candidate that fails, always in good health.

A key and an account of the same provider, another provider of the same model, another
model of the alias under the same key, another model of the alias at another provider.
"""

Where = Literal["host", "key", "candidate", "request"]
"""Whom a fault strikes: all that lives on a host, all that a key may ask, one key at
one model, or the request wherever it goes."""

FIRST: Final = "first"
"""The candidate that is asked first and fails."""


@dataclass(frozen=True)
class Cooling:
    """A cooldown that is in force when the call is over.

    Shapes:  ``subject`` provider | model | credential | limit (a credential with a
             model) | account | egress.
    """

    subject: str
    reason: str
    seconds: int


@dataclass(frozen=True)
class Outcome:
    """What one call came to; expected and observed alike.

    Shapes:  ``code`` is the error's, empty when it was served, also inside a stream
             that had begun; ``served_by`` FIRST or one of LEFT; ``trail`` one pair a
             attempt: who, and the failure's kind with the decision after it.
             ``again`` is the trail of the same call made once more, at once.
             ``broken`` names promises that did not hold; an expected one has none.
    Units:   ``seconds`` the call took, pauses below one rounded away.
    """

    status: int
    code: str
    retry_after: str
    served_by: str
    trail: tuple[tuple[str, str], ...]
    cooling: tuple[Cooling, ...]
    seconds: int = 0
    again: tuple[tuple[str, str], ...] = ()
    broken: tuple[str, ...] = ()


@dataclass(frozen=True)
class Observed:
    """What a call came to, and what would have been possible.

    Shapes:  ``could_serve`` = whoever was left answers the same question when asked
             directly, without the pool.
    """

    outcome: Outcome
    could_serve: bool


@dataclass(frozen=True)
class Patience:
    """How a candidate serves after all that nobody else is left beside.

    Shapes:  ``trail`` as in ``Outcome``. ``is_for_all`` = also for whole answers.
    """

    seconds: int
    trail: tuple[tuple[str, str], ...]
    is_for_all: bool = True


@dataclass(frozen=True)
class Fault:
    """One way to fail, and what shall follow from it.

    Shapes:  ``whole`` and ``stream`` are scenarios of the fault upstream, empty for
             hosts that cannot be reached. ``kind`` is the failure's class in the
             attempt trail. ``asked`` counts the calls of the failing candidate.
             ``helped_by`` names who can serve in its place. ``error`` is what the
             client is told when nobody can. ``is_midway`` = a stream has begun when it
             strikes, so that nothing can be repeated. ``is_final`` = nobody is asked
             who cannot help, ``is_verbatim`` = told in the upstream's own words.
             ``alone`` is what patience brings where nobody else is left.
    Units:   ``seconds`` until the fault is noticed.
    """

    name: str
    means: str
    where: Where
    kind: str
    error: tuple[int, str]
    helped_by: frozenset[Left]
    whole: str = ""
    stream: str = ""
    asked: int = 1
    seconds: int = 0
    alone: Patience | None = None
    cools: Cooling | None = None
    retry_after: str = ""
    is_midway: bool = False
    is_final: bool = False
    is_verbatim: bool = False


@dataclass(frozen=True)
class Cell:
    """One square of the table."""

    fault: Fault
    left: Left
    is_stream: bool

    @property
    def id(self) -> str:
        """Return the name of its test."""
        form = "stream" if self.is_stream else "whole"
        return f"{self.fault.name}-{self.left}-{form}".replace(" ", "_")

    @property
    def scenario(self) -> str:
        """Return what the fault upstream is told to do."""
        fault = self.fault
        return (fault.stream if self.is_stream else "") or fault.whole
