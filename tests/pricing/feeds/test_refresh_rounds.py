"""When sources are asked, by how many at once, and when somebody hears of a failure."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from django.db import connections

from poolsite.actor import SYSTEM
from poolsite.clock import ManualClock
from poolsite.models import Alert, ConfigVersion
from pricing.feeds import current, services
from pricing.feeds import refresh as module
from pricing.feeds.fetch import Fetched
from pricing.feeds.refresh import refresh, refresh_automatic
from pricing.feeds.sources import SOURCES
from pricing.listing import Listing
from pricing.models import Feed
from tests.pricing.feeds.conftest import USD, World
from tests.vendors import feeds
from tests.vendors.server import Reply

NAME = "models_dev"


def still_serves(good: list[Listing]) -> bool:
    """Compare by content, read anew."""
    current.forget()
    return current.listings() == good


@pytest.mark.django_db(transaction=True)
def test_two_workers_apply_one_answer_once(
    world: World, good: list[Listing], clock: ManualClock
) -> None:
    world.answer(feeds.models_dev(m_2={"input": 3, "output": 4}))
    before = ConfigVersion.objects.get(pk=1).version
    outcomes = []
    together = threading.Barrier(2)

    def work() -> None:
        together.wait(5)
        try:
            outcomes.append(refresh(NAME, clock=clock))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(each.state for each in outcomes) == ["applied", "unchanged"]
    assert ConfigVersion.objects.get(pk=1).version == before + 1
    assert world.feed().counts == {"changed": 2, "held": 0}


def test_answer_to_an_address_changed_meanwhile_is_dropped(
    world: World, good: list[Listing], clock: ManualClock
) -> None:
    document = feeds.models_dev(m_2={"input": 3, "output": 4})
    feed = world.feed()
    source = SOURCES[NAME]
    Feed.objects.filter(name=NAME).update(url="http://127.0.0.1:1/other")
    got = Fetched(feeds.as_json(document), '"v2"')
    outcome = module._take_over(source, feed, got, clock)
    assert outcome.state == "unchanged"
    assert still_serves(good)


def test_nothing_is_asked_when_automatic_refresh_is_off(
    world: World, clock: ManualClock, settings: Any
) -> None:
    settings.CONFIG = msgspec.structs.replace(settings.CONFIG, catalogue_refresh=False)
    assert refresh_automatic(clock=clock) == []
    assert world.vendor.asked == []


def test_source_that_is_switched_off_is_not_asked(
    world: World, clock: ManualClock, settings: Any
) -> None:
    settings.CONFIG = msgspec.structs.replace(settings.CONFIG, catalogue_refresh=True)
    for name in ("litellm", "openrouter"):
        Feed.objects.create(name=name, enabled=False)
    world.answer(feeds.models_dev())
    assert [each.feed for each in refresh_automatic(clock=clock)] == [NAME]
    Feed.objects.update(enabled=False)
    assert refresh_automatic(clock=clock) == []
    assert len(current.listings()) == 2


def test_alert_comes_after_three_days_and_goes_with_success(
    world: World, good: list[Listing], clock: ManualClock
) -> None:
    world.answer(Reply(b"", status=500))
    clock.advance(timedelta(days=2).total_seconds())
    refresh(NAME, clock=clock)
    assert not Alert.objects.exists()
    clock.advance(timedelta(days=2).total_seconds())
    refresh(NAME, clock=clock)
    assert Alert.objects.get().kind == "feed_stale"
    world.answer(feeds.models_dev())
    refresh(NAME, clock=clock)
    assert Alert.objects.get().resolved_at == clock.now()


def test_source_never_read_raises_no_alert(world: World, clock: ManualClock) -> None:
    world.answer(Reply(b"", status=500))
    refresh(NAME, clock=clock)
    clock.advance(timedelta(days=30).total_seconds())
    refresh(NAME, clock=clock)
    assert not Alert.objects.exists()


def test_huge_price_of_a_good_list_is_held_not_applied(
    world: World, good: list[Listing], clock: ManualClock
) -> None:
    world.answer(feeds.models_dev(m_2={"input": 11, "output": 2}))
    outcome = refresh(NAME, clock=clock)
    assert outcome.counts == {"held": 1}
    assert still_serves(good)
    [line] = world.feed().held
    assert (line["model"], line["before"], line["after"]) == ("m-2", USD, 11 * USD)


def test_decision_made_while_the_answer_came_is_not_lost(
    world: World, good: list[Listing], clock: ManualClock
) -> None:
    dear = feeds.models_dev(m_2={"input": 11, "output": 2})
    world.answer(dear)
    refresh(NAME, clock=clock)
    feed = world.feed()
    [line] = feed.held
    services.decide(SYSTEM, NAME, [line["key"]], accept=False, clock=clock)
    got = Fetched(feeds.as_json(dear), "")
    assert module._take_over(SOURCES[NAME], feed, got, clock).state == "unchanged"
    assert world.feed().decisions == {line["key"]: "declined"}
    assert world.feed().held == []
