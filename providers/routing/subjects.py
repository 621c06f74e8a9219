"""Names of what can be left alone: a provider, a model, a credential and so on.

================  ================================  ====================================
scope             subject                           what it stands for
================  ================================  ====================================
``provider``      ``provider:3``                    all of a provider
``model``         ``model:7``                       one model at its provider
``credential``    ``credential:3:api_key:12``       one secret, for all its models
``limit``         ``limit:3:api_key:12:7``          one secret with one model
``account``       ``account:3:org-abc``             the secrets of one vendor account
``egress``        ``egress:-``                      our own way out to the network
================  ================================  ====================================

The names are keys of facts and rows, so they never change their shape.
"""

from __future__ import annotations

from sys import intern
from typing import Final

import msgspec

from providers.routing.types import RouteLike

PROVIDER: Final = 0
MODEL: Final = 1
CREDENTIAL: Final = 2
LIMIT: Final = 3
EGRESS: Final = 4
ACCOUNT: Final = 5
"""Places in a route's names; a place that says nothing about a route is blank."""

SCOPES: Final = ("provider", "model", "credential", "limit", "egress", "account")
EGRESS_SUBJECT: Final = "egress:-"
EVERYTHING: Final = "*"
"""Stands for every subject, where all of them are cleared."""

_LOCAL: Final = "local"
_LONGEST_ACCOUNT: Final = 80
_MOST_NAMES: Final = 50_000
Names = tuple[str, str, str, str, str, str]
_Key = tuple[int, int, str, int]


class Parts(msgspec.Struct, frozen=True, gc=False):
    """What a subject's name says; None = it says nothing of that."""

    scope: str
    provider_id: int | None = None
    model_id: int | None = None
    credential_kind: str | None = None
    credential_id: int | None = None
    account: str | None = None


def parse(subject: str) -> Parts | None:
    """Read a subject's name, None when it is none of ours."""
    scope, _, rest = subject.partition(":")
    try:
        return _parsed(scope, rest)
    except ValueError:
        return None


def _parsed(scope: str, rest: str) -> Parts | None:
    if scope == "egress":
        return Parts(scope)
    if scope == "model":
        return Parts(scope, model_id=int(rest))
    provider, _, own = rest.partition(":")
    if scope == "provider":
        return Parts(scope, int(provider))
    if scope == "account":
        return Parts(scope, int(provider), account=own)
    words = own.split(":")
    if scope == "credential" and len(words) in (1, 2):
        return Parts(scope, int(provider), None, *_secret(words))
    if scope == "limit" and len(words) in (2, 3):
        model_id = int(words.pop())
        return Parts(scope, int(provider), model_id, *_secret(words))
    return None


def _secret(words: list[str]) -> tuple[str | None, int | None]:
    """Read ``api_key:12``; a provider without secrets has ``-``."""
    return (words[0], int(words[1])) if len(words) == 2 else (None, None)


class Namer:
    """Give the names of a route, remembered: a request asks for the same few often.

    Cost:  a dictionary read; a new route six strings.
    """

    __slots__ = ("_accounts", "_names")

    def __init__(self) -> None:
        self._names: dict[_Key, Names] = {}
        self._accounts: dict[tuple[int, str, int], str] = {}

    def names(self, route: RouteLike) -> Names:
        """Return the name of each scope that concerns a route, by its place."""
        provider, credential = route.provider, route.credential
        if credential is None:
            key = (provider.id, route.model.id, "", 0)
        else:
            key = (provider.id, route.model.id, credential.kind, credential.id)
        found = self._names.get(key)
        return self._named(route, key) if found is None else found

    def account(self, route: RouteLike) -> str:
        """Return the vendor account a route's secret belongs to, blank if unknown."""
        credential = route.credential
        if credential is None:
            return ""
        return self._accounts.get(
            (route.provider.id, credential.kind, credential.id), ""
        )

    def belongs(self, route: RouteLike, account: str) -> None:
        """Learn to which account of the vendor a route's secret belongs."""
        credential = route.credential
        account = account[:_LONGEST_ACCOUNT]
        if credential is None or account == self.account(route):
            return
        if len(self._accounts) >= _MOST_NAMES:
            self._accounts.clear()
        self._accounts[route.provider.id, credential.kind, credential.id] = account
        self._names.clear()

    def forget_names(self) -> None:
        """Make the names anew: a provider may have moved."""
        self._names.clear()

    def _named(self, route: RouteLike, key: _Key) -> Names:
        provider_id, model_id, kind, number = key
        own = f"{kind}:{number}" if kind else "-"
        account = self.account(route)
        is_local = route.provider.location == _LOCAL
        made = (
            # Shared by all models of a provider: what is small is near.
            intern(f"provider:{provider_id}"),
            f"model:{model_id}",
            intern(f"credential:{provider_id}:{own}"),
            f"limit:{provider_id}:{own}:{model_id}",
            "" if is_local else EGRESS_SUBJECT,
            f"account:{provider_id}:{account}" if account else "",
        )
        if len(self._names) >= _MOST_NAMES:
            self._names.clear()
        self._names[key] = made
        return made
