"""Lists are kept, compared and applied without touching what a person set."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from poolsite.actor import SYSTEM
from poolsite.clock import ManualClock, SystemClock
from poolsite.models import AuditEvent
from providers.discovery.differences import KINDS, differences, entries_of
from providers.models import ModelList, Provider, ProviderModel
from providers.routing.order import Turns
from providers.services import (
    discovery,
    explain,
    list_rounds,
    models,
    providers,
    routing_lab,
)
from providers.services.errors import ServiceError
from providers.snapshot.build import build_base, build_delta, client_key_records
from providers.snapshot.view import ClientKeys, Snapshot
from tests.factories import make_client_key, make_models, make_provider
from tests.vendors import lists
from tests.vendors.server import Reply, Vendor

pytestmark = pytest.mark.django_db
KEY = "sk-acme-0123456789abcdef"


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    with Vendor() as running:
        running.on("GET", "/v1/models", lists.openai("m-1", "m-2", "m-3"))
        yield running


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def provider(vendor: Vendor) -> Provider:
    return provider_at(vendor)


def provider_at(vendor: Vendor, slug: str = "acme", **values: Any) -> Provider:
    return make_provider(
        slug, base_url=f"{vendor.root}/v1", allow_private=True, keys=[KEY], **values
    )


def names(provider: Provider, **where: Any) -> list[str]:
    rows = provider.models.filter(deleted_at=None, **where).order_by("model_id")
    return list(rows.values_list("model_id", flat=True))


def routed(provider: Provider, clock: ManualClock) -> list[str]:
    built = build_base(clock.now()).records
    return sorted(row.model_id for kind, _, row in built if kind == "model")


def test_a_list_is_kept_with_its_shape_and_age(
    provider: Provider, vendor: Vendor, clock: ManualClock
) -> None:
    kept = discovery.refresh(provider, clock=clock)
    assert (kept.shape, kept.error, kept.fetched_at) == ("openai", "", clock.now())
    assert list(entries_of(ModelList.objects.get())) == ["m-1", "m-2", "m-3"]
    assert KEY not in str(kept.entries)


def test_list_that_was_cut_off_makes_no_model_gone(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_models(provider, "m-4")
    provider.models.update(source=ProviderModel.Source.DISCOVERED)
    kept = discovery.refresh(provider)
    assert differences(provider, kept).counts()["gone"] == 1
    monkeypatch.setattr("providers.discovery.differences.MOST_MODELS", 3)
    assert differences(provider, kept).counts()["gone"] == 0


def test_failed_fetch_keeps_the_old_list_with_its_age_and_error(
    provider: Provider, vendor: Vendor, clock: ManualClock
) -> None:
    first = discovery.refresh(provider, clock=clock).fetched_at
    clock.advance(7200)
    vendor.on("GET", "/v1/models", Reply({}, status=500))
    kept = discovery.refresh(provider, clock=clock)
    assert kept.error == "The provider answered 500 instead of a list."
    assert (kept.fetched_at, kept.checked_at) == (first, clock.now())
    assert len(kept.entries) == 3


def test_a_fresh_list_is_not_asked_for_again(
    provider: Provider, vendor: Vendor, clock: ManualClock
) -> None:
    hour = discovery.FRESH_FOR
    discovery.refresh(provider, max_age=hour, clock=clock)
    clock.advance(3599)
    discovery.refresh(provider, max_age=hour, clock=clock)
    assert len(vendor.asked) == 1
    clock.advance(2)
    discovery.refresh(provider, max_age=hour, clock=clock)
    assert len(vendor.asked) == 2


def test_differences_are_new_gone_and_changed(
    provider: Provider, vendor: Vendor, clock: ManualClock
) -> None:
    discovery.sync(SYSTEM, provider, clock=clock)
    body = lists.openai("m-1", "m-4")
    body["data"][0] |= {"context_length": 8192, "name": "Em One", "deprecated": True}
    vendor.on("GET", "/v1/models", body)
    discovery.refresh(provider, clock=clock)
    found = differences(provider)
    told = {kind: [line.model_id for line in found.of(kind)] for kind in found.counts()}
    assert told == {"new": ["m-4"], "back": [], "changed": ["m-1"],
                    "gone": ["m-2", "m-3"]}  # fmt: skip
    changes = {name: (was, now) for name, was, now in found.of("changed")[0].changes}
    assert changes == {
        "display_name": ("", "Em One"),
        "context_window": (None, 8192),
        "deprecated": (False, True),
    }


def test_nothing_is_gone_before_a_list_was_ever_fetched(
    provider: Provider, vendor: Vendor
) -> None:
    models.add_models(SYSTEM, provider, ["m-9"], source="discovered")
    vendor.on("GET", "/v1/models", Reply({}, status=500))
    discovery.refresh(provider)
    assert differences(provider).lines == []


def test_chosen_lines_are_applied_and_no_others(
    provider: Provider, clock: ManualClock
) -> None:
    discovery.refresh(provider, clock=clock)
    done = discovery.apply(SYSTEM, provider, chosen={"m-2"}, clock=clock)
    assert done["new"] == 1
    assert names(provider) == ["m-2"]
    event = AuditEvent.objects.get(action="model.discover")
    assert event.after == {"new": 1, "models": ["m-2"]}


def test_flags_and_facts_a_person_set_survive(
    provider: Provider, vendor: Vendor, clock: ManualClock
) -> None:
    discovery.sync(SYSTEM, provider, clock=clock)
    row = provider.models.get(model_id="m-1")
    models.set_model_enabled(SYSTEM, row, enabled=False)
    models.set_model_facts(SYSTEM, row, context_window=1000, display_name="Mine")
    body = lists.openai("m-1", "m-2", "m-3")
    body["data"][0] |= {"context_length": 8192, "name": "Theirs", "max_tokens": 5}
    body["data"][0]["max_completion_tokens"] = 512
    vendor.on("GET", "/v1/models", body)
    discovery.refresh(provider, clock=clock)
    discovery.apply(SYSTEM, provider, clock=clock)
    row.refresh_from_db()
    assert (row.enabled, row.context_window, row.display_name) == (False, 1000, "Mine")
    assert row.max_output_tokens == 512


def test_gone_models_are_not_routed_and_come_back_with_their_switch(
    provider: Provider, vendor: Vendor, clock: ManualClock
) -> None:
    discovery.sync(SYSTEM, provider, clock=clock)
    off = provider.models.get(model_id="m-3")
    models.set_model_enabled(SYSTEM, off, enabled=False)
    before = build_base(clock.now()).header.version
    vendor.on("GET", "/v1/models", lists.openai("m-1"))
    discovery.refresh(provider, clock=clock)
    assert discovery.apply(SYSTEM, provider, clock=clock)["gone"] == 2
    assert names(provider) == ["m-1", "m-2", "m-3"]
    assert names(provider, enabled=True) == ["m-1", "m-2"]
    assert routed(provider, clock) == ["m-1"]
    delta = build_delta(before, clock.now())
    assert delta is not None
    gone = provider.models.get(model_id="m-2").pk
    assert ("model", str(gone), None) in list(delta.records)
    vendor.on("GET", "/v1/models", lists.openai("m-1", "m-2", "m-3"))
    _, done = discovery.sync(SYSTEM, provider, clock=clock)
    assert done["back"] == 2
    assert routed(provider, clock) == ["m-1", "m-2"]


def test_manual_models_never_vanish(
    provider: Provider, vendor: Vendor, clock: ManualClock
) -> None:
    make_models(provider, "by-hand")
    discovery.sync(SYSTEM, provider, kinds=KINDS, clock=clock)
    assert "by-hand" in names(provider, gone_at=None)


def test_what_the_allowlist_keeps_out_is_not_offered(
    provider: Provider, clock: ManualClock
) -> None:
    Provider.objects.filter(pk=provider.pk).update(
        model_access="only", models_allowed=["m-[12]", "M-1"]
    )
    provider.refresh_from_db()
    discovery.refresh(provider, clock=clock)
    found = differences(provider)
    assert [line.model_id for line in found.lines] == ["m-1", "m-2"]
    assert found.kept_out == 1


def test_sync_refuses_when_the_list_cannot_be_had(
    provider: Provider, vendor: Vendor
) -> None:
    vendor.on("GET", "/v1/models", Reply({}, status=401))
    with pytest.raises(ServiceError, match="Nothing changed: The provider refused"):
        discovery.sync(SYSTEM, provider)
    assert names(provider) == []


def test_a_provider_without_a_list_has_the_built_in_one(clock: ManualClock) -> None:
    row = make_provider(
        "cli", base_url="cli:claude", api_format="claude-cli", location="local"
    )
    kept = discovery.refresh(row, clock=clock)
    assert (kept.shape, kept.error) == ("built-in", "")
    assert len(kept.entries) == 1


@pytest.mark.parametrize("api_format", ["codex", "bedrock", "vertex"])
def test_a_provider_that_cannot_be_asked_lists_what_the_catalogue_knows(
    api_format: str, clock: ManualClock
) -> None:
    kept = discovery.refresh(make_provider("p", api_format=api_format), clock=clock)
    assert (kept.shape, kept.error) == ("built-in", "")
    entries = entries_of(kept)
    assert len(entries) >= 5
    assert api_format != "codex" or all("codex" in name for name in entries)


def test_the_catalogue_fills_in_what_a_list_leaves_out(
    provider: Provider, vendor: Vendor, clock: ManualClock
) -> None:
    vendor.on("GET", "/v1/models", lists.openai("gpt-4o-mini", "house-model"))
    discovery.sync(SYSTEM, provider, clock=clock)
    row = provider.models.get(model_id="gpt-4o-mini")
    assert (row.context_window, row.capabilities["vision"]) == (128_000, True)
    assert provider.models.get(model_id="house-model").context_window is None


def test_a_trial_lists_its_families_only(
    provider: Provider, vendor: Vendor, clock: ManualClock
) -> None:
    ids = ["claude-x", "my-opus", "haiku", "sonnet", "glm-5", "qwen3", "k2.5", "m2.5"]
    vendor.on("GET", "/v1/models", lists.openai("gpt-5", *ids))
    provider.type = Provider.Type.TRIAL
    kept = discovery.refresh(provider, clock=clock)
    assert list(entries_of(kept)) == ids


def test_where_the_catalogue_counts_a_list_only_says_what_is_there(
    provider: Provider, vendor: Vendor, clock: ManualClock
) -> None:
    Provider.objects.filter(pk=provider.pk).update(metadata_mode="catalog")
    provider.refresh_from_db()
    body = lists.openai("gpt-4o-mini")
    body["data"][0]["context_length"] = 7
    vendor.on("GET", "/v1/models", body)
    discovery.sync(SYSTEM, provider, clock=clock)
    assert provider.models.get().context_window == 128_000


def test_what_the_allowlist_keeps_out_is_neither_routed_nor_listed(
    provider: Provider,
) -> None:
    make_models(provider, "m-1", "other")
    providers.update_provider(
        SYSTEM, provider, model_access="only", models_allowed=["M-*"]
    )
    key, _ = make_client_key("ci")
    assert explain.explain("other", key=key).how == "nothing"
    found = explain.explain("m-1", key=key)
    assert (found.how, found.error) == ("model", "")
    now = SystemClock().now()
    record = client_key_records([key.pk], now)[key.pk]
    tables, index = routing_lab.prepared()
    snapshot = Snapshot(ClientKeys(), tables, index, Turns())
    seen = snapshot.visible_models(record)
    assert [model.name for model in seen] == ["m-1"]


def test_many_models_are_applied_in_short_transactions(
    provider: Provider, vendor: Vendor, clock: ManualClock
) -> None:
    ids = [f"m-{n:04}" for n in range(1200)]
    vendor.on("GET", "/v1/models", lists.openai(*ids))
    _, done = discovery.sync(SYSTEM, provider, clock=clock)
    assert done["new"] == 1200
    events = AuditEvent.objects.filter(action="model.discover")
    told = [event.after or {} for event in events.order_by("id")]
    assert [after["new"] for after in told] == [500, 500, 200]


# What comes round


def test_the_round_asks_each_provider_once_an_hour(
    vendor: Vendor, clock: ManualClock
) -> None:
    for slug in ("one", "two"):
        provider_at(vendor, slug)
    provider_at(vendor, "off", enabled=False)
    assert len(list_rounds.refresh_due(SYSTEM, clock=clock)) == 2
    assert list_rounds.refresh_due(SYSTEM, clock=clock) == []
    clock.advance(3600 + 361)
    assert len(list_rounds.refresh_due(SYSTEM, clock=clock)) == 2
    assert ProviderModel.objects.count() == 0


def test_the_round_takes_the_oldest_first_and_only_some(
    vendor: Vendor, clock: ManualClock
) -> None:
    made = [provider_at(vendor, f"p-{n}") for n in range(3)]
    for n, row in enumerate(made):
        at = clock.now() - timedelta(hours=3 + n)
        ModelList.objects.create(provider=row, fetched_at=at, checked_at=at)
    done = list_rounds.refresh_due(SYSTEM, clock=clock, most=2)
    assert [row.provider_id for row in done] == [made[2].pk, made[1].pk]


def test_the_round_adds_new_models_only_where_it_is_told_to(
    provider: Provider, vendor: Vendor, clock: ManualClock
) -> None:
    list_rounds.set_schedule(SYSTEM, auto_add=True)
    list_rounds.refresh_due(SYSTEM, clock=clock)
    assert names(provider) == ["m-1", "m-2", "m-3"]
    vendor.on("GET", "/v1/models", lists.openai("m-1"))
    clock.advance(4000)
    list_rounds.refresh_due(SYSTEM, clock=clock)
    assert names(provider, gone_at=None) == ["m-1", "m-2", "m-3"]


def test_the_round_can_be_switched_off(
    provider: Provider, vendor: Vendor, clock: ManualClock
) -> None:
    assert list_rounds.set_schedule(SYSTEM, every_s=0)["every_s"] == 0
    assert list_rounds.refresh_due(SYSTEM, clock=clock) == []
    assert vendor.asked == []


@pytest.mark.parametrize("every_s", [-1, 1, 599, 604_801])
def test_a_schedule_is_neither_too_tight_nor_too_loose(every_s: int) -> None:
    with pytest.raises(ServiceError, match="The interval is 0"):
        list_rounds.set_schedule(SYSTEM, every_s=every_s)
    assert list_rounds.schedule() == {"every_s": 3600, "auto_add": False}
