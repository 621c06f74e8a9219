"""Setting, clearing and deciding: audited, versioned, whole or not at all."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from poolsite import version
from poolsite.actor import SYSTEM
from poolsite.clock import ManualClock
from poolsite.jobs import sweep
from poolsite.models import AuditEvent, DueTask, Job
from pricing import tasks
from pricing.book import loader
from pricing.cost import PriceSpec
from pricing.feeds import current, selectors, services
from pricing.feeds.diff import is_settled
from pricing.feeds.packed import unpack
from pricing.feeds.refresh import refresh
from pricing.feeds.services import FeedSettingError
from pricing.listing import ListedModel, Listing
from pricing.models import CustomPrice, Feed
from pricing.services import set_price
from tests.pricing.feeds.conftest import USD, World
from tests.vendors import feeds

NAME = "models_dev"


def held(world: World, clock: ManualClock) -> list[str]:
    """Let two prices jump; return their keys."""
    dear = {"input": 100, "output": 200}
    world.answer(feeds.models_dev(m_2=dear))
    refresh(NAME, clock=clock)
    return [line["key"] for line in world.feed().held]


def price_of(model: str) -> PriceSpec:
    found = current.listings()[0].providers["acme"].models[model].price
    assert found is not None
    return found


def test_setting_is_audited_with_both_values(db: None) -> None:
    services.set_feed(SYSTEM, NAME, url="https://mirror.example.com/x", enabled=False)
    event = AuditEvent.objects.get()
    assert event.action == "feed.set"
    assert event.before == {"url": "", "enabled": True}
    assert event.after == {"url": "https://mirror.example.com/x", "enabled": False}
    services.set_feed(SYSTEM, NAME, enabled=False)
    assert AuditEvent.objects.count() == 1


def test_another_address_starts_without_the_old_etag(
    world: World, good: list[Listing]
) -> None:
    services.set_feed(SYSTEM, NAME, url="https://mirror.example.com/x")
    feed = world.feed()
    assert (feed.etag, feed.body_bytes, feed.models_stated) == ("", 0, 0)
    assert current.listings() == good


def test_own_address_spelled_out_is_stored_as_blank(db: None) -> None:
    feed = services.set_feed(SYSTEM, NAME, url="https://models.dev/api.json")
    assert feed.url == ""


@pytest.mark.parametrize(
    "url",
    [
        "ftp://models.dev/x",
        "models.dev/api.json",
        "https://user:word@models.dev/",
        "http://127.0.0.1:9/x",
        "http://169.254.169.254/latest",
        "http://metadata.google.internal/",
        "https://a.example.com/" + "x" * 300,
    ],
)
def test_address_that_may_not_be_asked_is_refused(db: None, url: str) -> None:
    with pytest.raises(FeedSettingError) as refusal:
        services.set_feed(SYSTEM, NAME, url=url)
    assert refusal.value.field == "url"
    assert not AuditEvent.objects.exists()


def test_unknown_source_is_refused(db: None) -> None:
    with pytest.raises(FeedSettingError, match="models_dev, litellm, openrouter"):
        services.clear_feed(SYSTEM, "nobody")
    assert not Feed.objects.exists()


def test_clearing_goes_back_to_the_embedded_catalogue(
    world: World, good: list[Listing], clock: ManualClock
) -> None:
    before = version.current()
    services.clear_feed(SYSTEM, NAME, clock=clock)
    assert current.listings() == good[1:]
    assert version.current() == before + 1
    event = AuditEvent.objects.get()
    assert (event.action, event.before) == ("feed.clear", {"models": 40})
    [state] = [each for each in selectors.feed_states() if each.name == NAME]
    assert (state.state, state.cleared_at) == ("cleared", clock.now())


def test_cleared_source_is_read_anew_not_conditionally(
    world: World, good: list[Listing], clock: ManualClock
) -> None:
    services.clear_feed(SYSTEM, NAME)
    assert refresh(NAME, clock=clock).state == "applied"
    assert "if-none-match" not in world.vendor.last.headers
    assert current.listings() == good


def test_accepting_puts_the_price_in_force(
    world: World, good: list[Listing], clock: ManualClock
) -> None:
    keys = held(world, clock)
    before = version.current()
    assert services.decide(SYSTEM, NAME, keys[:1], accept=True, clock=clock) == 1
    assert price_of("m-2") == PriceSpec(input=100 * USD, output=2 * USD)
    assert version.current() == before + 1
    assert [line["key"] for line in world.feed().held] == keys[1:]
    event = AuditEvent.objects.get()
    assert event.action == "feed.accept"
    assert event.after == {"lines": 1, "first": ["acme/m-2 input"]}


def test_accepted_price_beats_what_a_release_of_the_same_day_settled(
    world: World, good: list[Listing], clock: ManualClock
) -> None:
    released = loader.embedded_listing().date
    at = datetime.fromisoformat(released).replace(hour=23, tzinfo=UTC)
    clock.set_wall(at)
    keys = held(world, clock)
    services.decide(SYSTEM, NAME, keys[:1], accept=True, clock=clock)
    since = unpack(bytes(world.feed().listing or b"")).since["acme\nm-2"]
    settled = ListedModel("m-2", price=PriceSpec(input=USD), origin="overlay")
    assert not is_settled(settled, NAME, since, released)


def test_declined_price_is_not_asked_again(
    world: World, good: list[Listing], clock: ManualClock
) -> None:
    keys = held(world, clock)
    assert services.decide(SYSTEM, NAME, keys, accept=False, clock=clock) == 2
    assert services.decide(SYSTEM, NAME, keys, accept=False, clock=clock) == 0
    refresh(NAME, clock=clock)
    assert world.feed().held == []
    assert price_of("m-2") == PriceSpec(input=USD, output=2 * USD)
    assert current.listings() == good
    assert AuditEvent.objects.get().action == "feed.decline"


def test_key_nobody_holds_decides_nothing(world: World, good: list[Listing]) -> None:
    assert services.decide(SYSTEM, NAME, ["0" * 16], accept=True) == 0
    assert not AuditEvent.objects.exists()


def test_price_a_person_set_is_untouched_by_a_refresh(
    world: World, good: list[Listing], clock: ManualClock
) -> None:
    mine = PriceSpec(input=7, output=8)
    set_price(SYSTEM, "m-2", mine)
    before = CustomPrice.objects.values().get()
    world.answer(feeds.models_dev(m_2={"input": 3, "output": 4}))
    refresh(NAME, clock=clock)
    services.clear_feed(SYSTEM, NAME)
    assert CustomPrice.objects.values().get() == before


def test_refresh_by_hand_is_a_job_that_says_what_came_of_it(world: World) -> None:
    world.answer(feeds.models_dev())
    job = services.start_refresh(SYSTEM, NAME)
    tasks.refresh_feed(job.pk)
    done = Job.objects.get(pk=job.pk)
    assert done.state == Job.State.DONE
    assert done.result
    assert done.result[0]["state"] == "applied"


def test_failed_refresh_is_a_finished_job_with_the_reason(world: World) -> None:
    world.answer(b"<html>")
    job = services.start_refresh(SYSTEM, NAME)
    tasks.refresh_feed(job.pk)
    done = Job.objects.get(pk=job.pk)
    assert done.state == Job.State.DONE
    assert done.result
    assert "no JSON" in done.result[0]["message"]


def test_sources_come_round_every_six_hours(db: None, clock: ManualClock) -> None:
    sweep(clock=clock)
    row = DueTask.objects.get(task="pricing.refresh_feeds")
    assert row.interval_s == 6 * 3600
    assert row.due_at == clock.now()
