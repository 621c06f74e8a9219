"""Change how public sources are asked, decide about their prices, forget them."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, timedelta
from typing import Any, Final

import msgspec

from poolsite import alerts, audit, jobs, version
from poolsite.actor import Actor
from poolsite.change import one_change
from poolsite.clock import Clock, SystemClock
from poolsite.destinations import EgressRefusedError
from poolsite.models import Job
from pricing.book import loader
from pricing.feeds import diff
from pricing.feeds.diff import ACCEPTED, DECLINED, Line
from pricing.feeds.fetch import vetter
from pricing.feeds.packed import digest_of, pack, unpack
from pricing.feeds.refresh import ALERT
from pricing.feeds.sources import SOURCES
from pricing.models import Feed

REFRESH: Final = "pricing.refresh_feed"
"""The name of the background job that asks one source, or all."""
_LONGEST_URL: Final = 300
_MOST_AUDITED: Final = 20
_CLOCK: Final = SystemClock()


class FeedSettingError(Exception):
    """A change of a public source is refused; ``field`` names the input."""

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.field = field


@one_change
def set_feed(
    actor: Actor,
    name: str,
    *,
    url: str | None = None,
    enabled: bool | None = None,
    clock: Clock = _CLOCK,
) -> Feed:
    """Change where a source is asked, or whether it is asked by itself.

    Shapes:  None leaves a value as it is; a blank url is the source's own address.
    Errors:  FeedSettingError for an unknown source or an address that may not be asked.
    """
    feed = _locked(name)
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    if url is not None and (url := _checked(url, name)) != feed.url:
        before["url"], after["url"] = feed.url, url
        feed.url = url
        # Nothing of the old address says anything about the new one.
        feed.etag, feed.last_error = "", ""
        feed.body_bytes = feed.models_stated = 0
    if enabled is not None and enabled != feed.enabled:
        before["enabled"], after["enabled"] = feed.enabled, enabled
        feed.enabled = enabled
    if not after:
        return feed
    feed.save()
    if not feed.enabled:
        alerts.resolve(ALERT, feed.name, clock=clock)
    audit.record(actor, "feed.set", feed, before=before, after=after, clock=clock)
    return feed


@one_change
def clear_feed(actor: Actor, name: str, *, clock: Clock = _CLOCK) -> Feed:
    """Forget what a source said: the embedded catalogue holds where it did.

    Decisions about its prices go with it. Asked again, it starts anew.

    Errors:  FeedSettingError for an unknown source.
    """
    feed = _locked(name)
    before = {"models": feed.models_listed}
    feed.listing = None
    feed.etag = feed.digest = feed.last_error = ""
    feed.models_listed = feed.models_stated = feed.body_bytes = 0
    feed.diff, feed.held, feed.decisions, feed.counts = [], [], {}, {}
    feed.changed_at = feed.fetched_at = None
    feed.cleared_at = clock.now()
    feed.save()
    version.bump(feed)
    alerts.resolve(ALERT, feed.name, clock=clock)
    audit.record(actor, "feed.clear", feed, before=before, clock=clock)
    return feed


@one_change
def decide(
    actor: Actor,
    name: str,
    keys: Collection[str],
    *,
    accept: bool,
    clock: Clock = _CLOCK,
) -> int:
    """Accept or decline held prices; return how many there were.

    Shapes:  keys are those of held lines; one that is held no longer is passed over.
    Errors:  FeedSettingError for an unknown source.
    """
    feed = _locked(name)
    lines = [msgspec.convert(line, Line) for line in feed.held]
    chosen = [line for line in lines if line.key in keys]
    if not chosen or not feed.listing:
        return 0
    said = ACCEPTED if accept else DECLINED
    feed.decisions = {**feed.decisions, **{line.key: said for line in chosen}}
    feed.held = [line for line in feed.held if line["key"] not in keys]
    feed.counts = {**feed.counts, "held": len(feed.held)}
    if accept:
        kept = unpack(bytes(feed.listing))
        since = _news_since(clock)
        for line in chosen:
            kept = diff.decide(kept, line, date=since)
        feed.listing = pack(kept)
        feed.digest = digest_of(feed.listing)
    feed.save()
    version.bump(feed)
    named = [f"{line.provider}/{line.model} {line.column}" for line in chosen]
    after = {"lines": len(chosen), "first": named[:_MOST_AUDITED]}
    action = "feed.accept" if accept else "feed.decline"
    audit.record(actor, action, feed, after=after, clock=clock)
    return len(chosen)


def start_refresh(actor: Actor, name: str = "", *, clock: Clock = _CLOCK) -> Job:
    """Ask a source in the background now, or every one that is switched on.

    Errors:  FeedSettingError for an unknown source.
    """
    title = _source_title(name) if name else "every public list"
    return jobs.start(
        REFRESH, label=f"Ask {title}", user=actor.user, clock=clock, feed=name
    )


def _locked(name: str) -> Feed:
    _source_title(name)
    Feed.objects.get_or_create(name=name)
    return Feed.objects.select_for_update().get(name=name)


def _source_title(name: str) -> str:
    if name not in SOURCES:
        known = ", ".join(SOURCES)
        raise FeedSettingError(f"There is no such source; there are {known}.")
    return SOURCES[name].title


def _checked(url: str, name: str) -> str:
    """Return the address to store, blank for the source's own.

    Errors:  FeedSettingError.
    """
    url = url.strip()
    if url in ("", SOURCES[name].url):
        return ""
    if len(url) > _LONGEST_URL:
        raise FeedSettingError(
            f"An address has at most {_LONGEST_URL} characters.", field="url"
        )
    try:
        vetter().check_url(url)
    except EgressRefusedError as exc:
        raise FeedSettingError(str(exc), field="url") from exc
    return url


def _news_since(clock: Clock) -> str:
    """Return the day from which on an accepted price counts as news.

    A person's word beats what the release settled, also on the day of the release.
    """
    released = date.fromisoformat(loader.embedded_listing().date)
    return max(clock.now().date(), released + timedelta(days=1)).isoformat()
