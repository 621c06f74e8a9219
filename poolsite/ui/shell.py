"""Hold what surrounds every screen: the sidebar, the pool's state, the person's looks.

The ground knows no provider, so the roof registers where the pool's state comes from
(``set_status_source``) when it starts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, cast

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse

from poolsite.accounts import OWNER, VIEWER
from poolsite.models import User
from poolsite.ui import access

THEME_COOKIE: Final = "pool_theme"
SIDEBAR_COOKIE: Final = "pool_sidebar"
THEMES: Final = ("light", "dark", "system")


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the sidebar; ``go`` is its key after ``g``."""

    label: str
    icon: str
    url_name: str
    go: str = ""
    role: str = VIEWER


@dataclass(frozen=True, slots=True)
class Link:
    """An entry that exists and that this person may open."""

    entry: Entry
    url: str
    is_current: bool


@dataclass(frozen=True, slots=True)
class Group:
    """A titled part of the sidebar."""

    title: str
    links: list[Link] = field(default_factory=list)


GROUPS: Final[tuple[tuple[str, tuple[Entry, ...]], ...]] = (
    (
        "Pool",
        (
            Entry("Overview", "gauge", "providers:overview", "o"),
            Entry("Providers", "plug", "providers:provider-list", "p"),
            Entry("Models", "boxes", "providers:model-list", "m"),
            Entry("Routing", "route", "providers:routing", "r"),
        ),
    ),
    (
        "Access",
        (
            Entry("Client keys", "key-round", "providers:key-list", "k"),
            Entry("Playground", "square-terminal", "providers:playground", "y"),
        ),
    ),
    (
        "Insight",
        (
            Entry("Usage", "chart-column", "usage:usage", "u"),
            Entry("Requests", "scroll-text", "providers:request-list", "l"),
            Entry("Pricing", "coins", "providers:price-list", "c"),
        ),
    ),
)
FOOTER: Final = (
    Entry("Settings", "settings", "ground:settings", "s"),
    Entry("Users", "users", "ground:user-list", "", OWNER),
    Entry("Audit", "shield-check", "ground:audit-list", "a"),
)


@dataclass(frozen=True, slots=True)
class PoolStatus:
    """The pool in one pill: a state of ``pills``, a few words, where to look."""

    state: str
    text: str
    url: str = ""


StatusSource = Callable[[], PoolStatus | None]
_status_sources: list[StatusSource] = []


def set_status_source(source: StatusSource) -> None:
    """Say where the pool's state comes from; the last call holds.

    Cost: the source runs on every full page, so it must be one cheap read.
    """
    _status_sources[:] = [source]


def url_or_empty(name: str, *args: object) -> str:
    """Return a url, or nothing while that screen does not exist."""
    try:
        return reverse(name, args=args)
    except NoReverseMatch:
        return ""


class Shell:
    """What base.html needs; everything is worked out only when it is shown."""

    def __init__(self, request: HttpRequest) -> None:
        self.request = request

    @cached_property
    def user(self) -> User | None:
        """Return the signed-in person."""
        user = getattr(self.request, "user", None)
        return cast(User, user) if user is not None and user.is_authenticated else None

    @cached_property
    def theme(self) -> str:
        """Return light, dark or system: the person's own, else the cookie's."""
        chosen = self.request.COOKIES.get(THEME_COOKIE, "")
        if self.user is not None:
            chosen = self.user.theme
        return chosen if chosen in THEMES else "system"

    @cached_property
    def density(self) -> str:
        """Return the row density of tables."""
        return self.user.density if self.user else User.Density.COMPACT

    @cached_property
    def sidebar(self) -> str:
        """Return open or collapsed."""
        chosen = self.request.COOKIES.get(SIDEBAR_COOKIE, "")
        return "collapsed" if chosen == "collapsed" else "open"

    @cached_property
    def shortcuts(self) -> str:
        """Tell whether single-letter shortcuts are on."""
        return "on" if self.user is None or self.user.shortcuts else "off"

    @cached_property
    def groups(self) -> list[Group]:
        """Return the sidebar without screens that do not exist."""
        found = [Group(title, list(self._links(entries))) for title, entries in GROUPS]
        return [group for group in found if group.links]

    @cached_property
    def footer(self) -> list[Link]:
        """Return the lower part of the sidebar."""
        return list(self._links(FOOTER))

    @cached_property
    def current(self) -> Link | None:
        """Return the sidebar's entry for the page shown."""
        links = [link for group in self.groups for link in group.links] + self.footer
        return next((link for link in links if link.is_current), None)

    @cached_property
    def status(self) -> PoolStatus | None:
        """Return the pool's state when somebody provides it."""
        return _status_sources[0]() if _status_sources and self.user else None

    def _links(self, entries: tuple[Entry, ...]) -> Iterator[Link]:
        for entry in entries:
            url = url_or_empty(entry.url_name)
            if url and access.has_role(self.request, entry.role):
                yield Link(entry, url, self._is_current(url))

    def _is_current(self, url: str) -> bool:
        path = self.request.path
        return path == url or (url != "/" and path.startswith(url.rstrip("/") + "/"))
