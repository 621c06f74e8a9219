"""Choose the budgets of one agent or session, and name the windows they count in.

Such a budget is a rule for many: every agent, or every session, has a count of its own
under it. What is narrower replaces what is wider, and replaces it whole: the amount
that refuses and the amount that warns stand in one row.

An agent is bound by the rule that names it, else by the one for all agents. A session
is bound by the rule that names it, else by the one for its agent's sessions, else by
the one of the provider that served it last, else by the one for all sessions. A rule
without an amount of either kind says that there is no limit.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Iterable
from hashlib import blake2b
from typing import Final, Generic, Protocol, TypeVar

AGENT: Final = "agent"
SESSION: Final = "session"
SCOPES: Final = (AGENT, SESSION)

EVERY: Final = ""
ONE: Final = "one"
OF_AGENT: Final = "agent"
OF_PROVIDER: Final = "provider"


class Rule(Protocol):
    """What is read of a budget, in the ledger's database or in the snapshot."""

    @property
    def scope(self) -> str:
        """Agent or session."""

    @property
    def applies_to(self) -> str:
        """Whom among them: every, one, of an agent, of a provider."""

    @property
    def scope_value(self) -> str:
        """The name of the one, the agent or the provider."""

    @property
    def client_key_id(self) -> int | None:
        """The only key whose calls count; None for all keys'."""


RuleT = TypeVar("RuleT", bound=Rule)


class Rules(Generic[RuleT]):
    """Rules by whom they are for.

    Cost:  a choice is at most six look-ups.
    """

    __slots__ = ("_by_place", "follows_providers")

    def __init__(self, rules: Iterable[RuleT]) -> None:
        self._by_place: dict[tuple[str, str, str], list[RuleT]] = {}
        self.follows_providers = False
        for rule in rules:
            place = (rule.scope, rule.applies_to, rule.scope_value)
            self._by_place.setdefault(place, []).append(rule)
            self.follows_providers |= rule.applies_to == OF_PROVIDER

    def of_agent(self, key_id: int, agent: str) -> list[RuleT]:
        """Return what binds an agent; nothing for a caller that names none."""
        if not agent:
            return []
        return self._first(key_id, AGENT, ((ONE, agent), (EVERY, "")))

    def of_session(
        self, key_id: int, session: str, agent: str, last_provider: str
    ) -> list[RuleT]:
        """Return what binds a session; nothing for a caller that names none.

        Shapes:  ``last_provider`` is blank while nobody served the session.
        """
        if not session:
            return []
        places = (
            (ONE, session),
            (OF_AGENT, agent),
            (OF_PROVIDER, last_provider),
            (EVERY, ""),
        )
        return self._first(key_id, SESSION, places)

    def _first(
        self, key_id: int, scope: str, places: Iterable[tuple[str, str]]
    ) -> list[RuleT]:
        for applies_to, value in places:
            found = [
                rule
                for rule in self._by_place.get((scope, applies_to, value), ())
                if rule.client_key_id in (None, key_id)
            ]
            if found:
                return found
        return []


def window_id(window: str, rule: Rule, *, key_id: int, name: str) -> str:
    """Name the window one agent or session counts in: the calendar's and a tag.

    Shapes:  at most 32 characters. Sessions of different keys are different even when
             their clients chose the same name, so nobody uses up a stranger's; an agent
             is the same for all keys, unless its rule is for one key only.
    """
    whose = key_id if rule.scope == SESSION else rule.client_key_id or 0
    digest = blake2b(
        f"{rule.scope}\0{whose}\0{name}".encode("utf-8", "replace"), digest_size=8
    )
    return f"{window}@{urlsafe_b64encode(digest.digest())[:11].decode('ascii')}"


def is_personal(window: str) -> bool:
    """Tell the window of one agent or session from one that all share."""
    return "@" in window
