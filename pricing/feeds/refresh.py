"""Ask the public sources anew; whatever goes wrong, what was known keeps serving."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final, Self

import msgspec
from django.conf import settings

from poolsite import alerts, version
from poolsite.change import one_change
from poolsite.clock import Clock, SystemClock
from pricing.book import loader
from pricing.feeds import diff
from pricing.feeds.diff import Merged, MergeError
from pricing.feeds.feed_errors import FeedError
from pricing.feeds.fetch import DEADLINE_S, Fetched, FetchError, fetch
from pricing.feeds.packed import Kept, digest_of, pack, unpack
from pricing.feeds.sources import SOURCES, Source
from pricing.listing import Listing
from pricing.models import Feed

STALE_AFTER: Final = timedelta(days=3)
APPLIED: Final = "applied"
UNCHANGED: Final = "unchanged"
FAILED: Final = "failed"
ALERT: Final = "feed_stale"
_TRIES: Final = 3
_CLOCK: Final = SystemClock()


class Outcome(msgspec.Struct, frozen=True):
    """Say what one refresh came to.

    Shapes:  ``state`` is applied, unchanged or failed; ``message`` is for a person;
             counts as in ``Merged``, with how many lines are held.
    """

    feed: str
    state: str
    message: str = ""
    counts: dict[str, int] = {}


class _Base(msgspec.Struct, frozen=True):
    """What a feed was when it was asked: an answer to anything else is dropped."""

    url: str
    digest: str
    cleared_at: datetime | None
    decisions: dict[str, str]

    @classmethod
    def of(cls, feed: Feed) -> Self:
        return cls(feed.url, feed.digest, feed.cleared_at, feed.decisions)


def refresh_automatic(*, clock: Clock = _CLOCK) -> list[Outcome]:
    """Ask every source that is switched on, if this installation asks any by itself."""
    if not settings.CONFIG.catalogue_refresh:
        return []
    return [refresh(name, clock=clock) for name in _switched_on()]


def refresh_now(
    name: str = "",
    *,
    on_step: Callable[[int, int], object] | None = None,
    clock: Clock = _CLOCK,
) -> list[Outcome]:
    """Ask because somebody wants to know now: one source, or all that are on.

    Shapes:  ``on_step`` hears how many of how many are done.
    """
    names = [name] if name else _switched_on()
    found = []
    for done, each in enumerate(names):
        if on_step is not None:
            on_step(done, len(names))
        found.append(refresh(each, clock=clock))
    return found


def refresh(
    name: str, *, clock: Clock = _CLOCK, deadline_s: float = DEADLINE_S
) -> Outcome:
    """Ask one source and take its answer over.

    Shapes:  name is one of ``SOURCES``.
    Fails:   open: an answer that cannot be read, or cannot be believed, is noted on
             the feed and changes nothing else; an alert follows after three days.
    Cost:    one outbound request of at most 15 s, outside of any transaction.
    """
    source = SOURCES[name]
    feed, _made = Feed.objects.get_or_create(name=name)
    try:
        fetched = fetch(
            feed.url or source.url,
            etag=feed.etag,
            last_bytes=feed.body_bytes,
            deadline_s=deadline_s,
        )
        if fetched.body is None:
            _note_success(feed, clock)
            return Outcome(name, UNCHANGED, "Nothing has changed since the last time.")
        return _take_over(source, feed, fetched, clock)
    except (FetchError, FeedError, MergeError) as exc:
        return _note_failure(feed, source, exc.message, clock)


def _switched_on() -> list[str]:
    off = set(Feed.objects.filter(enabled=False).values_list("name", flat=True))
    return [name for name in SOURCES if name not in off]


def _take_over(source: Source, feed: Feed, fetched: Fetched, clock: Clock) -> Outcome:
    body = fetched.body or b""
    today = clock.now().date().isoformat()
    stated = _read(source, body, today)
    _check_amount(source, feed, stated)
    for _ in range(_TRIES):
        base = _Base.of(feed)
        known = unpack(bytes(feed.listing)) if feed.listing else None
        merged = diff.merge(
            known, stated, embedded=loader.embedded_listing(), decisions=feed.decisions
        )
        values = _values(feed, known, merged, clock) | {
            "etag": fetched.etag,
            "body_bytes": len(body),
            "models_stated": stated.models_count,
        }
        outcome = _apply(feed.pk, base, values, dict(merged.counts), clock=clock)
        if outcome is not None:
            return outcome
        # Another worker was quicker: lay the answer over what it made.
        feed.refresh_from_db()
        if (feed.url, feed.cleared_at) != (base.url, base.cleared_at):
            break
    return Outcome(source.name, UNCHANGED, "It was changed meanwhile; ask again.")


def _read(source: Source, body: bytes, today: str) -> Listing:
    try:
        stated = source.listing(body, date=today)
    except RecursionError as exc:
        raise FeedError("The answer is nested too deeply.") from exc
    if not source.providers:
        return stated
    own = {
        key: provider
        for key, provider in stated.providers.items()
        if key in source.providers
    }
    return msgspec.structs.replace(stated, providers=own)


def _check_amount(source: Source, feed: Feed, stated: Listing) -> None:
    """Refuse a list that has shrunk: it is a broken one.

    Errors:  FeedError.
    """
    # Whoever points a source at a list of their own knows how long it is.
    least = 1 if feed.url else source.least
    if feed.models_stated:
        least = -(-feed.models_stated // 2)
    if stated.models_count < least:
        raise FeedError(
            f"It lists {stated.models_count:,} models where at least {least:,} were "
            "expected; nothing was taken over."
        )


def _values(
    feed: Feed, known: Kept | None, merged: Merged, clock: Clock
) -> dict[str, Any]:
    """Return the columns a merge changes, made before the transaction that writes them.

    Shapes:  ``digest`` is among them when something else serves from now on.
    """
    held = [msgspec.to_builtins(line) for line in merged.held]
    values: dict[str, Any] = {"held": held, "decisions": merged.decisions}
    # What waits is counted now, the rest when something last changed.
    values["counts"] = {**feed.counts, "held": len(held)}
    if merged.lines:
        values["counts"] = {**merged.counts, "held": len(held)}
        values["diff"] = [msgspec.to_builtins(line) for line in merged.lines]
        values["changed_at"] = clock.now()
    if merged.kept != known:
        raw = pack(merged.kept)
        values |= {
            "listing": raw,
            "digest": digest_of(raw),
            "models_listed": merged.kept.listing.models_count,
        }
    return values


@one_change
def _apply(
    pk: int,
    base: _Base,
    values: dict[str, Any],
    counts: dict[str, int],
    *,
    clock: Clock,
) -> Outcome | None:
    """Store a merge; None when the feed is no longer what it was made for."""
    feed = Feed.objects.select_for_update().defer("diff").get(pk=pk)
    if _Base.of(feed) != base:
        return None
    held = values["held"]
    is_new = "digest" in values
    is_same = not is_new and held == feed.held
    _note_success(feed, clock, **values)
    if is_same:
        return Outcome(feed.name, UNCHANGED, "Nothing has changed since the last time.")
    if is_new:
        version.bump(feed)
    counts = {**counts, "held": len(held)}
    return Outcome(feed.name, APPLIED, _words(counts), counts)


def _note_success(feed: Feed, clock: Clock, **values: Any) -> None:
    now = clock.now()
    Feed.objects.filter(pk=feed.pk).update(
        checked_at=now, fetched_at=now, last_error="", **values
    )
    alerts.resolve(ALERT, feed.name, clock=clock)


def _note_failure(feed: Feed, source: Source, message: str, clock: Clock) -> Outcome:
    now = clock.now()
    message = message[:200]
    Feed.objects.filter(pk=feed.pk).update(checked_at=now, last_error=message)
    if feed.enabled and feed.fetched_at and now - feed.fetched_at > STALE_AFTER:
        alerts.raise_alert(
            ALERT,
            feed.name,
            title=f"{source.title} has not been read for days",
            detail=f"{message} What was known before keeps serving.",
            link="/pricing/updates/",
            clock=clock,
        )
    return Outcome(source.name, FAILED, message)


def _words(counts: dict[str, int]) -> str:
    named = [
        (counts.get("new", 0), "new model", "new models"),
        (counts.get("changed", 0), "changed value", "changed values"),
        (counts.get("gone", 0), "model no longer listed", "models no longer listed"),
        (counts.get("held", 0), "price waits for you", "prices wait for you"),
    ]
    said = [
        f"{count:,} {many if count > 1 else one}" for count, one, many in named if count
    ]
    if not said:
        return "Taken over; nothing that is shown has changed."
    return f"{', '.join(said)}."
