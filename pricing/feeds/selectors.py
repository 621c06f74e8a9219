"""Read the state of the public sources for screens, commands and the admin API."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import msgspec
from django.conf import settings

from poolsite.money import format_price
from pricing.book import loader
from pricing.feeds.diff import Line
from pricing.feeds.sources import SOURCES, Source
from pricing.listing import Listing
from pricing.models import Feed

PAGE_LINES: Final = 100
# Large columns that a state needs nothing of.
_HEAVY: Final = ("listing", "diff", "held", "decisions")
_WORDS: Final = {
    "input": "Input",
    "output": "Output",
    "cache_read": "Cache read",
    "cache_write": "Cache write",
    "cache_write_1h": "Cache write, 1 h",
    "reasoning": "Reasoning",
    "per_request": "Per request",
    "context_window": "Context window",
    "max_output": "Longest output",
    "kind": "Kind",
    "deprecated": "Deprecated",
    "long_threshold": "Long prompt from",
}
_NUMBERS: Final = frozenset({"context_window", "max_output", "long_threshold"})
# Stored per million units like every other price, shown as people say it.
_PER_UNIT: Final = frozenset(
    {
        "per_request",
        "per_image",
        "per_second",
        "per_video_second",
        "per_character",
        "per_tool_call",
    }
)


@dataclass(frozen=True)
class FeedState:
    """One source and how it stands.

    Shapes:  ``state`` is never, current, failing, cleared; ``counts`` are those of the
             last change: new, changed, gone, held.
    """

    source: Source
    url: str = ""
    enabled: bool = True
    checked_at: datetime | None = None
    fetched_at: datetime | None = None
    changed_at: datetime | None = None
    cleared_at: datetime | None = None
    last_error: str = ""
    models: int = 0
    held: int = 0
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The source's name."""
        return self.source.name

    @property
    def asked_url(self) -> str:
        """Where it is asked."""
        return self.url or self.source.url

    @property
    def state(self) -> str:
        """Say in one word how it stands."""
        if self.last_error:
            return "failing"
        if self.fetched_at:
            return "current"
        return "cleared" if self.cleared_at else "never"


@dataclass(frozen=True)
class ShownLine:
    """A difference in words."""

    line: Line
    column: str
    before: str
    after: str


@dataclass(frozen=True)
class Lines:
    """A page of differences.

    Shapes:  ``matching`` of ``stored`` lines have the text; pages start at 1.
    """

    rows: Sequence[ShownLine]
    stored: int
    matching: int
    page: int
    pages: int

    @property
    def previous(self) -> int:
        """The page before this one."""
        return self.page - 1

    @property
    def following(self) -> int:
        """The page after this one."""
        return self.page + 1


def embedded_state() -> dict[str, Any]:
    """Say what was shipped with this release; no query."""
    embedded: Listing = loader.embedded_listing()
    return {
        "date": embedded.date,
        "providers": len(embedded.providers),
        "models": embedded.models_count,
    }


def is_automatic() -> bool:
    """Tell whether this installation asks any source by itself."""
    is_on: bool = settings.CONFIG.catalogue_refresh
    return is_on


def feed_states() -> list[FeedState]:
    """Return every source, whether it was ever asked or not; one query."""
    rows = {row.name: row for row in Feed.objects.defer(*_HEAVY)}
    return [_state(source, rows.get(source.name)) for source in SOURCES.values()]


def feed_state(name: str) -> FeedState | None:
    """Return one source, None when there is no such; one query."""
    source = SOURCES.get(name)
    if source is None:
        return None
    return _state(source, Feed.objects.defer(*_HEAVY).filter(name=name).first())


def changed_lines(name: str, text: str = "", page: int = 1) -> Lines:
    """Return a page of what the last change was; one query."""
    return _page(_stored(name, "diff"), text, page)


def held_lines(name: str, text: str = "", page: int = 1) -> Lines:
    """Return a page of the prices that wait for a person; one query."""
    return _page(_stored(name, "held"), text, page)


def all_held(name: str) -> list[ShownLine]:
    """Return every price that waits for a person; one query."""
    return [_shown(line) for line in _stored(name, "held")]


def held_keys(name: str, text: str = "") -> list[str]:
    """Return the keys of all held lines that have a text; one query."""
    return [line.key for line in _matching(_stored(name, "held"), text)]


def feed_table() -> list[dict[str, Any]]:
    """Return every source as plain data; one query."""
    return [as_data(state) for state in feed_states()]


def as_data(state: FeedState) -> dict[str, Any]:
    """Return one source as plain data; None is not known, as for one never read."""
    return {
        "name": state.name,
        "state": state.state,
        "enabled": state.enabled,
        "url": state.asked_url,
        "models": state.models if state.fetched_at else None,
        "checked_at": _iso(state.checked_at),
        "fetched_at": _iso(state.fetched_at),
        "changed_at": _iso(state.changed_at),
        "cleared_at": _iso(state.cleared_at),
        "held": state.held,
        "counts": state.counts,
        "last_error": state.last_error,
    }


def line_data(line: Line) -> dict[str, Any]:
    """Return a difference as plain data; prices in nano-USD per million units."""
    return {name: getattr(line, name) for name in Line.__struct_fields__}


def _state(source: Source, row: Feed | None) -> FeedState:
    if row is None:
        return FeedState(source)
    return FeedState(
        source=source,
        url=row.url,
        enabled=row.enabled,
        checked_at=row.checked_at,
        fetched_at=row.fetched_at,
        changed_at=row.changed_at,
        cleared_at=row.cleared_at,
        last_error=row.last_error,
        models=row.models_listed,
        held=row.counts.get("held", 0),
        counts=row.counts,
    )


def _stored(name: str, column: str) -> list[Line]:
    rows = Feed.objects.filter(name=name).values_list(column, flat=True).first()
    return msgspec.convert(rows or [], list[Line])


def _matching(lines: list[Line], text: str) -> list[Line]:
    words = text.lower().split()
    return [line for line in lines if all(word in _haystack(line) for word in words)]


def _haystack(line: Line) -> str:
    return f"{line.kind} {line.provider}/{line.model} {line.column}".lower()


def _page(lines: list[Line], text: str, page: int) -> Lines:
    matching = _matching(lines, text)
    pages = max(1, -(-len(matching) // PAGE_LINES))
    page = min(max(1, page), pages)
    first = (page - 1) * PAGE_LINES
    rows = [_shown(line) for line in matching[first : first + PAGE_LINES]]
    return Lines(rows, len(lines), len(matching), page, pages)


def _shown(line: Line) -> ShownLine:
    column = _WORDS.get(line.column, line.column.replace("_", " ").capitalize())
    return ShownLine(
        line, column, _value(line.column, line.before), _value(line.column, line.after)
    )


def _value(column: str, value: Any) -> str:
    if not column:
        return ""
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if column in _NUMBERS:
        return f"{value:,}"
    if isinstance(value, int):
        shown = -(-value // 1_000_000) if column in _PER_UNIT else value
        return format_price(shown)
    return str(value)


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
